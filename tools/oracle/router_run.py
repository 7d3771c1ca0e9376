"""What oracle.py --router does: recorded sequences, TIMA accesses, random programs."""

import random
from contextlib import ExitStack

import powernv
import router_selfcheck
import tima_matrix
import vectors
from device import DeviceFailed
from geometry import GEOMETRIES, Combination
from quirks import DESCRIPTIONS, PULL_BYTE_ORDER, Quirks
from router_cases import CASES
from router_comparison import RouterOutcome, compare_programs, compare_vectors
from router_device import RouterDevice
from router_programs import WATCHED, programs
from router_qemu import QEMURouter
from server import Server

COMBINATION = Combination(GEOMETRIES[13], False)


def run(arguments):
    """Yields what --json shows of each part."""
    work = programs(random.Random(arguments.seed), arguments.steps)
    if arguments.self_check:
        yield _self_check(work)
        return
    with ExitStack() as stack:
        path = arguments.path
        if path is None:
            path = stack.enter_context(Server(arguments.serve, COMBINATION)).path
        device = stack.enter_context(RouterDevice(path, powernv.SERVERS, powernv.QUEUES))
        machine = stack.enter_context(powernv.Powernv())
        for name, part in _parts(arguments, work):
            try:
                yield {"part": name} | part(machine, device)
            except DeviceFailed as failure:
                yield {"part": name, "passed": False, "failure": str(failure)}
                return


def _parts(arguments, work):
    """Yields the name of each part, and the function of both sides that does it."""
    if arguments.vectors is not None:
        sequences = vectors.load(arguments.vectors)
        yield "recorded sequences", lambda *sides: _vectors(sequences, *sides)
    if arguments.tima is not None:
        cases = tima_matrix.sample(random.Random(arguments.seed), arguments.tima or None)
        yield "TIMA accesses", lambda *sides: _tima(cases, *sides)
    yield "cases", lambda *sides: _programs(CASES, *sides)
    yield "random programs", lambda *sides: _programs(work, *sides)


def record_tima():
    """What QEMU answers to every TIMA access, as text; one quirk is corrected, the rest marked."""
    with powernv.Powernv() as machine:
        marked = Quirks(without=set(DESCRIPTIONS) - {PULL_BYTE_ORDER})
        return tima_matrix.record(QEMURouter(machine, tima_matrix.WATCHED, marked))


def _programs(work, machine, device):
    quirks = Quirks()
    device.watch(WATCHED)
    outcome = compare_programs(work, QEMURouter(machine, WATCHED, quirks), device)
    return _result(outcome, quirks)


def _vectors(sequences, machine, device):
    """QEMU first: a difference there is one of the set-up."""
    quirks = Quirks()
    for sides in (lambda watched: QEMURouter(machine, watched, quirks), device.watch):
        replays = [vectors.replay(sides, sequence) for sequence in sequences]
        outcome = compare_vectors(sequences, replays)
        if outcome.differences:
            break
    return _result(outcome, quirks)


def _tima(cases, machine, device):
    quirks = Quirks()
    device.watch(tima_matrix.WATCHED)
    found = list(tima_matrix.differences(
        cases, QEMURouter(machine, tima_matrix.WATCHED, quirks), device))
    first = f"first difference: {found[0]}" if found else None
    return _result(RouterOutcome(len(cases), 2 * len(cases), len(found), first), quirks)


def _self_check(work):
    outcome, faults, missed = router_selfcheck.check(work)
    found = len(faults) - len(missed)
    return {"part": "self-check"} | outcome._asdict() | {
        "wrongModels": len(faults),
        "missed": missed,
        "passed": not outcome.differences and not missed,
        "summary": f"{outcome}; {found} of {len(faults)} planted faults found",
    }


def _result(outcome, quirks):
    return outcome._asdict() | {
        "quirks": dict(quirks.counts),
        "passed": not outcome.differences,
        "summary": f"{outcome}; corrected: {quirks}",
    }
