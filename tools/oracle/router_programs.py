"""Random programs for the router and the presenter: tables, then accesses and changes of tables."""

from typing import NamedTuple

import powernv
from operations import access as esb_access
from geometry import GEOMETRIES
from router_operations import (
    ACK_HV, CONTEXT_VALID, CPPR, HARDWARE_CAM, HV, HW, NVT_BASE, OS, OS_RING, PHYS_RING, POOL_RING,
    PRIORITIES, PULL_POOL, USER_WORD2, VIEWS, WORD2, ConfigureEND, ConfigureSource, ENDLoad,
    ENDStore, TIMAAccess, Watched, acknowledge, esb_load, fresh_context, pull, push, set_cppr,
    set_pending, trigger,
)

PROGRAM_LENGTH = 100
SOURCES = tuple(range(0x10, 0x1C))
ENDS = tuple(s * PRIORITIES + p for s in powernv.SERVERS for p in range(PRIORITIES))
# Sources can be routed to all but the last: priority 7 belongs to the hypervisor.
TARGETS = tuple(end for end in ENDS if end % PRIORITIES != PRIORITIES - 1)
# Queues overlap in it, which both sides must do in the same way.
QUEUE_BYTES = 256 << 10
WATCHED = Watched(powernv.SERVERS, SOURCES, ENDS, QUEUE_BYTES)
INVALID_END = ENDS[-1] + 1
NOBODY = 0x4FF  # an NVT that is not valid
SET_PQ_00 = 0xC00


class Program(NamedTuple):
    """`setup` brings both sides into the same state, whatever was before."""

    name: str
    setup: list
    steps: list


def programs(random, count):
    """Cuts `count` steps into programs."""
    result = []
    while count > 0:
        length = min(count, PROGRAM_LENGTH)
        result.append(program(random, f"program {len(result)}", length))
        count -= length
    return result


def program(random, name, length):
    setup = [operation for server in powernv.SERVERS for operation in fresh_context(server)]
    # A source can only be routed to an END with a queue, which may lose it later.
    setup += [with_queue(end) for end in ENDS]
    setup += [_source(random, lisn) for lisn in SOURCES]
    setup += [ConfigureEND(end, _words(random, end)) for end in ENDS]
    setup += [esb_load(lisn, SET_PQ_00) for lisn in SOURCES]
    for server in powernv.SERVERS:
        setup.append(set_cppr(server, random.choice((0xFF, 7, 4))))
    return Program(name, setup, [_step(random) for _ in range(length)])


def _step(random):
    weights = [weight for weight, _ in _STEPS]
    return random.choices([make for _, make in _STEPS], weights)[0](random)


# MARK: Sources

def _trigger(random):
    return trigger(random.choice(SOURCES))


def _rearm(random):
    return esb_load(random.choice(SOURCES), SET_PQ_00)


def _esb(random):
    return esb_access(random, GEOMETRIES[13], random.choice(SOURCES))


def _source(random, lisn=None):
    lisn = random.choice(SOURCES) if lisn is None else lisn
    # A number of its own: what is configured a second time is not configured at all.
    return ConfigureSource(
        lisn, random.choice(TARGETS), random.getrandbits(31), random.random() < 0.1)


# MARK: ENDs

def with_queue(end):
    """An END to which sources can be routed."""
    return ConfigureEND(end, (0xC0000000, 0, 0, powernv.QUEUES, 0, 0, 0, 0))


