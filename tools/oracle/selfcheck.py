"""Proves the instrument: a right model must agree with QEMU, every wrong one must be found."""

from comparison import compare
from model import Model, wrong_models
from pseries import PseriesESB


def check(combination, sequences):
    """Returns the outcome for the right model, and the lists of all and of missed wrong ones."""
    with PseriesESB(combination) as qemu:
        expected = [qemu.perform(sequence.accesses) for sequence in sequences]
    right = Model(combination)
    outcome = _outcome(sequences, expected, right)
    used = {right.operation(a) for sequence in sequences for a in sequence.accesses}
    wrong = list(wrong_models(combination, sorted(used)))
    missed = [name for name, model in wrong if not _outcome(sequences, expected, model).differences]
    return outcome, [name for name, _ in wrong], missed


def _outcome(sequences, expected, model):
    seen = (model.perform(sequence.accesses) for sequence in sequences)
    return compare(sequences, expected, seen, fresh=True)
