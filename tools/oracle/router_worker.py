"""The process that touches the device file, for router_device.py: it may hang, its parent may not.

Answers each line of JSON, a list of [name, argument...], with a list of results: a loaded value,
the bytes of an attribute in hexadecimal, null, or the name of the error.
"""

import errno
import fcntl
import os
import select
import struct
import sys

from device_worker import attempt, open_device, serve

# _IOWR('X', 1, struct xive_attr) and 2; Sources/CXIVE/include/xive.h.
SET_ATTR, GET_ATTR = 0xC0805801, 0xC0805802
ATTR = "=IIQ112s"
KVM_ENABLE_CAP = 0x4068AEA3
ENABLE_CAP = "=IIQQQQ64x"
CAP_PPC_IRQ_XIVE = 169

# One descriptor a vCPU, by server.
VCPUS = {}


def main(path):
    def connect(_, server):
        own = open_device(path)
        VCPUS[server] = own
        argument = struct.pack(ENABLE_CAP, CAP_PPC_IRQ_XIVE, 0, own, server, 0, 0)
        fcntl.ioctl(own, KVM_ENABLE_CAP, argument)

    def disconnect(_, server):
        os.close(VCPUS.pop(server))

    commands = {
        "load": load, "store": store, "set": set_attribute, "get": get_attribute, "poll": poll,
        "connect": connect, "disconnect": disconnect,
    }

    def perform(descriptor, name, *arguments):
        try:
            return commands[name](descriptor, *arguments)
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error.errno))

    serve(path, perform)


def load(descriptor, server, offset, size):
    """Through the descriptor of `server`, or, when that is null, one that is not connected."""
    return attempt(VCPUS.get(server, descriptor), offset, size=size)


def store(descriptor, server, offset, size, value):
    return attempt(VCPUS.get(server, descriptor), offset, value, size)


def set_attribute(descriptor, group, attribute, payload):
    argument = struct.pack(ATTR, 0, group, attribute, bytes.fromhex(payload))
    fcntl.ioctl(descriptor, SET_ATTR, argument)


def get_attribute(descriptor, group, attribute, size):
    argument = bytearray(struct.pack(ATTR, 0, group, attribute, b""))
    fcntl.ioctl(descriptor, GET_ATTR, argument)
    start = struct.calcsize(ATTR) - 112
    return argument[start:start + size].hex()


def poll(_, server):
    """Whether the vCPU's descriptor is readable."""
    poller = select.poll()
    poller.register(VCPUS[server], select.POLLIN)
    return any(event & select.POLLIN for _, event in poller.poll(0))


if __name__ == "__main__":
    main(sys.argv[1])
