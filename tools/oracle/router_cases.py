"""Programs for what random ones seldom meet; the numbers are those of the contract's test list."""

import powernv
from router_operations import (
    ACK_HV, ACK_USER, CONTEXT_VALID, CPPR, HARDWARE_CAM, HV, HW, NVT_BASE, OS, OS_RING, PHYS_RING,
    POOL_RING, PRIORITIES, PULL_OS, PULL_POOL, USER, USER_WORD2, WORD2, ConfigureEND,
    ConfigureSource, ENDLoad, TIMAAccess, acknowledge, esb_load, fresh_context, pull, push,
    set_cppr, set_pending, trigger,
)
from router_programs import ENDS, NOBODY, SET_PQ_00, SOURCES, Program, with_queue

FIRST, SECOND = powernv.SERVERS[:2]
ENTRIES = 1 << 10
LOAD_EOI, GET, SET_PQ_01, SET_PQ_11 = 0x000, 0x800, 0xD00, 0xF00
VALID, ENQUEUE, NOTIFY, BACKLOG = (1 << bit for bit in (31, 30, 29, 28))
ESCALATE, ALWAYS, SILENT = (1 << bit for bit in (26, 25, 24))
USUAL = VALID | ENQUEUE | NOTIFY | BACKLOG
A, B = SOURCES[:2]
END_A, END_B = 6, 5


def end(index, flags=USUAL, *, at=0, nvt=NVT_BASE + FIRST, priority=None, escalation=0):
    """An END with a queue, of its own if it has 4 KiB, that begins at entry `at`, generation 1."""
    size = flags >> 16 & 0xF
    queue = powernv.QUEUES + (4 * ENTRIES << size) * (index % 4 if size else ENDS.index(index))
    priority = index % PRIORITIES if priority is None else priority
    words = (flags, 1 << 22 | at, 0, queue, escalation, 0x5E5C, nvt, priority << 16)
    return ConfigureEND(index, words)


def program(name, ends, steps):
    """Two armed sources, to ENDs 6 and 5; vCPUs that take everything."""
    setup = [access for server in powernv.SERVERS for access in fresh_context(server)]
    setup += [esb_load(lisn, SET_PQ_01) for lisn in SOURCES]
    setup += [with_queue(index) for index in (END_A, END_B)]
    for lisn, index in ((A, END_A), (B, END_B)):
        setup += [ConfigureSource(lisn, index, 0x12340 + lisn, False), esb_load(lisn, SET_PQ_00)]
    configured = {operation.end: operation for operation in ends}
    empty = (ConfigureEND(index, (0,) * 8) for index in ENDS)
    setup += [configured.get(operation.end, operation) for operation in empty]
    setup += [set_cppr(server, 0xFF) for server in powernv.SERVERS]
    return Program(name, setup, steps)


def event(lisn=A):
    return [trigger(lisn), esb_load(lisn, SET_PQ_00)]


def hardware(op, offset, size, value=None):
    return TIMAAccess(FIRST, HV, op, offset, size, value)


def ladder(flags, count):
    """ENDs that hand an event on, each to the next."""
    rungs = [END_A, *(index for index in ENDS if index > END_A)][:count + 1]
    steps = [end(this, flags, escalation=after) for this, after in zip(rungs, rungs[1:])]
    return [*steps, end(rungs[-1])]


