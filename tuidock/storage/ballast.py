"""Room that is kept for the database: a container that has filled the disk must still be seen, stopped and removed.

SQLite needs room even to read (its index of the log, 32 KiB) and to remove a row (the log).  A file of zeros holds some; a
piece of it is given up before the database is used on a disk that has hardly anything left, and taken back after that.
Its size is what the log grows to before it begins anew (database.py, wal_autocheckpoint), and as much again.
"""

from __future__ import annotations

import os

SIZE = 2 << 20
PIECE = 256 << 10
"""Bytes that a transaction finds free; also what others could take meanwhile."""


LEAST = 64 << 10
"""Bytes without which the database is not opened for writing."""


def short(folder: str, needed: int = PIECE) -> bool:
    """Whether the disk of a folder has less left than a transaction may need."""
    room = os.statvfs(folder)
    return room.f_bavail * room.f_frsize < needed


def whole(path: str) -> bool:
    """Whether the ballast is as large as it should be."""
    try:
        return os.stat(path).st_size >= SIZE
    except FileNotFoundError:
        return False


def give(path: str) -> None:
    """Make the ballast a piece smaller."""
    try:
        os.truncate(path, max(0, os.stat(path).st_size - PIECE))
    except OSError:
        pass  # there is none


def take(path: str) -> None:
    """Make the ballast as large as it should be, or as there is room for."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError:
        return  # no room for an empty file
    try:
        size = os.fstat(descriptor).st_size
        while size < SIZE:
            try:
                os.posix_fallocate(descriptor, size, PIECE)
            except OSError:
                os.ftruncate(descriptor, size)
                break
            size += PIECE
    finally:
        os.close(descriptor)
