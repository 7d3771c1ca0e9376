#!/usr/bin/env python3
"""Compares a device file with QEMU's model of XIVE, live, on random ESB operations.

Every loaded value is compared, and after each step the PQ of the source that it touched and of
its neighbours. Sequences of 250 steps start from PQ 01; the figure of differences is the number of
sequences in which the two sides parted. A device that stops answering is aborted and unmounted.

With --router the whole controller is compared with QEMU's powernv9 instead: after each step the
TIMA of three vCPUs (servers 0, 4 and 8), all of their ENDs, the memory of all queues, and the PQ of
all sources in use. A program of 100 steps sets all of these first. Where QEMU is known to differ
from hardware its answer is corrected; the summary tells how often each correction was needed.

exit status: 0 all equal, 1 a difference or a device that does not answer, 64 usage,
69 QEMU or the server is missing
"""

import argparse
import json
import random
import shlex
import signal
import sys
from contextlib import ExitStack

sys.dont_write_bytecode = True

import router_run
import selfcheck
from comparison import compare
from device import DeviceFailed, DeviceFile
from geometry import ALL_COMBINATIONS, GEOMETRIES, Combination
from operations import sequences
from pseries import PseriesESB
from quirks import DESCRIPTIONS
from server import Server
from unavailable import Unavailable

DIFFERENT, USAGE, UNAVAILABLE = 1, 64, 69


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.print_usage(sys.stderr)
        self.exit(USAGE, f"{self.prog}: {message}\n")


def main():
    # So that SIGTERM leaves no process or mount behind either.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    arguments = parse()
    if not arguments.json:
        print(f"seed {arguments.seed}", flush=True)
    results = []
    try:
        if arguments.record_tima:
            record(arguments.record_tima)
            return 0
        for name, result in work(arguments):
            results.append(result)
            if not arguments.json:
                report(name, result)
    except Unavailable as reason:
        print(f"oracle.py: {reason}", file=sys.stderr)
        return UNAVAILABLE
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    if arguments.json:
        kind = "router" if arguments.router else "combinations"
        print(json.dumps({"seed": arguments.seed, kind: results}, indent=2))
    return 0 if all(result["passed"] for result in results) else DIFFERENT


