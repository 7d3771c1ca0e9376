"""Runs programs on two sides, step by step, and compares what both load and what both show."""

from typing import NamedTuple, Optional

HISTORY = 20
EMPTY = (0,) * 8  # an END that is not there


class RouterOutcome(NamedTuple):
    """The figures of a run, and the text that describes the first difference."""

    steps: int
    comparisons: int
    differences: int
    first: Optional[str]

    def __str__(self):
        noun = "difference" if self.differences == 1 else "differences"
        return f"{self.steps} steps, {self.comparisons} comparisons, {self.differences} {noun}"


class Difference(NamedTuple):
    what: str
    expected: object
    seen: object

    def __str__(self):
        return f"{self.what}: expected (QEMU) {_text(self.expected)}, seen {_text(self.seen)}"


def compare_programs(programs, qemu, device):
    """Compares program by program, up to the first difference in each.

    Behind it the sides are in different states, so that what follows means nothing until the next
    program's setup.
    """
    steps = comparisons = differences = 0
    first, others = None, []
    for program in programs:
        done, compared, difference = _compare_program(program, qemu, device)
        if difference and first is None:
            first = _describe(program, done, difference, qemu.observe())
        elif difference:
            others.append(program.name)
        steps += done
        comparisons += compared
        differences += difference is not None
    if others:
        first += f"\nalso different: {', '.join(others)}"
    return RouterOutcome(steps, comparisons, differences, first)


def compare_vectors(sequences, replays):
    """Compares recorded sequences; `replays` yields what each gave on a side."""
    steps = comparisons = differences = 0
    first = None
    for number, (sequence, replay) in enumerate(zip(sequences, replays)):
        steps += len(sequence["steps"])
        for what, expected, seen in replay:
            comparisons += 1
            if expected != seen:
                difference = Difference(what, expected, seen)
                first = first or f"first difference: recorded sequence {number}, {difference}"
                differences += 1
                break
    return RouterOutcome(steps, comparisons, differences, first)


def _compare_program(program, qemu, device):
    """Returns the number of steps done, of values compared, and the difference in the last step."""
    counts = qemu.quirks.counts.copy()
    for side in (qemu, device):
        side.clear_queues()
        for operation in program.setup:
            side.perform(operation)
    # What matters is how often steps met a quirk.
    qemu.quirks.counts = counts
    compared = 0
    for done, operation in enumerate([None, *program.steps]):
        if not qemu.allows(operation):
            continue
        expected, seen = (_step(side, operation) for side in (qemu, device))
        unfit = qemu.unfit(expected)
        difference = _first_difference(expected, seen, unfit or ())
        compared += len(expected)
        if difference or unfit:
            break
    return done, compared, difference


def _step(side, operation):
    if operation is None:
        return side.observe()
    value = side.perform(operation)
    return {"loaded value": value} | side.observe()


def _first_difference(expected, seen, unfit):
    for what, wanted in expected.items():
        if wanted != seen[what] and what not in unfit:
            if isinstance(wanted, bytes):
                return _in_memory(what, wanted, seen[what])
            return Difference(what, wanted, seen[what])
    return None


def _in_memory(what, expected, seen):
    for offset in range(0, len(expected), 4):
        wanted, got = expected[offset:offset + 4], seen[offset:offset + 4]
        if wanted != got:
            values = (int.from_bytes(part, "big") for part in (wanted, got))
            return Difference(f"{what}+{offset:#x}", *values)
    raise AssertionError("the memories differ in nothing")


def _describe(program, done, difference, state):
    """The last steps up to the difference, and what QEMU has behind them."""
    where = f"step {done - 1}" if done else "before its first step"
    lines = [f"first difference: {program.name}, {where}, {difference}", "last steps:"]
    first = max(0, done - HISTORY)
    lines += [f"  {first + i:4} {step}" for i, step in enumerate(program.steps[first:done])]
    lines.append("QEMU's state behind them:")
    lines += [f"  {what}: {_text(value)}" for what, value in state.items()
              if not isinstance(value, bytes) and value != EMPTY]
    return "\n".join(lines)


def _text(value):
    if isinstance(value, int):
        return f"{value:#x}"
    if isinstance(value, (tuple, list)):
        return " ".join(f"{part:08x}" for part in value)
    return "nothing" if value is None else str(value)
