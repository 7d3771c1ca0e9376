"""The router and the presenter as QEMU has them, with its quirks corrected."""

import struct
import sys

import powernv
from operations import Access
from qtest import readq, writeq
from quirks import (
    CPPR_LOAD, CPPR_LOWERED, END_EOI, PHYS_PIPR, POOL_PRESENTED, PULL_BYTE_ORDER, PULL_POOL_VALID,
    USER_CONTEXT,
)
from router_operations import (
    ACK_USER, CONTEXT_VALID, CPPR, HARDWARE_CAM, HV, HW, IPB, NSR, NVT_BASE, OS, OS_RING, PHYS_RING,
    PIPR, POOL_RING, PRIORITIES, PULL_OS, PULL_POOL, USER_WORD2, WORD2, ConfigureEND,
    ConfigureQueue, ConfigureSource, ENDLoad, ENDStore, TIMAAccess, observation, register,
)

LETTERS = {1: "b", 2: "w", 4: "l", 8: "q"}
OPERATION_MASK = 0xFFF  # what decodes of an offset. QEMU hw/intc/xive.c, xive_tm_find_op
SWAPPED = sys.byteorder == "little"
# A source that no program uses: it passes on what the corrections need.
SCRATCH_LISN = powernv.SOURCE_LIMIT - 1

EAS_VALID, EAS_MASKED = 1 << 63, 1 << 31
END_VALID, END_ENQUEUE, END_NOTIFY = 0x80000000, 0x40000000, 0x20000000
END_ESCALATE = 0x04000000
QUEUE_FLAGS = 0xF0040000  # valid, enqueue, notify, backlog, 64 KiB
NVT_VALID = 0x80000000


