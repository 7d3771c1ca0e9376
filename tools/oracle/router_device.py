"""The router and the presenter of a device file."""

import fcntl
import mmap
import os
import struct

from device import DeviceFailed, DeviceProcess
from operations import Access
from router_operations import (
    CONTEXT_VALID, HW, OS_RING, PHYS_RING, PRIORITIES, VIEWS, WORD2, ConfigureEND, ConfigureQueue,
    ConfigureSource, ENDLoad, ENDStore, TIMAAccess, esb_load, observation, register,
)
from unavailable import Unavailable

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "router_worker.py")
REGION_SHIFT = 40
END_REGION, TIMA_REGION = 2 << REGION_SHIFT, 3 << REGION_SHIFT
GET = 0x800
EO, HE = 0x80, 0xC0  # in NSR

# Attribute groups; Sources/CXIVE/include/xive.h.
SOURCE_CONFIG, EQ_CONFIG, MEMORY, END = 3, 4, 0x45, 0x51
ALWAYS_NOTIFY = 1
QUEUE_SHIFT = 16

MEMORY_SIZE = 1 << 20

class RouterDevice:
    """One side of the comparison, with vCPUs of its own; a context manager.

    `memory_address` is where in the guest the queues are.
    """

    def __init__(self, path, servers, memory_address):
        self.servers = servers
        self.memory_address = memory_address
        self.memory = os.memfd_create("queues", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        os.truncate(self.memory, MEMORY_SIZE)
        fcntl.fcntl(self.memory, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK)
        self.ram = mmap.mmap(self.memory, MEMORY_SIZE)
        try:
            self.process = DeviceProcess(path, WORKER, inherited=(self.memory,))
        except BaseException:
            self._unmap()
            raise
        self.watched = None

    def __enter__(self):
        try:
            self.process.__enter__()
        except BaseException:
            self._unmap()
            raise
        try:
            self._connect()
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                self._demand("no guest memory", [["set", MEMORY, 0, ""]])
        finally:
            self.process.close()
            self._unmap()

    def watch(self, watched):
        """Says what observe() tells of; returns this side."""
        self.watched = watched
        return self

    def perform(self, operation):
        """Does one step; returns the loaded value, None when nothing is loaded."""
        request = self._HANDLERS[type(operation)](self, operation)
        if request[0] == "set":
            self._demand(operation, [request])
            return None
        return self.process.request([request])[0]

    def perform_plain(self, accesses):
        """Does several TIMA accesses at once; returns the loaded values."""
        answers = self.process.request([self._tima(access) for access in accesses])
        return [value for value in answers if value is not None]

    def observe(self):
        """The state behind a step, by name."""
        answers = iter(self.process.request(self._watching()))
        count = len(self.watched.servers) * len(self.watched.registers) + len(self.watched.sources)
        loads = [next(answers) for _ in range(count)]
        ends = {index: _words(next(answers)) for index in self.watched.ends}
        state = observation(self.watched, loads, ends.get, self.queues())
        for server, readable in zip(self.watched.servers, answers):
            if readable != _is_line_up(state, server):
                raise DeviceFailed(f"server {server} is {'' if readable else 'not '}readable: "
                                   f"{state[register(server, OS_RING)]:#018x}")
        return state

    def queues(self):
        return self.ram[:self.watched.queue_bytes]

    def clear_queues(self):
        self.ram[:self.watched.queue_bytes] = bytes(self.watched.queue_bytes)

    def _connect(self):
        """Lays the memory and connects the vCPUs."""
        slot = struct.pack("=QQiIQ", self.memory_address, MEMORY_SIZE, self.memory, 0, 0)
        requests = [["set", MEMORY, 0, slot.hex()]]
        requests += [["connect", server] for server in self.servers]
        for request, answer in zip(requests, self.process.request(requests)):
            if answer is not None:
                raise Unavailable(f"{self.process.path} answers {request[:2]} with {answer}")

    def _unmap(self):
        self.ram.close()
        os.close(self.memory)

    def _demand(self, what, requests):
        for answer in self.process.request(requests):
            if answer is not None:
                raise DeviceFailed(f"{what}: {answer}")

    def _watching(self):
        requests = []
        for server in self.watched.servers:
            for offset in self.watched.registers:
                requests.append(self._tima(TIMAAccess(server, HW, "load", offset, 8)))
        requests += [self._esb(esb_load(lisn, GET)) for lisn in self.watched.sources]
        requests += [["get", END, index, 32] for index in self.watched.ends]
        return requests + [["poll", server] for server in self.watched.servers]

    # MARK: Requests

    def _esb(self, access):
        return _request(access, None, self.process.esb_offset(access), 8)

    def _tima(self, access):
        page = access.view if access.own else access.server * len(VIEWS) + access.view
        region = 0 if access.own else TIMA_REGION
        offset = region + page * self.process.page_size + access.offset
        return _request(access, access.server if access.own else None, offset, access.size)

    def _end_offset(self, access):
        return END_REGION + (2 * access.end + access.half) * self.process.page_size + access.offset

    def _end_load(self, load):
        return ["load", None, self._end_offset(load), 8]

    def _end_store(self, store):
        return ["store", None, self._end_offset(store), 8, store.value]

    def _configure_end(self, operation):
        return ["set", END, operation.end, struct.pack("=8I", *operation.words).hex()]

    def _configure_queue(self, queue):
        payload = struct.pack(
            "=IIQII40x", ALWAYS_NOTIFY, QUEUE_SHIFT, queue.address, queue.toggle, queue.index)
        return ["set", EQ_CONFIG, queue.server << 3 | queue.priority, payload.hex()]

    def _configure_source(self, source):
        server, priority = divmod(source.end, PRIORITIES)
        value = source.eisn << 33 | source.masked << 32 | server << 3 | priority
        return ["set", SOURCE_CONFIG, source.lisn, struct.pack("=Q", value).hex()]

    _HANDLERS = {
        Access: _esb,
        TIMAAccess: _tima,
        ENDLoad: _end_load,
        ENDStore: _end_store,
        ConfigureEND: _configure_end,
        ConfigureQueue: _configure_queue,
        ConfigureSource: _configure_source,
    }


def _request(access, server, offset, size):
    if access.op == "load":
        return ["load", server, offset, size]
    return ["store", server, offset, size, access.value & (1 << 8 * size) - 1]


def _words(answer):
    try:
        return struct.unpack("=8I", bytes.fromhex(answer))
    except (ValueError, struct.error):
        return answer


def _is_line_up(state, server):
    """What makes a descriptor readable: an interrupt for the OS that runs, or for the thread."""
    nsr, phys = (state[register(server, ring)] >> 56 for ring in (OS_RING, PHYS_RING))
    word2 = state[register(server, OS_RING + WORD2)] >> 32
    return bool(nsr & EO and word2 & CONTEXT_VALID or phys & HE)
