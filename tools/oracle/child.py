"""A child process that talks in lines, with a deadline for every answer."""

import ctypes
import os
import select
import signal
import subprocess
import tempfile
import time

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)


class ChildFailed(Exception):
    """The child ended, or broke the protocol."""


class ChildSilent(ChildFailed):
    """The child is alive and does not answer."""


class Child:
    """Starts `command`; `death_signal` reaches it even if this process is killed.

    It keeps the descriptors of `inherited`, with their numbers.
    """

    def __init__(self, command, death_signal=signal.SIGKILL, inherited=()):
        self.name = os.path.basename(command[0])
        self.errors = tempfile.TemporaryFile()
        self.unread = b""
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            bufsize=0,
            pass_fds=inherited,
            preexec_fn=lambda: LIBC.prctl(PR_SET_PDEATHSIG, death_signal),
        )
        os.set_blocking(self.process.stdin.fileno(), False)

    def exchange(self, text, count, deadline):
        """Sends `text` and returns `count` lines, none more than `deadline` seconds late."""
        unsent, lines = text.encode(), []
        limit = time.monotonic() + deadline
        # Both directions at once: a child blocked on a full pipe would read no further.
        while unsent or len(lines) < count:
            readable, writable = self._wait(bool(unsent), limit)
            if writable:
                unsent = unsent[self._send(unsent):]
            if readable:
                lines += self._receive()
                limit = time.monotonic() + deadline
        if len(lines) > count:
            raise ChildFailed(f"{self.name} said more than it was asked: {lines[count]}")
        return lines

    def end(self, with_signal=signal.SIGKILL, patience=5):
        """Ends the process; true when it was gone in time without further force."""
        gone = self._signal_and_wait(with_signal, patience)
        if not gone and with_signal != signal.SIGKILL:
            self._signal_and_wait(signal.SIGKILL, patience)
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            stream.close()
        return gone

    def last_words(self):
        """The last line on standard error, for a message."""
        self.errors.seek(0)
        lines = self.errors.read().decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it gave no reason"

    def _wait(self, sending, limit):
        streams = [self.process.stdout], [self.process.stdin] if sending else []
        readable, writable, _ = select.select(*streams, [], max(0, limit - time.monotonic()))
        if not readable and not writable:
            raise ChildSilent(f"{self.name} does not answer")
        return readable, writable

    def _send(self, data):
        try:
            return os.write(self.process.stdin.fileno(), data)
        except BrokenPipeError:
            raise self._ended() from None

    def _receive(self):
        data = os.read(self.process.stdout.fileno(), 1 << 16)
        if not data:
            raise self._ended()
        *lines, self.unread = (self.unread + data).split(b"\n")
        return [line.decode(errors="replace") for line in lines]

    def _ended(self):
        return ChildFailed(f"{self.name} ended: {self.last_words()}")

    def _signal_and_wait(self, number, patience):
        self.process.send_signal(number)
        try:
            self.process.wait(patience)
        except subprocess.TimeoutExpired:
            return False
        return True
