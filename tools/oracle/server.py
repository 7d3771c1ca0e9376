"""A server of our own for one combination."""

import os
import shutil
import signal
import sys
import tempfile

import mount
from child import Child, ChildFailed
from geometry import SOURCE_COUNT
from unavailable import Unavailable

READY_DEADLINE = 20
END_DEADLINE = 10


class Server:
    """Serves a fresh file in a temporary directory; a context manager."""

    def __init__(self, binary, combination):
        found = shutil.which(binary)
        if found is None:
            raise Unavailable(f"{binary} cannot be run; build it: swift build --product xive")
        # A relative path with a directory in it must not be looked up in PATH.
        self.binary = os.path.abspath(found)
        self.options = [
            "--create", f"0-{SOURCE_COUNT - 1:#x}",
            "--page-size", f"{combination.geometry.page_size >> 10}k",
            "--esb-pages", str(combination.geometry.pages),
            *(["--store-eoi"] if combination.store_eoi else []),
        ]

    def __enter__(self):
        self.directory = tempfile.mkdtemp(prefix="xive-oracle-")
        self.path = mount.absolute(os.path.join(self.directory, "device"))
        try:
            with open(self.path, "xb"):
                pass
            command = [self.binary, "serve", self.path, *self.options]
            # On this signal it unmounts, should the oracle itself be killed.
            self.child = Child(command, death_signal=signal.SIGTERM)
        except OSError as error:
            shutil.rmtree(self.directory)
            raise Unavailable(f"{self.binary} cannot be run: {error.strerror}") from None
        except BaseException:
            shutil.rmtree(self.directory)
            raise
        try:
            self._wait_until_ready()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        status = self.child.process.poll()
        if status is not None:
            note(f"the server ended with status {status}: {self.child.last_words()}")
        in_time = self.child.end(signal.SIGTERM, END_DEADLINE)
        if mount.connection(self.path) is not None:
            mount.release(self.path)
            note("the server left its mount behind; unmounted")
        if not in_time:
            note(f"the server did not end within {END_DEADLINE} s of SIGTERM; killed")
        shutil.rmtree(self.directory, ignore_errors=True)

    def _wait_until_ready(self):
        try:
            line = self.child.exchange("", 1, READY_DEADLINE)[0]
        except ChildFailed as failure:
            raise Unavailable(f"{failure}; the server needs /dev/fuse and root") from None
        if line != f"ready {self.path}":
            raise Unavailable(f"{self.binary} says {line!r} instead of 'ready {self.path}'")


def note(text):
    print(f"oracle.py: note: {text}", file=sys.stderr)
