"""The device file under test, by exact access."""

import json
import os
import sys

import mount
from child import Child, ChildFailed, ChildSilent
from unavailable import Unavailable

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "device_worker.py")
DEADLINE = 10
ESB_REGION = 1 << 40


class DeviceFailed(Exception):
    """The device file stopped answering: a finding, not a missing prerequisite."""


class DeviceProcess:
    """A process that has a device file open and touches it for us; a context manager."""

    def __init__(self, path, worker=WORKER, inherited=()):
        self.path = mount.absolute(path)
        if mount.connection(self.path) is None:
            raise Unavailable(f"nothing is served on {path}; start one: xive serve {path}")
        self.child = Child([sys.executable, "-B", worker, self.path], inherited=inherited)

    def __enter__(self):
        try:
            answer = self._receive("")
            if "error" in answer:
                raise Unavailable(f"cannot open {self.path}: {answer['error']}; run it as the "
                                  "user who serves it")
        except BaseException:
            self.close()
            raise
        self.page_size = answer["pageSize"]
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if not self.child.end(patience=2):
            mount.release(self.path)

    def request(self, requests):
        """Returns what the worker answers to each request."""
        return self._receive(json.dumps(requests) + "\n")

    def esb_offset(self, access):
        """Where an access to an ESB page goes."""
        # Two device pages per LISN, even where a source has only the management page.
        page = 2 * access.source + (access.page == "management")
        return ESB_REGION + page * self.page_size + access.offset

    def _receive(self, request):
        try:
            return json.loads(self.child.exchange(request, 1, DEADLINE)[0])
        except ChildSilent:
            # Nothing less frees the worker, which not even a signal can end.
            mount.release(self.path)
            raise DeviceFailed(
                f"{self.path} did not answer for {DEADLINE} s: connection aborted, unmounted"
            ) from None
        except ChildFailed as failure:
            raise DeviceFailed(str(failure)) from None


class DeviceFile(DeviceProcess):
    """The ESB pages of an open device file."""

    def perform(self, accesses):
        """Returns the loaded value of each access, None for a store, or an error's name."""
        return self.request([self._encode(access) for access in accesses])

    def _encode(self, access):
        offset = self.esb_offset(access)
        return [offset] if access.op == "load" else [offset, access.value]
