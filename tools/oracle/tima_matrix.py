"""Every access that a TIMA page can see: all offsets, sizes and views, loads and stores."""

import json
from typing import NamedTuple

from router_operations import (
    HW, OS_RING, PHYS_RING, POOL_RING, VIEWS, WORD2, TIMAAccess, Watched, fresh_context, pull,
    set_cppr, set_pending,
)

SERVER = 4
WATCHED = Watched((SERVER,), (), (), 0)
PAGE = 0x1000
BLOCK = 0x40  # the rings, and with them most answers, repeat in it
SPECIAL = 0x800  # operations with more effect than the rings have
SIZES = (1, 2, 4, 8)
# The lowest byte is a priority, so that an operation that takes another size would show; word 2 of
# it belongs to no NVT.
VALUES = {1: 0x05, 2: 0x9302, 4: 0x92000402, 8: 0x92000402_95969702}


class State(NamedTuple):
    """What the registers are before an access: a name, and how to get there."""

    name: str
    accesses: list


def _store(offset, value):
    return TIMAAccess(SERVER, HW, "store", offset, 8, value)


STATES = (
    State("pending", [
        *fresh_context(SERVER),
        _store(OS_RING, 0x000340A1_B2C30000),
        set_pending(SERVER, 4),
        _store(POOL_RING, 0x00000077_00000000),
        _store(POOL_RING + WORD2, 0x80012345_00000000),
        _store(PHYS_RING, 0x000400D1_00E30000),
        _store(PHYS_RING + WORD2, 0x8000005A_5B5C5D00),
    ]),
    State("idle", [
        *fresh_context(SERVER),
        pull(SERVER),
        set_cppr(SERVER, 6),
        _store(PHYS_RING, 0x800400D1_00E30000),
        _store(PHYS_RING + WORD2, 0x0000005A_5B5C5D00),
    ]),
)


def accesses(op, size, view):
    """One of each offset."""
    value = VALUES[size] if op == "store" else None
    return [TIMAAccess(SERVER, view, op, offset, size, value) for offset in range(0, PAGE, size)]


def all_accesses():
    for op in ("load", "store"):
        for size in SIZES:
            for view in range(len(VIEWS)):
                yield op, size, view, accesses(op, size, view)


def answer(side, state, access):
    """What an access does to a state: the loaded value, and the registers that are changed."""
    side.perform_plain(state.accesses)
    value = side.perform(access)
    return value, registers(side)


def registers(side):
    """The four rings, the user's left out, as hexadecimal digits."""
    loads = [TIMAAccess(SERVER, HW, "load", offset, 8) for offset in WATCHED.registers]
    return "".join(f"{value:016x}" for value in side.perform_plain(loads))


def before(side, state):
    side.perform_plain(state.accesses)
    return registers(side)


def sample(random, count):
    """Some accesses in some states, those with an effect first; `count` None is all of them."""
    cases = [(state, access) for state in STATES for *_, row in all_accesses() for access in row]
    if count is None:
        return cases
    random.shuffle(cases)
    return sorted(cases, key=lambda case: case[1].offset & ~SPECIAL >= BLOCK)[:count]


def differences(cases, qemu, device):
    """Yields the text of each case that the sides answer differently."""
    for state, access in cases:
        expected, seen = (answer(side, state, access) for side in (qemu, device))
        if expected != seen:
            yield (f"{access}, state {state.name!r}: expected (QEMU) {_text(*expected)}, "
                   f"seen {_text(*seen)}")


def record(qemu):
    """Everything QEMU answers, as the text of a data file."""
    rows = []
    for state in STATES:
        first = before(qemu, state)
        for op, size, view, row in all_accesses():
            results = [_result(qemu, state, access, first) for access in row]
            rows.append({"state": state.name, "op": op, "size": size, "view": VIEWS[view],
                         "blocks": _runs(results, BLOCK // size)})
    states = [
        {"name": state.name, "registers": before(qemu, state),
         "setup": [_plain(access) for access in state.accesses]}
        for state in STATES
    ]
    values = {str(size): f"{value:0{2 * size}x}" for size, value in VALUES.items()}
    lines = [json.dumps(row, separators=(",", ":")) for row in rows]
    head = json.dumps({"server": SERVER, "values": values, "states": states})
    body = ",\n".join(lines)
    return f'{head[:-1]}, "rows": [\n{body}\n]}}\n'


def _result(qemu, state, access, first):
    counted = dict(qemu.quirks.counts)
    value, after = answer(qemu, state, access)
    quirks = [name for name, count in qemu.quirks.counts.items() if count != counted[name]]
    parts = [] if value is None else [f"{value & (1 << 8 * access.size) - 1:0{2 * access.size}x}"]
    parts += _changes(first, after)
    return " ".join(parts + [f"!{name}" for name in quirks])


def _changes(first, after):
    """The bytes that changed, as offset=value."""
    changes = []
    for index in range(0, len(first), 2):
        if first[index:index + 2] != after[index:index + 2]:
            changes.append(f"{OS_RING + index // 2:02x}={after[index:index + 2]}")
    return changes


def _runs(results, length):
    """Cuts results into blocks, and joins equal ones: [first block, last block, results]."""
    runs = []
    for block, start in enumerate(range(0, len(results), length)):
        part = results[start:start + length]
        if runs and runs[-1][2] == part:
            runs[-1][1] = block
        else:
            runs.append([block, block, part])
    return runs


def _plain(access):
    value = None if access.value is None else f"{access.value:0{2 * access.size}x}"
    return [access.op, VIEWS[access.view], access.offset, access.size, value]


def _text(value, after):
    loaded = "" if value is None else f"{value:#x}, " if isinstance(value, int) else f"{value}, "
    return loaded + " ".join(after[i:i + 16] for i in range(0, len(after), 16))
