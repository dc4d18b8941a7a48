"""The other end of the monitor's socket, for the command line and the screen alike."""

from __future__ import annotations

import _signal as signal
import _socket
import os
import select
import stat

from tuidock import errors
from tuidock.errors import Interrupted, RuntimeFailure, TuidockError
from tuidock.runtime import terminal, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CHUNK = 64 << 10
PATIENCE = 3
"""Signals to end that who waits for its own reader passes on before it takes one as meant for itself (as docker)."""
PIPE_BUF = 4096
"""pipe(7): so many bytes are written at once or not at all."""
DETACH_KEYS = b"\x10\x11"
"""ctrl-p ctrl-q"""

PASSED_ON = (
    signal.SIGHUP,
    signal.SIGINT,
    signal.SIGQUIT,
    signal.SIGTERM,
    signal.SIGUSR1,
    signal.SIGUSR2,
    signal.SIGALRM,
)
"""Not SIGCHLD, SIGPIPE and what stops or continues this process itself."""


class Session:
    """A process of a container and this end of its streams."""

    def __init__(self, connection: _socket.socket, pid: int = 0) -> None:
        self.connection = connection
        self.pid = pid
        """In this pid namespace."""
        self.status: int | None = None
        """Its exit status, once `events` has told it."""
        self.calls: list[list[Any]] = []
        """The record of calls that started it, for an exec."""
        self._unpacker = wire.Unpacker()

    @property
    def descriptor(self) -> int:
        """To wait for with poll: readable when `receive` has something."""
        return self.connection.fileno()

    def send(self, content: bytes) -> None:
        """Bytes for its stdin.  What it does not read waits in the monitor, and from some size on here."""
        try:
            for start in range(0, len(content), CHUNK):
                self.connection.sendall(wire.pack(wire.INPUT, content[start : start + CHUNK]))
        except (BrokenPipeError, ConnectionResetError):
            pass  # it has ended; `events` tells

    def close_input(self) -> None:
        """There is no more for its stdin; its output goes on."""
        self._say(wire.INPUT_END)

    def resize(self, rows: int, columns: int) -> None:
        """The size of its terminal."""
        self._say(wire.RESIZE, {"rows": rows, "columns": columns})

    def cleaned(self) -> None:
        """The clean-up that was promised is done."""
        self._say(wire.CLEANED)

    def offer(self, content: bytes | bytearray) -> int:
        """As much of a message as goes without waiting: how many bytes.  All of it if there is nobody to take it."""
        try:
            return self.connection.send(content, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return 0
        except OSError:
            return len(content)  # it has ended; `receive` tells

    def _say(self, kind: bytes, value: dict[str, Any] | None = None) -> None:
        try:
            self.connection.sendall(wire.pack(kind) if value is None else wire.pack_json(kind, value))
        except (BrokenPipeError, ConnectionResetError):
            pass

    def receive(self) -> list[tuple[str, Any]] | None:
        """What has come: ("stdout", bytes), ("stderr", bytes), ("exit", status).  None: the monitor is gone.

        Waits for at least something.
        """
        try:
            content = self.connection.recv(CHUNK)
        except ConnectionResetError:
            content = b""
        if not content:
            return None
        came: list[tuple[str, Any]] = []
        for kind, payload in self._unpacker.feed(content):
            if kind == wire.OUTPUT:
                came.append(("stdout", payload))
            elif kind == wire.ERROR_OUTPUT:
                came.append(("stderr", payload))
            elif kind == wire.EXITED:
                self.status = int(wire.read_json(payload)["status"])
                came.append(("exit", self.status))
        return came

    def events(self) -> Iterator[tuple[str, Any]]:
        """All of that as it comes, until the exit; ("lost", None) if the monitor went without a word."""
        while self.status is None:
            came = self.receive()
            if came is None:
                yield "lost", None
                return
            yield from came

    def close(self) -> None:
        """Leave; the process goes on."""
        self.connection.close()


def connect(path: str) -> _socket.socket:
    """A connection to a monitor.  Raises FileNotFoundError or ConnectionRefusedError when there is none."""
    folder = os.open(os.path.dirname(path), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        connection.connect(f"/proc/self/fd/{folder}/{os.path.basename(path)}")  # sun_path holds 108 bytes
    except BaseException:
        connection.close()
        raise
    finally:
        os.close(folder)
    return connection


def converse(connection: _socket.socket, opening: bytes) -> tuple[Session, dict[str, Any]]:
    """Send the message that opens a conversation; a session and what the monitor said of it.

    Raises the TuidockError that the monitor or the container's init reported.
    """
    connection.sendall(opening)
    answer = wire.read(connection)
    if answer is None:
        raise RuntimeFailure("the container's monitor ended without a word", "its monitor.log may say why")
    kind, payload = answer
    said = wire.read_json(payload)
    if kind == wire.FAILED:
        connection.close()
        raise failure(said)
    session = Session(connection, int(said.get("pid", 0)))
    session.calls = said.pop("calls", [])
    return session, said


def failure(told: dict[str, Any]) -> TuidockError:
    """What the other side raised, raised here."""
    kind = getattr(errors, str(told.get("kind")), RuntimeFailure)
    error = RuntimeFailure(str(told.get("message")), str(told.get("hint", "")))
    if isinstance(kind, type) and issubclass(kind, TuidockError):
        error.__class__ = kind  # type: ignore[assignment]  # all of them have the same two fields
    return error


class _Detach:
    """Looks for the key sequence in what is typed; its first keys are passed on when the next one does not follow."""

    def __init__(self, keys: bytes) -> None:
        self.keys = keys
        self.seen = 0

    def feed(self, typed: bytes) -> tuple[bytes, bool]:
        """(what to pass on, whether the sequence is complete)."""
        if not self.keys:
            return typed, False
        passed = bytearray()
        for byte in typed:
            if byte == self.keys[self.seen]:
                self.seen += 1
                if self.seen == len(self.keys):
                    return bytes(passed), True
                continue
            passed += self.keys[: self.seen]
            self.seen = 1 if byte == self.keys[0] else 0
            if not self.seen:
                passed.append(byte)
        return bytes(passed), False


class _Signals:
    """Signals that arrive become bytes of a pipe, and are as they were afterwards."""

    def __init__(self, numbers: tuple[int, ...]) -> None:
        self.numbers = numbers

    def __enter__(self) -> int:
        self.reader, self.writer = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.before = {number: signal.signal(number, lambda *_: None) for number in self.numbers}
        self.wakeup = signal.set_wakeup_fd(self.writer)
        return self.reader

    def __exit__(self, *_: object) -> None:
        signal.set_wakeup_fd(self.wakeup)
        for number, handler in self.before.items():
            signal.signal(number, handler if handler is not None else signal.SIG_DFL)
        os.close(self.reader)
        os.close(self.writer)


def relay(
    session: Session, *, tty: bool, interactive: bool, detach_keys: bytes = DETACH_KEYS, sig_proxy: bool = True,
    outputs: tuple[str, ...] = ("stdout", "stderr"),
) -> int | None:  # fmt: skip
    """This process's own stdin, stdout and stderr for the session's, until it ends.

    tty: stdin is a terminal and becomes raw; sizes are passed on; what it was is back on every way out.
    sig_proxy: without a tty, signals that this process gets go to the container's.
    Returns its exit status, or None if the detach keys were typed.  Raises RuntimeFailure if the monitor is gone.
    """
    raw = tty and interactive and os.isatty(0)
    numbers = (signal.SIGWINCH,) if raw else (PASSED_ON if sig_proxy else ())
    with _Signals(tuple(numbers)) as arrived:
        if not raw:
            return _Relay(session, arrived, tty, interactive, b"", outputs).run()
        with terminal.Raw(0):
            session.resize(*terminal.size(0))
            return _Relay(session, arrived, tty, interactive, detach_keys, outputs).run()


class _Relay:
    """Both directions at once.  It waits in one place only, so that nothing that is full on one side holds the other side
    or a signal: a container that writes while it is fed is fed no further until its output is taken, and the reverse."""

    def __init__(
        self, session: Session, arrived: int, tty: bool, interactive: bool, keys: bytes, outputs: tuple[str, ...]
    ) -> None:
        self.session = session
        self.arrived = arrived
        self.tty = tty
        self.typing = interactive
        """Whether there is more to come from stdin."""
        self.detach = _Detach(keys)
        self.outputs = {name: descriptor for name, descriptor in (("stdout", 1), ("stderr", 2)) if name in outputs}
        self.sending = bytearray()
        """Messages for the monitor that wait for room in the socket."""
        self.writing: list[tuple[int, memoryview]] = []
        """What came and waits for room in a descriptor of ours, in order; while there is any, no more is received."""
        self.status: int | None = None
        self.urged = 0
        """How often this process was asked to end while it waited to write."""

    def run(self) -> int | None:
        while True:
            for descriptor, happened in self._poll().poll():
                if descriptor == self.arrived:
                    self._pass_signals()
                    if self.writing and self.urged >= PATIENCE:
                        raise Interrupted(
                            "left with output that nobody read", "`tuidock ps -a` shows what became of the container"
                        )
                elif descriptor == self.session.descriptor:
                    if happened & select.POLLOUT or self.sending:
                        del self.sending[: self.session.offer(self.sending)]
                    if happened & ~select.POLLOUT and not self.writing:
                        self._receive()
                elif self.writing and descriptor == self.writing[0][0]:
                    self._write()
                elif descriptor == 0 and self._type():
                    return None
            if self.status is not None and not self.writing:
                return self.status

    def _poll(self) -> select.poll:
        poll = select.poll()
        poll.register(self.arrived, select.POLLIN)
        wanted = (0 if self.writing else select.POLLIN) | (select.POLLOUT if self.sending else 0)
        if wanted and self.status is None:
            poll.register(self.session.descriptor, wanted)
        if self.typing and len(self.sending) < 4 * CHUNK:
            poll.register(0, select.POLLIN)
        if self.writing:
            poll.register(self.writing[0][0], select.POLLOUT)
        return poll

    def _say(self, kind: bytes, value: dict[str, Any] | None = None) -> None:
        self.sending += wire.pack(kind) if value is None else wire.pack_json(kind, value)

    def _pass_signals(self) -> None:
        for number in os.read(self.arrived, 64):
            if number == signal.SIGWINCH:
                rows, columns = terminal.size(0)
                self._say(wire.RESIZE, {"rows": rows, "columns": columns})
            else:
                self._say(wire.SIGNAL, {"signal": number})
                self.urged += bool(self.writing) and number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

    def _type(self) -> bool:
        """Take some of stdin; whether the detach keys were among it."""
        try:
            typed = os.read(0, CHUNK)
        except OSError:
            typed = b""
        if not typed:
            self.typing = False
            if not self.tty:
                self._say(wire.INPUT_END)
            return False
        passed, left = self.detach.feed(typed)
        if passed:
            self.sending += wire.pack(wire.INPUT, passed)
        return left

    def _receive(self) -> None:
        came = self.session.receive()
        if came is None:
            raise RuntimeFailure("the container's monitor is gone", "`tuidock ps -a` shows what became of it")
        for kind, value in came:
            if kind == "exit":
                self.status = int(value)
            elif kind in self.outputs:
                self.writing.append((self.outputs[kind], memoryview(value)))

    def _write(self) -> None:
        """As much as goes without waiting: of a pipe that poll(2) calls writable that is PIPE_BUF bytes."""
        while self.writing:
            descriptor, content = self.writing[0]
            most = PIPE_BUF if _may_wait(descriptor) else len(content)
            try:
                content = content[os.write(descriptor, content[:most]) :]
            except BlockingIOError:
                return
            if content:
                self.writing[0] = descriptor, content
            else:
                self.writing.pop(0)
            if self.writing and not select.select([], [self.writing[0][0]], [], 0)[1]:
                return


def _may_wait(descriptor: int) -> bool:
    """Whether a write may have to wait for a reader."""
    mode = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(descriptor)