def parse():
    parser = Parser(
        prog="oracle.py",
        description=__doc__,
        epilog="what --router corrects of QEMU:\n" + "\n".join(
            f"  {name:16} {text}" for name, text in DESCRIPTIONS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("path", metavar="PATH", nargs="?",
                        help="a device file that is served with --create 0-0x1fff")
    parser.add_argument("--serve", metavar="BINARY", help="serve one with this xive command")
    parser.add_argument("--self-check", action="store_true",
                        help="compare QEMU with a right and with wrong models instead; "
                        "finding them all takes some 2000 steps")
    parser.add_argument("--seed", type=int, help="repeat a run; random when not given")
    parser.add_argument("--steps", type=int, default=2000, help="default %(default)s")
    parser.add_argument("--geometry", type=int, choices=GEOMETRIES,
                        help="ESB shift; default 17, with PATH 13 or 17 by its page size")
    parser.add_argument("--store-eoi", action="store_true", help="sources support StoreEOI")
    parser.add_argument("--all", action="store_true", help="all geometries, StoreEOI off and on")
    parser.add_argument("--router", action="store_true",
                        help="compare the router and the presenter; PATH must have no vCPU and no "
                        "guest memory yet, and room for server 8")
    parser.add_argument("--vectors", metavar="FILE",
                        help="with --router: replay these recorded sequences first, on both sides")
    parser.add_argument("--tima", type=int, metavar="COUNT",
                        help="with --router: so many TIMA accesses, of all offsets, sizes and "
                        "views; the first 3840 are those that could have an effect, 0 is all of "
                        "them, which takes minutes")
    parser.add_argument("--record-tima", metavar="FILE",
                        help="write what QEMU answers to all of them, and end")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    arguments = parser.parse_args()
    sides = bool(arguments.path), bool(arguments.serve), arguments.self_check
    if sum(sides) + bool(arguments.record_tima) != 1:
        parser.error("give one of PATH, --serve, --self-check and --record-tima")
    if arguments.router and (arguments.all or arguments.geometry or arguments.store_eoi):
        parser.error("--router goes without --all, --geometry and --store-eoi")
    if not arguments.router and (arguments.vectors or arguments.tima is not None):
        parser.error("--vectors and --tima go with --router")
    if arguments.all and (arguments.path or arguments.geometry or arguments.store_eoi):
        parser.error("--all goes without PATH, --geometry and --store-eoi")
    if arguments.steps < 1:
        parser.error("--steps must be at least 1")
    if arguments.seed is None:
        arguments.seed = random.SystemRandom().getrandbits(32)
    return arguments


def work(arguments):
    """Yields the name of each part of the run, and what --json shows of it."""
    if arguments.router:
        for result in router_run.run(arguments):
            yield result["part"], finished(result, arguments)
    else:
        for combination in combinations(arguments):
            yield combination, finished(run(arguments, combination), arguments, combination)


def finished(result, arguments, combination=None):
    return result if result["passed"] else {**result, "repeat": repetition(arguments, combination)}


def record(path):
    text = router_run.record_tima()
    with open(path, "w", encoding="ascii") as file:
        file.write(text)


def combinations(arguments):
    if arguments.all:
        return ALL_COMBINATIONS
    shift = arguments.geometry
    if shift is None:
        shift = shift_of(arguments.path) if arguments.path else 17
    return [Combination(GEOMETRIES[shift], arguments.store_eoi)]


def shift_of(path):
    with DeviceFile(path) as device:
        return 17 if device.page_size == GEOMETRIES[17].page_size else 13


def run(arguments, combination):
    """Returns what --json shows of one combination."""
    # The same seed for each, so that each can be repeated alone.
    generator = random.Random(arguments.seed)
    work = sequences(generator, combination.geometry, arguments.steps)
    heading = {"esbShift": combination.geometry.shift, "storeEOI": combination.store_eoi}
    if arguments.self_check:
        return heading | run_self_check(combination, work)
    try:
        outcome = run_device(arguments, combination, work)
    except DeviceFailed as failure:
        return heading | {"passed": False, "failure": str(failure)}
    return heading | outcome._asdict() | {
        "passed": not outcome.differences,
        "summary": str(outcome),
    }


def run_device(arguments, combination, work):
    with ExitStack() as stack:
        path = arguments.path
        if path is None:
            path = stack.enter_context(Server(arguments.serve, combination)).path
        device = stack.enter_context(DeviceFile(path))
        if device.page_size != combination.geometry.page_size:
            wanted = combination.geometry.page_size >> 10
            raise Unavailable(f"{path} has pages of {device.page_size} bytes; serve it with "
                              f"--page-size {wanted}k or choose another --geometry")
        qemu = stack.enter_context(PseriesESB(combination))
        expected = (qemu.perform(sequence.accesses) for sequence in work)
        seen = (device.perform(sequence.accesses) for sequence in work)
        return compare(work, expected, seen, fresh=arguments.path is None)


def run_self_check(combination, work):
    outcome, wrong, missed = selfcheck.check(combination, work)
    found = len(wrong) - len(missed)
    return outcome._asdict() | {
        "wrongModels": len(wrong),
        "missed": missed,
        "passed": not outcome.differences and not missed,
        "summary": f"{outcome}; {found} of {len(wrong)} wrong models found",
    }


def report(name, result):
    print(f"{name}: {result.get('failure') or result['summary']}")
    if result.get("first"):
        print(result["first"])
    for name in result.get("missed", []):
        print(f"not found: {name}")
    if not result["passed"]:
        print(f"repeat: {result['repeat']}")
    sys.stdout.flush()


def repetition(arguments, combination):
    command = [sys.argv[0]]
    if arguments.self_check:
        command.append("--self-check")
    else:
        command += ["--serve", arguments.serve] if arguments.serve else [arguments.path]
    command += ["--seed", str(arguments.seed), "--steps", str(arguments.steps)]
    if combination is not None:
        command += ["--geometry", str(combination.geometry.shift)]
        command += ["--store-eoi"] * combination.store_eoi
    else:
        command.append("--router")
        command += ["--vectors", arguments.vectors] if arguments.vectors else []
        command += ["--tima", str(arguments.tima)] if arguments.tima is not None else []
    return shlex.join(command)


if __name__ == "__main__":
    sys.exit(main())
