"""Write a tar of files that are found by descriptor: headers, contents, hard links, attributes.

The same tree always gives the same bytes: no names of owners, no atime or ctime, an extended header only where a plain one
cannot say it.  Not the standard library's `tarfile`, which takes 80 µs for a header and follows paths.
Sources: pax(1) of POSIX.1-2024, "ustar Interchange Format" and "pax Extended Header"; the keys of attributes are star's.
"""

from __future__ import annotations

import errno
import os
import stat
import struct

from tuidock.errors import Conflict, Refused
from tuidock.image.tarheader import shown
from tuidock.image.tarstream import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    LINK,
    PAX,
    REGULAR,
    SYMLINK,
    XATTR,
)
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHUNK = 1 << 18
END = bytes(1024)
"""What ends an archive."""
NS = 1_000_000_000
HELD = 64
"""Directories that a walk holds open; those further up are opened again when it comes back to them."""
FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
BENEATH = sys.RESOLVE_BENEATH | sys.RESOLVE_NO_SYMLINKS | sys.RESOLVE_NO_MAGICLINKS
KEPT = ("user.", "system.posix_acl_")
"""Attributes that go with a file, and security.capability; all others mean something to this kernel alone."""
KINDS = {
    stat.S_IFREG: REGULAR, stat.S_IFDIR: DIRECTORY, stat.S_IFLNK: SYMLINK, stat.S_IFCHR: CHARACTER,
    stat.S_IFBLK: BLOCK_DEVICE, stat.S_IFIFO: FIFO,
}  # fmt: skip
"""Kinds of file that a tar can hold; a socket has no place in one."""

_pack = struct.Struct("100s8s8s8s12s12s8s1s100s8s32s32s8s8s155s12x").pack


