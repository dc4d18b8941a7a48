"""Is it alive?  A process is known by its pid, its start time and the boot that both belong to.

A pid alone may be anybody's by now.  runtime-spec, runtime.md, "State"; proc(5), /proc/PID/stat, field 22.
"""

from __future__ import annotations

import os

from tuidock.oci.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def boot_id() -> str:
    """This boot's id."""
    with open("/proc/sys/kernel/random/boot_id") as file:
        return file.read().strip()


def start_time(pid: int) -> int:
    """Clock ticks from the boot to the start of a process; 0 if there is no such process or it is a zombie."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


def alive(pid: int, started: int, boot: str) -> bool:
    """Whether this very process still runs."""
    return pid > 0 and start_time(pid) == started and started > 0 and boot == boot_id()


def open_pidfd(pid: int, started: int) -> int:
    """A pidfd of this very process, or -1 if it is gone."""
    try:
        descriptor = os.pidfd_open(pid)
    except (ProcessLookupError, OSError):
        return -1
    if start_time(pid) != started:
        os.close(descriptor)
        return -1
    return descriptor


RESERVE = 4096
"""Bytes that `reserve` keeps for what `write_json` writes later."""


def reserve(path: str) -> None:
    """Keep room for a file that `write_json` will write there, when the disk may be full.  Raises OSError."""
    descriptor = os.open(f"{path}.new", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.posix_fallocate(descriptor, 0, RESERVE)
    finally:
        os.close(descriptor)


def write_json(path: str, value: dict[str, Any], *, lasting: bool = False) -> None:
    """Write a small file at once or not at all: temporary file, rename.  lasting: also fsync, to survive a power cut.

    The temporary file is not emptied first: that would give away the room that `reserve` kept.
    """
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        content = dumps(value).encode()
        size = len(content)
        while content:
            content = content[os.write(descriptor, content) :]
        os.ftruncate(descriptor, size)
        if lasting:
            os.fdatasync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(temporary, path)


def read_json(path: str) -> dict[str, Any] | None:
    """What `write_json` wrote, or None if there is nothing."""
    try:
        with open(path, "rb") as file:
            value = loads(file.read())
    except (FileNotFoundError, ValueError):
        return None
    return value if isinstance(value, dict) else None
