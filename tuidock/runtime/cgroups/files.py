"""What both versions do with a cgroup's files and directories."""

from __future__ import annotations

import errno
import os
import time

from tuidock.errors import TuidockError
from tuidock.runtime import trace

PATIENCE = 5.0
"""Seconds that the kernel is given to let go of processes and directories."""


def write(path: str, value: str) -> None:
    """Write one value.  Raises TuidockError with the file, the value and what the error means there."""
    began = trace.now()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)
    except OSError as error:
        trace.add("cgroup", (path, value), -1, error.errno or 0, trace.now() - began)
        raise TuidockError(f"cgroup: writing {value} to {path}: {error.strerror}", _meaning(path, error)) from error
    trace.add("cgroup", (path, value), 0, 0, trace.now() - began)


def _meaning(path: str, error: OSError) -> str:
    name = os.path.basename(path)
    if error.errno == errno.EBUSY and name.startswith("memory."):
        return "more memory is in use than that, and it cannot be had back"
    if error.errno in (errno.EBUSY, errno.EOPNOTSUPP) and name == "cgroup.subtree_control":
        return "processes lie in that cgroup itself: move them into one below it, as a container's cgroup must be beside them"
    return {
        errno.ENOENT: "this kernel, or the cgroup above, does not have that controller; leave the limit out",
        errno.EINVAL: "the value is out of the range that this kernel takes",
        errno.EBUSY: "the cgroup has processes, or cgroups below it, that stand in the way",
        errno.EACCES: "run it as root; in a container, the cgroup tree must be writable",
        errno.EROFS: "the cgroup tree is mounted read-only; in a container, it must be writable",
        errno.EPERM: "run it as root; in a container, its own limits may be narrower",
        errno.ENOSPC: "cpuset of the parent has no cpus or memory nodes left",
        errno.ESRCH: "the process has ended",
        errno.EOPNOTSUPP: "the cgroup above is threaded, or has processes of its own",
    }.get(error.errno or 0, "")


def thaw(folder: str) -> None:
    """v1: let a frozen cgroup go on, whatever its state is now."""
    try:
        with open(f"{folder}/freezer.state", "w") as file:
            file.write("THAWED")
    except OSError:
        pass  # it is gone


def read(path: str) -> str:
    """A file's text without the last newline; empty if it is not there."""
    try:
        with open(path) as file:
            return file.read().rstrip("\n")
    except OSError:
        return ""


def number(path: str) -> int:
    """A file's number; 0 for `max`, for v1's way of saying no limit (2^63 less a page), and for no file."""
    text = read(path)
    value = int(text) if text.isdigit() else 0
    return 0 if value >= 1 << 60 else value


def keyed(path: str) -> dict[str, int]:
    """A file of `key value` lines."""
    found = {}
    for line in read(path).splitlines():
        key, _, value = line.partition(" ")
        if value.isdigit():
            found[key] = int(value)
    return found


def below(folder: str) -> list[str]:
    """A cgroup's directory and all below it, the deepest first."""
    try:
        inner = [entry.path for entry in os.scandir(folder) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    return [path for one in inner for path in below(one)] + [folder]


def pids(folder: str) -> list[int]:
    """Of a cgroup and all below it."""
    return [int(word) for path in below(folder) for word in read(f"{path}/cgroup.procs").split()]


def remove(folder: str) -> None:
    """Remove a cgroup with all below it; EBUSY while the last process is on its way out, so try for a while.

    Raises TuidockError if it stays.
    """
    deadline = time.monotonic() + PATIENCE
    pause = 0.001
    while True:
        try:
            for path in below(folder):
                os.rmdir(path)
            return
        except FileNotFoundError:
            continue
        except OSError as error:
            if error.errno != errno.EBUSY or time.monotonic() > deadline:
                raise TuidockError(
                    f"cgroup {folder} cannot be removed: {error.strerror}", f"cat {folder}/cgroup.procs"
                ) from error
            time.sleep(pause)
            pause = min(pause * 2, 0.05)


def remove_if_empty(folder: str) -> None:
    """Remove the parent of what was removed, unless something else is in it."""
    try:
        os.rmdir(folder)
    except OSError:
        pass


def make(folder: str) -> None:
    """Make a cgroup's directory and those above; again if another's clean-up takes one away meanwhile."""
    for _ in range(20):
        try:
            os.makedirs(folder, 0o755, exist_ok=True)
            return
        except FileNotFoundError:
            continue
    os.makedirs(folder, 0o755, exist_ok=True)
