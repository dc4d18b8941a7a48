"""Terminals: the pair for a container, and this process's own in raw mode."""

from __future__ import annotations

import fcntl
import os
import struct

from tuidock.errors import Refused, RuntimeFailure
from tuidock.runtime import syscalls as sys

TIOCGWINSZ, TIOCSWINSZ, TIOCSCTTY = 0x5413, 0x5414, 0x540E  # asm-generic/ioctls.h
TIOCGPTPEER, TIOCSPTLCK = 0x5441, 0x40045431


def size(descriptor: int) -> tuple[int, int]:
    """Rows and columns of a terminal; (0, 0) if it is none or does not know."""
    try:
        rows, columns, _, _ = struct.unpack("4H", fcntl.ioctl(descriptor, TIOCGWINSZ, bytes(8)))
    except OSError:
        return 0, 0
    return rows, columns


def resize(descriptor: int, rows: int, columns: int) -> None:
    """Tell a terminal its size; the kernel sends SIGWINCH to who works on it.  Zero changes nothing."""
    if rows > 0 and columns > 0:
        fcntl.ioctl(descriptor, TIOCSWINSZ, struct.pack("4H", min(rows, 65535), min(columns, 65535), 0, 0))


def open_pair(path: str, rows: int, columns: int) -> tuple[int, int]:
    """Master and slave from a container's own devpts; path: its ptmx, seen from this mount namespace.

    The slave is taken from the master by ioctl and not by name (CVE-2025-52565).
    """
    try:
        master = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise RuntimeFailure(f"no terminal can be had from {path}: {error.strerror}") from error
    if sys.file_system_magic(master) != sys.DEVPTS_SUPER_MAGIC:
        raise Refused(f"{path} does not lie on a devpts file system")
    fcntl.ioctl(master, TIOCSPTLCK, struct.pack("i", 0))
    resize(master, rows, columns)
    return master, open_slave(master)


def open_slave(master: int) -> int:
    """The other end of a pair; ioctl_tty(2), TIOCGPTPEER."""
    return fcntl.ioctl(master, TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)


class Raw:
    """This process's terminal in raw mode, as a context manager; what it was is back on every way out."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> Raw:
        import termios

        self._before = termios.tcgetattr(self.descriptor)
        mode = termios.tcgetattr(self.descriptor)
        input_, output, control, local = 0, 1, 2, 3
        mode[input_] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[output] &= ~termios.OPOST
        mode[local] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[control] = mode[control] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, mode)
        return self

    def __exit__(self, *_: object) -> None:
        import termios

        termios.tcsetattr(self.descriptor, termios.TCSADRAIN, self._before)
