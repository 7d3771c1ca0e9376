"""QEMU under the qtest protocol, whatever the machine."""

import shutil

from child import Child, ChildFailed
from unavailable import Unavailable

QEMU = "qemu-system-ppc64"
REMEDY = "install it: apt-get install --no-install-recommends qemu-system-ppc"
START_DEADLINE = 20
ANSWER_DEADLINE = 10
# Answers to a batch must fit QEMU's output pipe many times over.
BATCH = 1000


class QTest:
    """A stopped QEMU; a context manager that always ends the process it started."""

    def __init__(self, arguments):
        if shutil.which(QEMU) is None:
            raise Unavailable(f"{QEMU} is missing; {REMEDY}")
        # Distributions build QEMU without the qtest accelerator: TCG, never started, does.
        fixed = ["-accel", "tcg", "-S", "-display", "none"]
        protocol = ["-qtest", "stdio", "-qtest-log", "none"]
        self.child = Child([QEMU, *arguments, *fixed, *protocol])

    def __enter__(self):
        try:
            # The first answer also tells that the machine is up.
            self._ask(["endianness"], START_DEADLINE)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.child.end()

    def perform(self, commands):
        """Runs qtest commands; returns what each answered behind its OK."""
        answers = []
        for first in range(0, len(commands), BATCH):
            answers += self._ask(commands[first:first + BATCH], ANSWER_DEADLINE)
        return answers

    def _ask(self, commands, deadline):
        try:
            text = "".join(f"{command}\n" for command in commands)
            lines = self.child.exchange(text, len(commands), deadline)
        except ChildFailed as failure:
            raise Unavailable(f"{failure}; {REMEDY}, version 7.2 or later") from None
        for command, line in zip(commands, lines):
            if line.split(" ")[0] != "OK":
                raise Unavailable(f"{QEMU} answers {command!r} with {line!r}")
        return [line[3:] for line in lines]


def readq(address):
    return f"readq {address:#x}"


def writeq(address, value):
    return f"writeq {address:#x} {value:#x}"