BOTH = [end(END_A), end(END_B)]
CASES = [
    program("R1 trace", BOTH, [
        trigger(A), acknowledge(FIRST), esb_load(A, LOAD_EOI), trigger(A), set_cppr(FIRST, 7),
        acknowledge(FIRST), set_cppr(FIRST, 0xFF), esb_load(A, LOAD_EOI), trigger(A), trigger(B),
        acknowledge(FIRST), set_cppr(FIRST, 0xFF), acknowledge(FIRST), set_cppr(FIRST, 0xFF),
    ]),
    program("R2 masked source", [end(END_A), end(0)], [
        ConfigureSource(A, END_A, 1, True), trigger(A), esb_load(A, GET),
    ]),
    program("R3 invalid END", [end(END_B)], event()),
    program("R3 invalid NVT", [end(END_A, USUAL | ESCALATE | ALWAYS, nvt=NOBODY, escalation=END_B),
                               end(END_B)], event()),
    program(
        "R3 END beyond the table",
        [end(END_A, USUAL | SILENT | ESCALATE | ALWAYS, escalation=0xFFFF)], event()),
    program("R4 masked priority", [end(END_A, priority=0xFF)], event()),
    program("R4 priority of nobody", [end(END_A, priority=8)], [pull(FIRST), *event()]),
    program("R5 coalescing", [end(END_A, USUAL & ~NOTIFY)], [
        *event(), acknowledge(FIRST), *event(), *event(), ENDLoad(END_A, 0, GET),
        ENDLoad(END_A, 0, LOAD_EOI), acknowledge(FIRST), ENDLoad(END_A, 0, LOAD_EOI), *event(),
    ]),
    program("R5 EOI of a masked END", [
        end(END_A, USUAL & ~NOTIFY | ESCALATE | ALWAYS, priority=0xFF, escalation=END_B),
        end(END_B),
    ], [pull(FIRST), ENDLoad(END_A, 0, SET_PQ_11), ENDLoad(END_A, 0, LOAD_EOI)]),
    program("R5 EOI without a vCPU", [
        end(END_A, USUAL & ~NOTIFY | ESCALATE | ALWAYS, escalation=END_B), end(END_B),
    ], [pull(FIRST), ENDLoad(END_A, 0, SET_PQ_11), ENDLoad(END_A, 0, LOAD_EOI)]),
    program("R6 no queue", [end(END_A, USUAL & ~ENQUEUE)], event()),
    program("R7 wrap", [end(END_A, at=ENTRIES - 2)], 5 * event()),
    program("R8 backlog", BOTH, [
        pull(FIRST), *event(), *event(B), push(FIRST, NVT_BASE + FIRST), acknowledge(FIRST),
    ]),
    program("R8 no backlog", [end(END_A, USUAL & ~BACKLOG)], [
        pull(FIRST, 8), *event(), push(FIRST, NVT_BASE + FIRST),
    ]),
    program(
        "R8 escalation once",
        [end(END_A, USUAL | ESCALATE, escalation=END_B), end(END_B, nvt=NVT_BASE + SECOND)], [
            pull(FIRST), *event(), acknowledge(SECOND), *event(), ENDLoad(END_A, 1, GET),
            ENDLoad(END_A, 1, LOAD_EOI), acknowledge(SECOND), ENDLoad(END_A, 1, LOAD_EOI), *event(),
        ]),
    program(
        "R8 escalation always",
        [end(END_A, USUAL | ESCALATE | ALWAYS, escalation=END_B),
         end(END_B, nvt=NVT_BASE + SECOND)],
        [pull(FIRST), *event(), *event(), push(FIRST, NVT_BASE + FIRST), *event()]),
    program(
        "R8 silent",
        [end(END_A, USUAL | ESCALATE | SILENT, escalation=END_B), end(END_B)],
        [*event(), *event(), ENDLoad(END_A, 1, SET_PQ_00), *event()]),
    program("R8 silent ladder", ladder(USUAL | SILENT | ESCALATE | ALWAYS, 15), event()),
    program("R8 ladder", ladder(USUAL | ESCALATE | ALWAYS, 15), [pull(FIRST), *event()]),
    program("R9 duplicate", BOTH, [
        push(SECOND, NVT_BASE + FIRST), *event(), *event(B), pull(SECOND),
        push(FIRST, NVT_BASE + FIRST),
    ]),
    program("R9 physical and OS ring of one thread", [end(END_A, nvt=HARDWARE_CAM | FIRST)], [
        push(FIRST, HARDWARE_CAM | FIRST), hardware("store", PHYS_RING + WORD2, 1, 0x80), *event(),
        hardware("store", PHYS_RING + WORD2, 1, 0), *event(),
    ]),
    program("R9 pool and OS ring of one thread", [
        end(END_A, USUAL | ESCALATE | ALWAYS, escalation=END_B), end(END_B),
    ], [
        TIMAAccess(FIRST, HW, "store", POOL_RING + WORD2, 4, CONTEXT_VALID | NVT_BASE + FIRST),
        *event(),
    ]),
    program("R10 nothing to take", BOTH, [acknowledge(FIRST), hardware("load", ACK_HV, 2)]),
    program("R11 CPPR 8", BOTH, [
        set_cppr(FIRST, 8), set_cppr(FIRST, 7), set_cppr(FIRST, 0x80),
        *(hardware("store", PHYS_RING + CPPR, 1, value) for value in (8, 7, 0x80)),
    ]),
    program("R12 set pending", BOTH, [
        set_pending(FIRST, 4), acknowledge(FIRST), set_pending(FIRST, 8), set_pending(FIRST, 0),
    ]),
    program("R13 what the OS view refuses", BOTH, [
        TIMAAccess(FIRST, OS, "store", OS_RING, 8, 0x8001020304050607),
        TIMAAccess(FIRST, OS, "store", OS_RING + WORD2, 4, 0x80000401),
        TIMAAccess(FIRST, OS, "load", PULL_OS, 4), TIMAAccess(FIRST, OS, "load", ACK_HV, 2),
        trigger(A), TIMAAccess(FIRST, OS, "load", OS_RING, 8),
    ]),
    program("R14 CPPR lowered", BOTH, [
        trigger(A), set_cppr(FIRST, 6), acknowledge(FIRST), set_cppr(FIRST, 7), set_cppr(FIRST, 3),
        trigger(B), set_cppr(FIRST, 6), acknowledge(FIRST),
    ]),
    program("a CPPR is loaded", BOTH, [
        set_cppr(FIRST, 5), *(TIMAAccess(FIRST, view, "load", OS_RING + CPPR, 1)
                              for view in (HW, HV, OS, USER)),
    ]),
    program("a pool context", BOTH, [
        TIMAAccess(FIRST, HW, "store", POOL_RING + WORD2, 4, CONTEXT_VALID | NOBODY),
        hardware("load", PULL_POOL, 4), hardware("load", PULL_POOL, 8),
    ]),
    program("a user context", BOTH, [
        TIMAAccess(FIRST, OS, "store", USER_WORD2, 4, CONTEXT_VALID | 7),
        TIMAAccess(FIRST, USER, "load", ACK_USER, 1),
        TIMAAccess(FIRST, USER, "load", USER_WORD2, 4),
        *(2 * [TIMAAccess(FIRST, OS, "load", USER_WORD2, 4)]),
    ]),
    program("queues of several sizes", [
        end(END_A, USUAL | 4 << 16, at=ENTRIES - 1), end(END_B, USUAL | 1 << 16),
    ], [*event(), *event(B), *event()]),
    program("queues that are full", [
        end(END_A, USUAL | 4 << 16, at=16 * ENTRIES - 1), end(END_B, USUAL, at=ENTRIES - 1),
    ], [*event(), *event(B), *event()]),
    program("physical thread", [end(END_A, nvt=HARDWARE_CAM | FIRST), end(END_B, nvt=0x80)], [
        *event(), hardware("store", PHYS_RING + WORD2, 1, 0x80), *event(), *event(B),
        hardware("store", PHYS_RING + CPPR, 1, 0xFF), hardware("load", ACK_HV, 2), *event(),
        hardware("store", PHYS_RING + CPPR, 1, 3), hardware("store", PHYS_RING + CPPR, 1, 7),
        hardware("load", ACK_HV, 2), hardware("store", PHYS_RING + WORD2, 1, 0), *event(B),
    ]),
]
