"""What a step of a router program can be, for either side; every operation prints as one line."""

from typing import NamedTuple, Optional

from operations import Access

HW, HV, OS, USER = range(4)
VIEWS = ("HW", "HV", "OS", "USER")
# Offsets in a TIMA page. QEMU include/hw/ppc/xive_regs.h.
OS_RING, POOL_RING, PHYS_RING = 0x10, 0x20, 0x30
NSR, CPPR, IPB, PIPR, WORD2 = 0, 1, 2, 7, 8
ACK_OS, SET_OS_PENDING, PULL_OS, PULL_POOL, ACK_HV = 0x810, 0x812, 0x818, 0x828, 0x830
ACK_USER, USER_WORD2 = 0x800, 0x808

NVT_BASE = 0x400  # of server 0
HARDWARE_CAM = 0x80  # of thread 0
PRIORITIES = 8
CONTEXT_VALID = 1 << 31  # VO, VP or VT of a word 2


class Watched(NamedTuple):
    """What is compared after each step, beside the memory of all queues."""

    servers: tuple
    sources: tuple
    ends: tuple
    queue_bytes: int
    # In the HW view, 8 bytes each. The user ring cannot be loaded.
    registers: tuple = tuple(range(OS_RING, 0x40, 8))


class TIMAAccess(NamedTuple):
    """A load, or a store of `value`, in one of a server's four views.

    `own`: through the descriptor that is connected to the server, if the side has such.
    """

    server: int
    view: int
    op: str
    offset: int
    size: int
    value: Optional[int] = None
    own: bool = False

    def __str__(self):
        page = "own TIMA" if self.own else "TIMA"
        text = f"{self.op}{self.size} {page} {self.server} {VIEWS[self.view]}+{self.offset:#05x}"
        return text if self.value is None else f"{text} <- {self.value:#0{2 + 2 * self.size}x}"


class ENDLoad(NamedTuple):
    """An 8-byte load on an END's ESB page: `half` 0 ESn, 1 ESe."""

    end: int
    half: int
    offset: int

    def __str__(self):
        return f"load  END {self.end} {('ESn', 'ESe')[self.half]}+{self.offset:#05x}"


class ENDStore(NamedTuple):
    """An 8-byte store there, which is no operation."""

    end: int
    half: int
    offset: int
    value: int

    def __str__(self):
        half = ("ESn", "ESe")[self.half]
        return f"store END {self.end} {half}+{self.offset:#05x} <- {self.value:#018x}"


class ConfigureEND(NamedTuple):
    """Replaces all eight words of an END."""

    end: int
    words: tuple

    def __str__(self):
        return f"END {self.end} := {' '.join(f'{word:08x}' for word in self.words)}"


class ConfigureQueue(NamedTuple):
    """Gives a server's END a 64 KiB queue, as a hypervisor does."""

    server: int
    priority: int
    address: int
    toggle: int
    index: int

    def __str__(self):
        place = f"{self.address:#x} generation {self.toggle} index {self.index}"
        return f"queue of {self.server} priority {self.priority} := {place}"


class ConfigureSource(NamedTuple):
    """Routes a source's events."""

    lisn: int
    end: int
    eisn: int
    masked: bool

    def __str__(self):
        where = "masked" if self.masked else f"END {self.end} EISN {self.eisn:#x}"
        return f"source {self.lisn:#x} := {where}"


def esb_load(lisn, offset):
    return Access(lisn, "management", "load", offset)


def trigger(lisn):
    return Access(lisn, "trigger", "store", 0, 0)


def acknowledge(server, own=False):
    return TIMAAccess(server, OS, "load", ACK_OS, 2, own=own)


def set_cppr(server, value, own=False):
    return TIMAAccess(server, OS, "store", OS_RING + CPPR, 1, value, own)


def set_pending(server, priority, own=False):
    return TIMAAccess(server, OS, "store", SET_OS_PENDING, 1, priority, own)


def push(server, nvt):
    """Puts the context of an NVT on a server."""
    return TIMAAccess(server, HV, "store", OS_RING + WORD2, 4, CONTEXT_VALID | nvt)


def pull(server, size=4):
    return TIMAAccess(server, HV, "load", PULL_OS, size)


def fresh_context(server):
    """The accesses that put a server's TIMA into its first state, with its own context on it.

    PIPR cannot be stored: it follows IPB when something becomes pending, or is acknowledged.
    """
    def store(offset, value, size=8):
        return TIMAAccess(server, HW, "store", offset, size, value)

    return [
        TIMAAccess(server, OS, "store", USER_WORD2, 4, 0),
        store(POOL_RING, 0),
        store(POOL_RING + WORD2, 0),
        store(PHYS_RING, 0x80000000_00000000),
        TIMAAccess(server, HV, "load", ACK_HV, 2),
        store(PHYS_RING, 0),
        store(PHYS_RING + WORD2, 0),
        # Takes what is left in the NVTs; behind it nothing is pending any more.
        push(server, HARDWARE_CAM | server),
        push(server, NVT_BASE + server),
        store(OS_RING, 0x000000FF_FF000000),
        set_pending(server, 0xFF),
    ]


def observation(watched, loads, end, queues):
    """Names the values loaded from the registers of all servers, then from all sources."""
    values = iter(loads)
    state = {}
    for server in watched.servers:
        for offset in watched.registers:
            state[register(server, offset)] = next(values)
    for lisn in watched.sources:
        state[f"PQ of source {lisn:#x}"] = next(values)
    for index in watched.ends:
        state[f"END {index}"] = end(index)
    state["queues"] = queues
    return state


def register(server, offset):
    """The name of eight bytes of a TIMA in an observation."""
    return f"TIMA {server} HW+{offset:#04x}"