def header(
    name: bytes, kind: bytes, *, mode: int = 0o644, uid: int = 0, gid: int = 0, mtime: int = 0, size: int = 0,
    link: bytes = b"", device: int = 0, xattrs: Mapping[bytes, bytes] | None = None,
) -> bytes:  # fmt: skip
    """The header of one member, after the extended one that it may need.  mtime: ns since the epoch, none before it."""
    mtime = max(mtime, 0)
    extended: dict[bytes, bytes] = {}
    if len(name) > 100:
        extended[b"path"] = name
    if len(link) > 100:
        extended[b"linkpath"] = link
    if mtime % NS or mtime // NS >= 1 << 33:
        extended[b"mtime"] = b"%d.%09d" % divmod(mtime, NS)
    for key, number, bits in ((b"uid", uid, 21), (b"gid", gid, 21), (b"size", size, 33)):
        if number >> bits:
            extended[key] = b"%d" % number
    for key, value in sorted((xattrs or {}).items()):
        extended[XATTR + key] = value
    plain = _block(
        name, kind, mode, 0 if uid >> 21 else uid, 0 if gid >> 21 else gid, 0 if size >> 33 else size,
        (mtime // NS) & ((1 << 33) - 1), link, device,
    )  # fmt: skip
    if not extended:
        return plain
    content = b"".join(_line(key, value) for key, value in extended.items())
    above, _, last = name.rstrip(b"/").rpartition(b"/")
    before = _block(above[: 80 - len(last[:60])] + b"/PaxHeaders.0/" + last[:60] if above else b"PaxHeaders.0/" + last[:60],
                    PAX, 0o644, 0, 0, len(content), 0, b"", 0)  # fmt: skip
    return before + content + bytes(-len(content) % 512) + plain


def _line(key: bytes, value: bytes) -> bytes:
    """`LENGTH KEY=VALUE` and a newline, where the length counts its own digits."""
    rest = len(key) + len(value) + 3
    length = rest + len(str(rest))
    length = rest + len(str(length))
    return b"%d %s=%s\n" % (length, key, value)


def _block(
    name: bytes, kind: bytes, mode: int, uid: int, gid: int, size: int, mtime: int, link: bytes, device: int
) -> bytes:  # fmt: skip
    block = _pack(
        name[:100], b"%07o" % mode, b"%07o" % uid, b"%07o" % gid, b"%011o" % size, b"%011o" % mtime, b"        ", kind,
        link[:100], b"ustar\x0000", b"", b"", b"%07o" % os.major(device), b"%07o" % os.minor(device), b"",
    )  # fmt: skip
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


class Found:
    """Something that a walk has come to; its descriptors are good until the walk goes on."""

    __slots__ = ("descriptor", "folder", "name", "path", "status")

    def __init__(self, folder: int, name: bytes, path: bytes, status: os.stat_result, descriptor: int) -> None:
        self.folder = folder
        """descriptor of the directory that it lies in"""
        self.name = name
        self.path = path
        """from the top of the walk, without a slash before it"""
        self.status = status
        self.descriptor = descriptor
        """of a directory itself; -1 of all else"""


class _Level:
    """A directory on the way down, and what is left to see in it, backwards."""

    __slots__ = ("descriptor", "names", "path")

    def __init__(self, path: bytes, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor
        self.names = sorted(map(os.fsencode, os.listdir(descriptor)), reverse=True)


def walk(top: int) -> Iterator[Found]:
    """All that lies below a directory, each before what is in it, by the bytes of their names.

    top: its descriptor, which stays the caller's.  No symbolic link is followed, whoever puts one in the way meanwhile.  What
    goes as we look is passed over.
    Raises Refused for a tree that is deeper than a path can be long.
    """

    def opened(path: bytes) -> int:
        try:
            return sys.openat2(top, os.fsdecode(path) or ".", FOLDER, BENEATH)
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise Refused(f"{shown(path)} lies deeper than a path can be long") from error
            raise

    levels = [_Level(b"", opened(b""))]
    try:
        while levels:
            level = levels[-1]
            if not level.names:
                _close(levels.pop())
                continue
            if level.descriptor < 0:
                level.descriptor = opened(level.path)
            name = level.names.pop()
            inner = level.path + b"/" + name if level.path else name
            try:
                status = os.stat(name, dir_fd=level.descriptor, follow_symlinks=False)
                below = None
                if stat.S_ISDIR(status.st_mode):
                    below = _Level(inner, os.open(name, FOLDER | os.O_CLOEXEC, dir_fd=level.descriptor))
            except (FileNotFoundError, NotADirectoryError):
                continue
            if below is None:
                yield Found(level.descriptor, name, inner, status, -1)
                continue
            levels.append(below)
            if len(levels) > HELD:
                _close(levels[-1 - HELD])
            yield Found(level.descriptor, name, inner, status, below.descriptor)
    finally:
        for level in levels:
            _close(level)


def _close(level: _Level) -> None:
    if level.descriptor >= 0:
        os.close(level.descriptor)
        level.descriptor = -1


class Members:
    """What a walk finds, as members of an archive.  The second and later names of a file become hard links to the first."""

    def __init__(self, newest: int = -1) -> None:
        """newest: ns since the epoch that no time is later than (SOURCE_DATE_EPOCH); -1 for none."""
        self._newest = newest
        self._first: dict[tuple[int, int], bytes] = {}

    def time(self, status: os.stat_result) -> int:
        """Its mtime, ns since the epoch."""
        return status.st_mtime_ns if self._newest < 0 else min(status.st_mtime_ns, self._newest)

    def member(self, found: Found, name: bytes = b"") -> Iterator[bytes]:
        """Header and content, in pieces; nothing for a socket.  name: in the archive, if not its path.

        Raises Conflict if a file becomes shorter while it is read.
        """
        status, name = found.status, name or found.path
        kind = KINDS.get(stat.S_IFMT(status.st_mode), b"")
        key = status.st_dev, status.st_ino
        if not kind:
            return
        if kind != DIRECTORY and status.st_nlink > 1:
            first = self._first.setdefault(key, name)
            if first != name:
                yield self._header(name, LINK, status, link=first)
                return
        if kind == DIRECTORY:
            yield self._header(name.rstrip(b"/") + b"/", kind, status, xattrs=attributes(found.descriptor))
        elif kind == REGULAR:
            yield from self._file(found, name)
        elif kind == SYMLINK:
            target = os.readlink(found.name, dir_fd=found.folder)
            yield self._header(name, kind, status, link=target)
        else:
            yield self._header(name, kind, status, device=status.st_rdev)

    def _header(
        self, name: bytes, kind: bytes, status: os.stat_result, *, size: int = 0, link: bytes = b"", device: int = 0,
        xattrs: Mapping[bytes, bytes] | None = None,
    ) -> bytes:  # fmt: skip
        return header(
            name, kind, mode=stat.S_IMODE(status.st_mode), uid=status.st_uid, gid=status.st_gid, mtime=self.time(status),
            size=size, link=link, device=device, xattrs=xattrs,
        )  # fmt: skip

    def _file(self, found: Found, name: bytes) -> Iterator[bytes]:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
        descriptor = os.open(found.name, flags, dir_fd=found.folder)
        try:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise Conflict(f"{shown(name)} has become something else while it was read")
            yield self._header(name, REGULAR, status, size=status.st_size, xattrs=attributes(descriptor))
            left = status.st_size
            while left:
                piece = os.read(descriptor, min(left, CHUNK))
                if not piece:
                    raise Conflict(f"{shown(name)} has become shorter while it was read", "pause the container, or try again")
                left -= len(piece)
                yield piece
            if status.st_size % 512:
                yield bytes(-status.st_size % 512)
        finally:
            os.close(descriptor)


def attributes(descriptor: int) -> dict[bytes, bytes]:
    """The extended attributes that go with a file or directory."""
    try:
        names = os.listxattr(descriptor)
    except OSError:
        return {}  # a file system without any
    found = {}
    for name in names:
        if name == "security.capability" or (name.startswith(KEPT) and not name.startswith("user.overlay.")):
            found[os.fsencode(name)] = os.getxattr(descriptor, name)
    return found
