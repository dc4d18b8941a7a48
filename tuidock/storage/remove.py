"""Remove a tree: by descriptor, never through a symbolic link, never across a mount, however deep it is."""

from __future__ import annotations

import errno
import os
import stat

from tuidock.errors import InUse

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


def remove_tree(path: str) -> None:
    """Remove the directory `path` and all below it; nothing happens if it is not there.

    Raises InUse if something is mounted below: what is mounted is somebody else's.
    """
    path = path.rstrip("/")
    above, _, name = path.rpartition("/")
    try:
        parent = os.open(above or "/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if _unlink(parent, name, os.fstat(parent).st_dev, path):
            return
        top = os.open(name, FOLDER, dir_fd=parent)
        try:
            _empty(top, os.fstat(parent).st_dev, path)
        finally:
            os.close(top)
        os.rmdir(name, dir_fd=parent)
    except FileNotFoundError:
        pass  # somebody else removes it too
    finally:
        os.close(parent)


def _empty(top: int, device: int, shown: str) -> None:
    """Remove what is in a folder.  What is not empty below is brought to the top first and emptied there.

    So it takes one descriptor and no recursion: a container can make a tree that is deeper than either allows.
    """
    mark = os.urandom(4).hex()
    count = 0
    left = ["."]
    while left:
        name = left.pop()
        folder = os.open(name, FOLDER, dir_fd=top)
        try:
            for inner in os.listdir(folder):
                if _unlink(folder, inner, device, f"{shown}/{inner}"):
                    continue
                if name == ".":
                    left.append(inner)
                else:
                    count += 1
                    left.append(f".{mark}-{count}")
                    os.rename(inner, left[-1], src_dir_fd=folder, dst_dir_fd=top)
        finally:
            os.close(folder)
        if name != ".":
            os.rmdir(name, dir_fd=top)


def _unlink(folder: int, name: str, device: int, shown: str) -> bool:
    """Remove one thing if it is no directory or an empty one; False if it has something in it.

    What somebody else has removed meanwhile is removed: a monitor takes its socket away while its folder goes.
    """
    try:
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(found.st_mode):
            os.unlink(name, dir_fd=folder)
            return True
    except FileNotFoundError:
        return True
    try:
        if found.st_dev != device:
            raise OSError(errno.EBUSY, "")
        os.rmdir(name, dir_fd=folder)
    except OSError as error:
        if error.errno == errno.EBUSY:
            raise InUse(f"{shown} cannot be removed: something is mounted there", f"umount {shown}") from error
        if error.errno != errno.ENOTEMPTY:
            raise
        return False
    return True
