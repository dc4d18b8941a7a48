"""A directory's tree into an empty directory: owners, modes, times, extended attributes, links, devices, hard links."""

from __future__ import annotations

import os
import stat

CHUNK = 1 << 20


def copy_tree(source: int, destination: str) -> None:
    """Copy what the directory of descriptor `source` holds, and its own owner, mode and times, to `destination`.

    Never follows a symbolic link: both sides are walked by descriptor.
    """
    target = os.open(destination, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    seen: dict[tuple[int, int], tuple[int, str]] = {}
    try:
        _copy_directory(source, target, seen)
    finally:
        os.close(target)
        for held in {directory for directory, _ in seen.values()}:
            os.close(held)


def _copy_directory(source: int, target: int, seen: dict[tuple[int, int], tuple[int, str]]) -> None:
    # `seen`: inode → a directory held open and a name in it, for the second and later names of one file
    held = -1
    for name in sorted(os.listdir(source)):
        found = os.stat(name, dir_fd=source, follow_symlinks=False)
        mode = found.st_mode
        if stat.S_ISDIR(mode):
            flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.mkdir(name, 0o700, dir_fd=target)
            inner_source, inner_target = os.open(name, flags, dir_fd=source), os.open(name, flags, dir_fd=target)
            _copy_directory(inner_source, inner_target, seen)
            os.close(inner_source)
            os.close(inner_target)
            continue
        key = (found.st_dev, found.st_ino)
        if found.st_nlink > 1 and key in seen:
            directory, first = seen[key]
            os.link(first, name, src_dir_fd=directory, dst_dir_fd=target, follow_symlinks=False)
            continue
        if stat.S_ISLNK(mode):
            os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
        elif stat.S_ISREG(mode):
            _copy_file(source, target, name, found.st_size)
        elif not stat.S_ISSOCK(mode):
            os.mknod(name, mode, found.st_rdev, dir_fd=target)
        else:
            continue
        _copy_attributes(f"/proc/self/fd/{source}/{name}", f"/proc/self/fd/{target}/{name}", found)
        if found.st_nlink > 1:
            held = os.dup(target) if held < 0 else held
            seen[key] = (held, name)
    _copy_attributes(f"/proc/self/fd/{source}/.", f"/proc/self/fd/{target}/.", os.fstat(source))


def _copy_file(source: int, target: int, name: str, size: int) -> None:
    reader = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=source)
    writer = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=target)
    try:
        position = 0
        while position < size:
            moved = os.sendfile(writer, reader, position, CHUNK)  # copy_file_range(2) does not go from an overlay to a disk
            if not moved:
                break
            position += moved
    finally:
        os.close(reader)
        os.close(writer)


def _copy_attributes(source: str, target: str, found: os.stat_result) -> None:
    os.chown(target, found.st_uid, found.st_gid, follow_symlinks=False)
    if not stat.S_ISLNK(found.st_mode):
        os.chmod(target, stat.S_IMODE(found.st_mode))
    for name in os.listxattr(source, follow_symlinks=False):
        if name.startswith(("user.", "security.capability")):
            os.setxattr(target, name, os.getxattr(source, name, follow_symlinks=False), follow_symlinks=False)
    os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns), follow_symlinks=False)
