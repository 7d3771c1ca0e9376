"""The process that touches the device file, for device.py: it may hang, its parent may not.

Answers each line of JSON, a list of [offset] (load) and [offset, value] (store), with a list of
loaded values; null for a store, the name of the error for an access that failed.
"""

import errno
import json
import os
import sys


def main(path):
    serve(path, attempt)


def serve(path, perform):
    """Answers each line with what `perform`, given a descriptor, makes of each request in it."""
    try:
        descriptor = open_device(path)
        answer({"pageSize": os.fstat(descriptor).st_blksize})
    except OSError as error:
        answer({"error": error.strerror})
        return
    for line in sys.stdin:
        answer([perform(descriptor, *request) for request in json.loads(line)])


def open_device(path):
    return os.open(path, os.O_RDWR | os.O_DIRECT | os.O_CLOEXEC)


def answer(value):
    print(json.dumps(value), flush=True)


def attempt(descriptor, offset, value=None, size=8):
    try:
        if value is None:
            data = os.pread(descriptor, size, offset)
            return int.from_bytes(data, "big") if len(data) == size else f"{len(data)} bytes"
        count = os.pwrite(descriptor, value.to_bytes(size, "big"), offset)
        return None if count == size else f"{count} bytes"
    except OSError as error:
        return errno.errorcode.get(error.errno, str(error.errno))


if __name__ == "__main__":
    main(sys.argv[1])
