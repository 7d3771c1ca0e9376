"""Compares what two sides answered to the same sequences."""

from typing import NamedTuple, Optional

HISTORY = 20


class Outcome(NamedTuple):
    """The figures of one combination, and the text that describes the first difference."""

    steps: int
    comparisons: int
    differences: int
    first: Optional[str]

    def __str__(self):
        noun = "difference" if self.differences == 1 else "differences"
        figures = f"{self.steps} steps, {self.comparisons} PQ comparisons"
        return f"{figures}, {self.differences} {noun}"


def compare(sequences, expected, seen, fresh):
    """Compares sequence by sequence, up to the first difference in each.

    After that the two sides are in different states, so that what follows means nothing until
    the next reset. `fresh`: no side was used before, so that what the resets load counts, too.
    """
    steps = comparisons = differences = 0
    first = None
    for sequence, wanted, got in zip(sequences, expected, seen):
        compared, difference = _compare_sequence(
            sequence, wanted, got, check_resets=fresh and not differences
        )
        if difference and first is None:
            first = _describe(sequence, wanted, got, difference, steps)
        steps += len(sequence.steps)
        comparisons += compared
        differences += difference is not None
    return Outcome(steps, comparisons, differences, first)


def _compare_sequence(sequence, wanted, got, check_resets):
    """Returns the number of PQ compared and the index of the first different answer."""
    compared = 0
    resets = len(sequence.resets)
    if check_resets and wanted[:resets] != got[:resets]:
        return 0, next(i for i in range(resets) if wanted[i] != got[i])
    position = resets
    for step in sequence.steps:
        end = position + len(step.accesses)
        compared += len(step.watched)
        if wanted[position:end] != got[position:end]:
            return compared, next(i for i in range(position, end) if wanted[i] != got[i])
        position = end
    return compared, None


def _describe(sequence, wanted, got, difference, steps_before):
    """The last steps up to the different answer, with what both sides answered."""
    resets = len(sequence.resets)
    access = sequence.accesses[difference]
    watching = difference >= resets and (difference - resets) % len(sequence.steps[0].accesses)
    form = _pq if watching else _value
    text = f"expected (QEMU) {form(wanted[difference])}, seen {form(got[difference])}"
    if difference < resets:
        return f"first difference: source {access.source:#x} is not as created: {text}"
    size = len(sequence.steps[0].accesses)
    failed = (difference - resets) // size
    if watching:
        what = f"PQ of source {access.source:#x} after it"
    else:
        what = "loaded value" if access.op == "load" else "store"
    lines = [f"first difference: step {steps_before + failed}, {what}: {text}", "last steps:"]
    for index in range(max(0, failed + 1 - HISTORY), failed + 1):
        at = resets + index * size
        step = sequence.steps[index]
        sources = f"sources {step.watched[0]:#x}-{step.watched[-1]:#x}"
        lines.append(f"  {steps_before + index:6} {step.access}")
        lines.append(f"         expected {_answers(wanted[at:at + size])} of {sources}")
    lines.append(f"         seen     {_answers(got[at:at + size])} of {sources}")
    return "\n".join(lines)


def _answers(values):
    loaded = "" if values[0] is None else f"value {_value(values[0])}, "
    return loaded + "PQ " + " ".join(_pq(value) for value in values[1:])


def _pq(value):
    return f"{value:02b}" if value in range(4) else _value(value)


def _value(value):
    """A loaded value, or the name of the error that came instead."""
    return f"{value:#x}" if isinstance(value, int) else str(value or "done")
