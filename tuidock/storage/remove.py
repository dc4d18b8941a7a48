"""Remove a tree: by descriptor, never through a symbolic link, never across a mount."""

from __future__ import annotations

import os
import stat

from tuidock.errors import InUse


def remove_tree(path: str) -> None:
    """Remove the directory `path` and all below it; nothing happens if it is not there.

    Raises InUse if something is mounted below: what is mounted is somebody else's.
    """
    above, _, name = path.rstrip("/").rpartition("/")
    try:
        parent = os.open(above or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        _remove(parent, name, os.fstat(parent).st_dev, path)
    finally:
        os.close(parent)


def _remove(parent: int, name: str, device: int, shown: str) -> None:
    try:
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    except FileNotFoundError:
        return
    if not stat.S_ISDIR(found.st_mode):
        os.unlink(name, dir_fd=parent)
        return
    if found.st_dev != device:
        raise InUse(f"{shown} cannot be removed: something is mounted there", f"umount {shown}")
    directory = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        for inner in os.listdir(directory):
            _remove(directory, inner, device, f"{shown}/{inner}")
    finally:
        os.close(directory)
    os.rmdir(name, dir_fd=parent)
