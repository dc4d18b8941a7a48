"""Namespaces of a process: their inodes, as /proc/PID/ns shows them.  namespaces(7)."""

from __future__ import annotations

import os

KINDS = ("cgroup", "ipc", "mnt", "net", "pid", "user", "uts", "time")


def inodes(pid: int | str) -> dict[str, int]:
    """Kind to inode of each namespace that a process is in; empty if it is gone.  pid: or `self`."""
    found: dict[str, int] = {}
    for kind in KINDS:
        try:
            found[kind] = os.stat(f"/proc/{pid}/ns/{kind}").st_ino
        except OSError:
            continue
    return found
