"""Stay with a process until it ends: `run` and `exec` without --detach.  Signals go to it, and so does what is typed."""

from __future__ import annotations

import _signal as signal
import os
import select

from tuidock.runtime import terminal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 65536
KEPT = (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGURG, signal.SIGPIPE)
"""Not passed on."""


class _PassedOn:
    """Within: signals of this process are the other's, a window's size its terminal's."""

    def __init__(self, pidfd: int, master: int) -> None:
        self.pidfd, self.master = pidfd, master

    def _pass(self, number: int, _frame: object) -> None:
        if number == signal.SIGWINCH and self.master >= 0:
            terminal.resize(self.master, *terminal.size(0))
            return
        try:
            signal.pidfd_send_signal(self.pidfd, number)
        except ProcessLookupError:
            pass

    def __enter__(self) -> None:
        for number in signal.valid_signals() - set(KEPT):
            try:
                signal.signal(number, self._pass)
            except (OSError, ValueError):
                continue  # the C library's own

    def __exit__(self, *_: object) -> None:
        """This process ends soon; nothing is to be put back."""


def stay(pid: int, master: int, begin: Callable[[], object] | None = None) -> int:
    """Wait for a child; its exit status, 128 + N if signal N ended it.

    master: of its terminal, or -1 if it has this process's own streams.  begin: what is to be called once signals are passed
    on.
    """
    pidfd = os.pidfd_open(pid)
    with _PassedOn(pidfd, master):
        if master < 0:
            if begin is not None:
                begin()
            _, status = os.waitpid(pid, 0)
        elif os.isatty(0):
            with terminal.Raw(0):
                terminal.resize(master, *terminal.size(0))
                status = _relay(pid, pidfd, master, begin)
        else:
            status = _relay(pid, pidfd, master, begin)
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def _relay(pid: int, pidfd: int, master: int, begin: Callable[[], object] | None) -> int:
    """Bytes in both directions until it has ended and its last output is read."""
    poll = select.poll()
    poll.register(master, select.POLLIN)
    poll.register(pidfd, select.POLLIN)
    poll.register(0, select.POLLIN)
    slave = terminal.open_slave(master)  # without it the master hangs up between two users
    if begin is not None:
        begin()
    ended = False
    while True:
        ready = dict(poll.poll(0 if ended else None))
        if ended and not ready:
            break
        if 0 in ready:
            typed = _read(0)
            if typed:
                _write(master, typed)
            else:
                poll.unregister(0)
        if master in ready:
            shown = _read(master)
            if not shown:
                break
            _write(1, shown)
        if pidfd in ready and not ended:
            ended = True
            poll.unregister(pidfd)
            if slave >= 0:
                os.close(slave)
                slave = -1
    _, status = os.waitpid(pid, 0)
    return status


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, CHUNK)
    except OSError:  # EIO: nobody has the other end any more
        return b""


def _write(descriptor: int, content: bytes) -> None:
    while content:
        try:
            content = content[os.write(descriptor, content) :]
        except BlockingIOError:
            select.select([], [descriptor], [])
        except OSError:
            return
