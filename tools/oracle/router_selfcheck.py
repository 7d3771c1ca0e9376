"""Proves the comparison of routers: two QEMUs agree, and every fault planted in one is found."""

import struct

import powernv
import quirks
from operations import Access
from quirks import Quirks
from router_cases import CASES
from router_comparison import compare_programs
from router_operations import NVT_BASE, ConfigureEND, ConfigureSource
from router_programs import NOBODY, WATCHED
from router_qemu import NVT_VALID, QEMURouter

# Corrections that change an answer; the other two end a program instead.
CORRECTED = set(quirks.DESCRIPTIONS) - {quirks.POOL_PRESENTED, quirks.PHYS_PIPR}
NVT_IPB_WORD = 4
FLAGS = {
    30: "nothing is enqueued", 29: "n is ignored", 28: "no backlog is kept",
    26: "nothing escalates", 25: "u is ignored", 24: "s is ignored",
    18: "queues of 64 KiB are of 4",
}


def check(programs):
    """Returns the outcome of two equal sides, and the lists of all and of missed faults."""
    with powernv.Powernv() as first, powernv.Powernv() as second:
        def outcome(programs, faulty):
            return compare_programs(programs, QEMURouter(first, WATCHED, Quirks()), faulty)

        programs = [*CASES, *programs]
        right = outcome(programs, QEMURouter(second, WATCHED, Quirks()))
        faults = list(_faults(second))
        missed = []
        for name, faulty in faults:
            # One program at a time: the cases are enough for most.
            if not any(outcome([program], faulty).differences for program in programs):
                missed.append(name)
            faulty.heal()
    return right, [name for name, _ in faults], missed


class Faulty(QEMURouter):
    """Does `change` to each operation before, and `harm` to the machine behind it."""

    def __init__(self, machine, change=lambda operation: operation, harm=lambda machine: None,
                 without=()):
        super().__init__(machine, WATCHED, Quirks(without))
        self.change = change
        self.harm = harm

    def perform(self, operation):
        value = super().perform(self.change(operation))
        self.harm(self.machine)
        return value

    def heal(self):
        _set_nvt(self.machine, NOBODY, 0, 0)


class Flagless(Faulty):
    """Has one flag of word 0 clear, and does not show it."""

    def __init__(self, machine, bit):
        super().__init__(machine, self._clear)
        self.bit = bit
        self.hidden = {}

    def observe(self):
        state = super().observe()
        for end, flag in self.hidden.items():
            words = state[f"END {end}"]
            state[f"END {end}"] = (words[0] | flag, *words[1:])
        return state

    def _clear(self, operation):
        if not isinstance(operation, ConfigureEND):
            return operation
        words = operation.words
        self.hidden[operation.end] = words[0] & 1 << self.bit
        return ConfigureEND(operation.end, (words[0] & ~(1 << self.bit), *words[1:]))


def _faults(machine):
    """Yields (what is wrong, side)."""
    for name in sorted(CORRECTED):
        yield f"{name} uncorrected", Faulty(machine, without={name})
    for bit, name in FLAGS.items():
        yield name, Flagless(machine, bit)
    yield "event data is one higher", Faulty(machine, _source(lambda s: s.eisn ^ 1, "eisn"))
    yield "no source is masked", Faulty(machine, _source(lambda _: False, "masked"))
    yield "events go to the next END", Faulty(machine, _source(lambda s: s.end + 1, "end"))
    yield "a trigger reaches the next source", Faulty(machine, _trigger_next)
    yield "backlogs are lost", Faulty(machine, harm=_lose_backlogs)
    yield "an invalid NVT is notified", Faulty(machine, harm=_make_valid)


def _source(value, field):
    def change(operation):
        if isinstance(operation, ConfigureSource):
            return operation._replace(**{field: value(operation)})
        return operation
    return change


def _trigger_next(operation):
    if isinstance(operation, Access) and operation.page == "trigger":
        return operation._replace(source=operation.source + 1)
    return operation


def _lose_backlogs(machine):
    for server in powernv.SERVERS:
        _set_nvt(machine, NVT_BASE + server, NVT_IPB_WORD, 0)


def _make_valid(machine):
    _set_nvt(machine, NOBODY, 0, NVT_VALID)


def _set_nvt(machine, nvt, word, value):
    struct.pack_into(">I", machine.ram, powernv.NVTT + nvt * powernv.NVT_SIZE + 4 * word, value)
