"""How long the TUI takes until a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import termios
import time

SEEN = b"Containers"
"""A pane's title: with it on the screen the first frame is."""


def first_frame(words: list[str], rows: int = 24, columns: int = 80, patience: float = 20) -> float:
    """Milliseconds from the start of the command in a terminal of its own until the first frame is drawn.

    Raises TimeoutError with what was on the screen instead.
    """
    began = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(words[0], words)
    seen = b""
    try:
        while SEEN not in seen:
            left = began + patience - time.perf_counter()
            if left <= 0 or not select.select([terminal], [], [], left)[0]:
                raise TimeoutError(f"no first frame in {patience} s: {seen[-300:]!r}")
            try:
                seen += os.read(terminal, 65536)
            except OSError as error:  # EIO: it has ended
                raise TimeoutError(f"it ended: {seen[-300:]!r}") from error
        return (time.perf_counter() - began) * 1000
    finally:
        os.kill(pid, signal.SIGTERM)
        os.close(terminal)
        os.waitpid(pid, 0)