class QEMURouter:
    """One side of the comparison, on a running machine."""

    def __init__(self, machine, watched, quirks):
        self.machine = machine
        self.watched = watched
        self.quirks = quirks
        self.user_contexts = dict.fromkeys(powernv.SERVERS, 0)
        for server in powernv.SERVERS:
            for nvt in (NVT_BASE + server, HARDWARE_CAM | server):
                self._write(powernv.NVTT, powernv.NVT_SIZE, nvt, ">I", NVT_VALID)

    def allows(self, operation):
        """Whether the device would do it: events of a source need a queue to go to."""
        if not isinstance(operation, ConfigureSource) or operation.masked:
            return True
        word0 = self.end(operation.end)[0]
        return word0 & END_VALID and word0 & END_ENQUEUE

    def perform(self, operation):
        """Does one step; returns the loaded value, None when nothing is loaded."""
        return self._HANDLERS[type(operation)](self, operation)

    def perform_plain(self, accesses):
        """Does several TIMA accesses, no quirk corrected; returns the loaded values."""
        for access in accesses:
            if access.op == "store" and access.offset == USER_WORD2:
                self.user_contexts[access.server] = access.value
        commands = [_command(access) for access in accesses]
        return self._ask([line for command in commands for line in command])

    def observe(self):
        """The state behind a step, by name."""
        return observation(self.watched, self._ask(self._watching()), self.end, self.queues())

    def unfit(self, state):
        """What of `state` QEMU cannot know, by name; None while it can go on."""
        for server in self.watched.servers:
            pool, phys = (register(server, ring) for ring in (POOL_RING, PHYS_RING))
            if _byte(state[pool], IPB) and self.quirks.apply(POOL_PRESENTED):
                return {phys, pool}
            pending = _byte(state[phys], IPB)
            if _byte(state[phys], PIPR) != (8 - pending.bit_length() if pending else 0xFF):
                if self.quirks.apply(PHYS_PIPR):
                    return {phys}
        return None

    def end(self, index):
        return self._read(powernv.ENDT, powernv.END_SIZE, index, ">8I")

    def queues(self):
        return self.machine.ram[powernv.QUEUES:powernv.QUEUES + self.watched.queue_bytes]

    def clear_queues(self):
        size = self.watched.queue_bytes
        self.machine.ram[powernv.QUEUES:powernv.QUEUES + size] = bytes(size)

    def _watching(self):
        commands = []
        for server in self.watched.servers:
            commands.append(powernv.select(server))
            commands += [readq(powernv.tima(HW, offset)) for offset in self.watched.registers]
        return commands + [powernv.get_pq(lisn) for lisn in self.watched.sources]

    def _ask(self, commands):
        """The answers of those commands that load."""
        answers = self.machine.perform(commands)
        return [int(answer, 16) for answer in answers if answer]

    # MARK: Accesses

    def _esb(self, access):
        address = powernv.esb(access.source, access.page == "management", access.offset)
        if access.op == "load":
            return self._ask([readq(address)])[0]
        self._ask([writeq(address, access.value)])
        return None

    def _tima(self, access):
        decoded = access.offset & OPERATION_MASK
        if decoded in (ACK_USER, USER_WORD2) and self._is_user(access, decoded):
            return self._user(access)
        if access.op == "store":
            self._ask(_command(access))
            if access.size == 1 and decoded == OS_RING + CPPR and access.view <= OS:
                self._lower(access.server, OS_RING)
            if access.size == 1 and decoded == PHYS_RING + CPPR and access.view <= HV:
                self._lower(access.server, PHYS_RING)
            return None
        pool, value = self._ask([
            powernv.select(access.server),
            readq(powernv.tima(HW, POOL_RING + WORD2)),
            *_command(access),
        ])
        if access.size == 1 and decoded == OS_RING + CPPR and access.view <= OS:
            return self._load_cppr(access.server, value)
        if access.size >= 4 and decoded in (PULL_OS, PULL_POOL) and access.view <= HV:
            value = self._pulled(value)
            if decoded == PULL_POOL and pool >> 63 and self.quirks.apply(PULL_POOL_VALID):
                value |= CONTEXT_VALID
        return value

    def _ring(self, server, ring):
        value, = self._ask([powernv.select(server), readq(powernv.tima(HW, ring))])
        return value.to_bytes(8, "big")

    def _end_load(self, load):
        value = self._ask([readq(powernv.end_esb(load.end, load.half, load.offset))])[0]
        if load.offset & 0xFFF < 0x800 and value == 1 and self.quirks.apply(END_EOI):
            self._pass_on(load)
        return value

    def _end_store(self, store):
        self._ask([writeq(powernv.end_esb(store.end, store.half, store.offset), store.value)])

    # MARK: Tables

    def _configure_end(self, operation):
        self._write(powernv.ENDT, powernv.END_SIZE, operation.end, ">8I", *operation.words)

    def _configure_queue(self, queue):
        end = queue.server * PRIORITIES + queue.priority
        self._configure_end(ConfigureEND(end, (
            QUEUE_FLAGS, queue.toggle << 22 | queue.index, queue.address >> 32,
            queue.address & 0xFFFFFFFF, 0, 0, NVT_BASE + queue.server, queue.priority << 16,
        )))

    def _configure_source(self, source):
        eas = EAS_VALID | source.end << 32 | source.eisn
        self._route(source.lisn, eas | EAS_MASKED if source.masked else eas)

    def _route(self, lisn, eas):
        self._write(powernv.EAT, powernv.EAS_SIZE, lisn, ">Q", eas)

    def _read(self, table, size, index, form):
        return struct.unpack_from(form, self.machine.ram, table + index * size)

    def _write(self, table, size, index, form, *values):
        struct.pack_into(form, self.machine.ram, table + index * size, *values)

    # MARK: Quirks

    def _lower(self, server, ring):
        registers = self._ring(server, ring)
        if registers[NSR] and registers[PIPR] >= registers[CPPR]:
            if self.quirks.apply(CPPR_LOWERED):
                word = int.from_bytes(registers[CPPR:4], "big")
                address = powernv.tima(HW, ring)
                self._ask([powernv.select(server), f"writel {address:#x} {word:#x}"])

    def _is_user(self, access, decoded):
        if decoded == ACK_USER:
            return access.op == "load" and access.size == 1 and self.quirks.apply(USER_CONTEXT)
        return access.size == 4 and access.view <= OS and self.quirks.apply(USER_CONTEXT)

    def _user(self, access):
        """Nothing else reads or writes that ring, and no event reaches it."""
        if access.size == 1:
            return 0
        word = self.user_contexts[access.server]
        stores = access.op == "store"
        self.user_contexts[access.server] = access.value if stores else word & ~CONTEXT_VALID
        return None if stores else word

    def _load_cppr(self, server, value):
        return self._ring(server, OS_RING)[CPPR] if self.quirks.apply(CPPR_LOAD) else value

    def _pulled(self, value):
        if SWAPPED and self.quirks.apply(PULL_BYTE_ORDER):
            return int.from_bytes(value.to_bytes(4, "big"), "little")
        return value

    def _pass_on(self, load):
        """Notifies, or escalates, once more, as an event of a source of our own.

        The END's queue takes no entry for it, and the event is not coalesced again.
        """
        words = self.end(load.end)
        if load.half == 0:
            again = [words[0] & ~END_ENQUEUE | END_NOTIFY, *words[1:]]
            self._configure_end(ConfigureEND(load.end, again))
            self._route(SCRATCH_LISN, EAS_VALID | load.end << 32)
        elif words[0] & END_ESCALATE:
            escalation = words[4] << 32 | words[5]
            self._route(SCRATCH_LISN, (escalation | EAS_VALID) & ~EAS_MASKED)
        else:
            return
        self._ask([powernv.notify(SCRATCH_LISN)])
        if load.half == 0:
            # Word 1 may have changed meanwhile.
            self._configure_end(ConfigureEND(load.end, (words[0], *self.end(load.end)[1:])))

    _HANDLERS = {
        Access: _esb,
        TIMAAccess: _tima,
        ENDLoad: _end_load,
        ENDStore: _end_store,
        ConfigureEND: _configure_end,
        ConfigureQueue: _configure_queue,
        ConfigureSource: _configure_source,
    }


def _command(access):
    """A TIMA access, with what makes it the server's."""
    address = powernv.tima(access.view, access.offset)
    value = "" if access.op == "load" else f" {access.value & (1 << 8 * access.size) - 1:#x}"
    verb = "read" if access.op == "load" else "write"
    return [powernv.select(access.server), f"{verb}{LETTERS[access.size]} {address:#x}{value}"]


def _byte(value, index):
    return value.to_bytes(8, "big")[index]
