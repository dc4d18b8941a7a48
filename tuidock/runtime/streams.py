"""The monitor's side of one process's stdin, stdout and stderr, and who is attached to them.

A client that reads slowly holds the container back only when BACKLOG bytes wait for it: then its streams are read no
further until it has caught up, as docker does.  A client that is gone holds nothing.
"""

from __future__ import annotations

import os

from tuidock.runtime import wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket

BACKLOG = 1 << 20
LEFT = 2 << 20
"""What the pipes of an ended process may still hold: two, and fcntl(2) lets anybody make each as large as 1 MiB."""
CHUNK = 64 << 10


class Client:
    """One connection: a front end that attached, waits, or started this."""

    def __init__(self, connection: socket) -> None:
        connection.setblocking(False)
        self.connection = connection
        self.descriptor = connection.fileno()
        self.unpacker = wire.Unpacker()
        self.waiting = bytearray()
        """What is still to be sent."""
        self.job: Job | None = None
        """The process it talks to, once it has said which."""
        self.streams = False
        """Whether it wants the output."""
        self.cleans = False
        """Whether it does the clean-up when the container has ended, so that no process need be started for that."""
        self.gone = False

    def send(self, message: bytes) -> None:
        """Send now what goes, keep the rest."""
        if self.gone:
            return
        if self.waiting:
            self.waiting += message
            return
        try:
            sent = self.connection.send(message)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.gone = True
            return
        if sent < len(message):
            self.waiting += message[sent:]

    def flush(self) -> None:
        """Send what waited; called when the socket takes bytes again."""
        try:
            sent = self.connection.send(self.waiting[: CHUNK * 4])
        except BlockingIOError:
            return
        except OSError:
            self.gone = True
            self.waiting.clear()
            return
        del self.waiting[:sent]


class Job:
    """A process of the container: pid 1 or one that was exec'ed."""

    def __init__(self, pid: int, pidfd: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.clients: list[Client] = []
        self.channel: socket | None = None
        """To its init, until it runs."""
        self.terminal = -1
        """The pty's master; then there is no other stream."""
        self.slave = -1
        """The pty's other end, held until the process has ended: without it the master hangs up between two users."""
        self.stdin = -1
        self.stdin_once = False
        """Close stdin when the client that was attached first goes (docker: StdinOnce)."""
        self.outputs: dict[int, int] = {}
        """Descriptor to stream number (log.STDOUT, log.STDERR)."""
        self.input = bytearray()
        self.input_ended = False
        self.status: int | None = None
        """As waitstatus_to_exitcode with 128 + N for signals, once it has ended."""
        self.ended_at = 0.0
        """monotonic seconds"""

    @property
    def held(self) -> bool:
        """Whether a client is too far behind to read more.

        Of a process that has ended what its pipes still hold is read all the same: nothing comes after that, and its end
        waits for no reader.
        """
        most = BACKLOG if self.status is None else BACKLOG + LEFT
        return any(len(client.waiting) > most and not client.gone for client in self.clients if client.streams)

    def take_input(self, content: bytes) -> None:
        self.input += content
        self.feed()

    def feed(self) -> None:
        """Write to the process what it takes; the rest waits for its pipe."""
        target = self.terminal if self.terminal >= 0 else self.stdin
        if target < 0:
            self.input.clear()
            return
        while self.input:
            try:
                written = os.write(target, self.input[:CHUNK])
            except BlockingIOError:
                return
            except OSError:  # EPIPE, EIO: it reads no more
                self.input.clear()
                break
            del self.input[:written]
        if self.input_ended:
            self.close_input()

    def end_input(self) -> None:
        """The client's stdin has ended: half close (docker: CloseStdin).  A terminal is not closed by that."""
        self.input_ended = True
        if not self.input:
            self.close_input()

    def close_input(self) -> None:
        if self.stdin >= 0:
            os.close(self.stdin)
            self.stdin = -1

    def let_go(self) -> None:
        """The process has ended: from now on its terminal ends when the last other user of it does."""
        if self.slave >= 0:
            os.close(self.slave)
            self.slave = -1

    def close(self) -> None:
        self.close_input()
        self.let_go()
        for descriptor in {*self.outputs, self.terminal, self.pidfd} - {-1}:
            os.close(descriptor)
        self.outputs = {}
        self.terminal = self.pidfd = -1