def _words(random, end):
    """An END; events escalate to higher ENDs only, so that they come to an end."""
    flags = ((31, 0.93), (30, 0.85), (29, 0.5), (28, 0.6), (26, 0.5), (25, 0.5), (24, 0.12))
    word0 = sum((random.random() < chance) << bit for bit, chance in flags)
    size = random.choice((0, 0, 0, 1, 4))
    word0 |= size << 16
    entries = 1 << size + 10
    index = random.choice((0, entries - 1, entries - 2, random.randrange(entries)))
    states = random.choice((0, 0, random.randrange(16)))
    word1 = states << 28 | random.randrange(2) << 22 | index
    queue = powernv.QUEUES + random.randrange(QUEUE_BYTES // (entries * 4)) * entries * 4
    higher = [*ENDS[ENDS.index(end) + 1:], INVALID_END]
    escalation = random.choice((higher[0], random.choice(higher)))
    return (
        word0, word1, queue >> 32, queue & 0xFFFFFFFF, escalation, random.getrandbits(31),
        _nvt(random, end // PRIORITIES), _priority(random, end) << 16,
    )


def _nvt(random, server):
    other = random.choice(powernv.SERVERS)
    choices = (NVT_BASE + server, NVT_BASE + other, HARDWARE_CAM | other, NOBODY)
    return random.choices(choices, (12, 4, 4, 1))[0]


def _priority(random, end):
    choices = (end % PRIORITIES, random.randrange(PRIORITIES), 0xFF, 8)
    return random.choices(choices, (12, 6, 1, 1))[0]


def _end(random):
    end = random.choice(ENDS)
    return ConfigureEND(end, _words(random, end))


def _end_load(random):
    windows = (0x000, 0x400, 0x800, 0xC00, 0xD00, 0xE00, 0xF00)
    window = random.choices(windows, (6, 3, 1, 3, 1, 1, 4))[0]
    return ENDLoad(
        random.choice(ENDS), random.randrange(2), window + 8 * random.randrange(0x100 // 8))


def _end_store(random):
    return ENDStore(
        random.choice(ENDS), random.randrange(2), 8 * random.randrange(0x200),
        random.getrandbits(64))


# MARK: TIMA

def _server(random):
    return random.choice(powernv.SERVERS)


def _own(random):
    return random.random() < 0.5


def _acknowledge(random):
    return acknowledge(_server(random), _own(random))


def _set_cppr(random):
    return set_cppr(_server(random), _cppr(random), _own(random))


def _cppr(random):
    return random.choice((0xFF, 0xFF, random.randrange(8), random.randrange(256)))


def _set_pending(random):
    return set_pending(_server(random), random.choice((*range(9), 0xFF)), _own(random))


def _push(random):
    server = _server(random)
    nvt = random.choices((NVT_BASE + server, NVT_BASE + _server(random)), (4, 1))[0]
    return push(server, nvt)


def _pull(random):
    return pull(_server(random), random.choice((4, 8)))


def _load_cppr(random):
    return TIMAAccess(_server(random), OS, "load", OS_RING + CPPR, 1, own=_own(random))


def _hypervisor(random):
    server, own = _server(random), _own(random)
    return random.choice((
        TIMAAccess(server, HV, "load", ACK_HV, 2, own=own),
        TIMAAccess(server, HV, "store", PHYS_RING + CPPR, 1, _cppr(random), own),
        TIMAAccess(server, HV, "store", PHYS_RING + WORD2, 1, random.choice((0x80, 0)), own),
        TIMAAccess(server, HV, "load", PHYS_RING + WORD2, 1, own=own),
    ))


def _pool(random):
    server, own = _server(random), _own(random)
    # QEMU cannot go on behind an event for the pool: mostly it is the context of nobody.
    context = CONTEXT_VALID | random.choice((NOBODY, NOBODY, NVT_BASE + _server(random)))
    if random.random() < 0.5:
        return TIMAAccess(server, HW, "store", POOL_RING + WORD2, 4, context, own)
    return TIMAAccess(server, HV, "load", PULL_POOL, random.choice((4, 8)), own=own)


def _user(random):
    server, own = _server(random), _own(random)
    if random.random() < 0.5:
        return TIMAAccess(server, OS, "store", USER_WORD2, 4, random.getrandbits(32), own)
    return TIMAAccess(server, OS, "load", USER_WORD2, 4, own=own)


def _raw(random):
    """Any aligned access of any size in any view."""
    size = random.choice((1, 2, 4, 8))
    page = random.choice((range(0x40), range(0x40), range(0x800), range(0x800, 0x1000)))
    offset = random.choice(page) // size * size
    view = random.randrange(len(VIEWS))
    if random.random() < 0.5:
        return TIMAAccess(_server(random), view, "load", offset, size, own=_own(random))
    value = random.getrandbits(8 * size) & random.choice((-1, random.getrandbits(64)))
    return TIMAAccess(_server(random), view, "store", offset, size, value, _own(random))


_STEPS = (
    (26, _trigger),
    (12, _rearm),
    (6, _esb),
    (4, _source),
    (5, _end),
    (8, _end_load),
    (1, _end_store),
    (10, _acknowledge),
    (10, _set_cppr),
    (3, _set_pending),
    (6, _push),
    (5, _pull),
    (2, _load_cppr),
    (6, _hypervisor),
    (3, _pool),
    (2, _user),
    (8, _raw),
)
