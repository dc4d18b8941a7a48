"""A tar into a tree that is there already: what `cp` copies, arriving.

Runs in a process whose root is the container's, or the host's directory that is copied into: no name in the archive can lead
out of that.  Unlike a layer, it meets what is there: a file is replaced by a new one (never written through, so a link is no
way to another file), a directory is kept, and the one never takes the other's place.
"""

from __future__ import annotations

import errno
import os
import stat

from tuidock.errors import Refused, UsageError
from tuidock.image.tarheader import clean, shown
from tuidock.image.tarstream import BLOCK_DEVICE, CHARACTER, DIRECTORY, FIFO, LINK, REGULAR, SYMLINK
from tuidock.image.unpack import set_attribute
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.image.tarstream import Entry, TarStream

NODE = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
PLACE = os.O_PATH | os.O_DIRECTORY


class Receiver:
    """folder: where it goes, absolute.  prefix: what the names in the archive begin with, and `name` is put in its place.

    trusting: as it comes, with owners, setuid bits, capabilities and devices.  Else, on the host, files belong to who copies
    them, a program gets no rights, and devices are left out.  links: whether directories that are links are followed.
    """

    def __init__(self, folder: str, prefix: str, name: str, *, trusting: bool, links: bool) -> None:
        self._folder = os.fsencode(folder).rstrip(b"/")
        self._prefix = [] if prefix in ("", ".") else [os.fsencode(prefix)]
        self._name = [os.fsencode(name)] if name else []
        self._trusting = trusting
        self._resolve = sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS | (0 if links else sys.RESOLVE_NO_SYMLINKS)
        self._root = os.open("/", PLACE | os.O_CLOEXEC)
        self._parent = (b"\0", -1)
        self._times: list[tuple[list[bytes], int]] = []
        self.skipped: list[str] = []
        """Devices that were left out."""

    def receive(self, archive: TarStream) -> None:
        """Raises Refused, UsageError, OSError; what has arrived by then stays, as with docker."""
        for entry in archive:
            parts = self._place(entry.name)
            if parts:
                self._add(parts, entry, archive)
        for parts, mtime in reversed(self._times):
            os.utime(parts[-1], ns=(mtime, mtime), dir_fd=self._in(parts[:-1]), follow_symlinks=False)

    def _place(self, name: bytes) -> list[bytes]:
        """The parts of a name below the folder; none for what is the folder itself."""
        parts = clean(name)
        if self._prefix:
            if parts[:1] != self._prefix:
                raise Refused(f"{shown(name)} is not below {shown(self._prefix[0])}")
            parts = parts[1:]
        return self._name + parts

    def _in(self, parts: list[bytes]) -> int:
        """A descriptor of a directory, made with all above it where it is missing."""
        path = b"/".join((self._folder, *parts)) or b"/"
        if path != self._parent[0]:
            if self._parent[1] >= 0:
                os.close(self._parent[1])
                self._parent = (b"\0", -1)
            try:
                descriptor = sys.openat2(self._root, os.fsdecode(path), PLACE, self._resolve)
            except FileNotFoundError:
                if not parts:
                    raise
                above = self._in(parts[:-1])
                os.mkdir(parts[-1], 0o755, dir_fd=above)
                return self._in(parts)
            except OSError as error:
                raise Refused(
                    f"{shown(path)}: {os.strerror(error.errno or 0).lower()}", "is a link or a file in the way?"
                ) from error
            self._parent = path, descriptor
        return self._parent[1]

    def _add(self, parts: list[bytes], entry: Entry, archive: TarStream) -> None:
        folder, name = self._in(parts[:-1]), parts[-1]
        try:
            there = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
        except FileNotFoundError:
            there = 0
        if there and stat.S_ISDIR(there) != (entry.kind == DIRECTORY):
            what = ("directory", "non-directory") if stat.S_ISDIR(there) else ("non-directory", "directory")
            raise UsageError(f"cannot overwrite {what[0]} {shown(b'/'.join(parts))} with {what[1]}", "remove it first")
        if entry.kind == DIRECTORY:
            self._directory(folder, parts, entry, made=not there)
            return
        if entry.kind in (CHARACTER, BLOCK_DEVICE) and not self._trusting:
            self.skipped.append(os.fsdecode(b"/".join(parts)))
            return
        through = False
        if there:
            try:
                os.unlink(name, dir_fd=folder)
            except OSError as error:
                through = error.errno == errno.EBUSY and entry.kind == REGULAR and stat.S_ISREG(there)
                if not through:
                    raise
        if entry.kind == REGULAR:
            self._file(folder, name, entry, archive, through=through)
        elif entry.kind == LINK:
            target = self._place(entry.link)
            first = os.dup(self._in(target[:-1]))
            try:
                os.link(target[-1], name, src_dir_fd=first, dst_dir_fd=self._in(parts[:-1]), follow_symlinks=False)
            finally:
                os.close(first)
        elif entry.kind == SYMLINK:
            os.symlink(entry.link, name, dir_fd=folder)
            self._finish(folder, name, entry)
        else:
            os.mknod(name, NODE[entry.kind] | 0o600, os.makedev(entry.major, entry.minor), dir_fd=folder)
            self._finish(folder, name, entry)

    def _directory(self, folder: int, parts: list[bytes], entry: Entry, *, made: bool) -> None:
        if made:
            os.mkdir(parts[-1], 0o700, dir_fd=folder)
        descriptor = os.open(parts[-1], os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            self._looks(descriptor, entry)
        finally:
            os.close(descriptor)
        self._times.append((parts, entry.mtime))

    def _file(self, folder: int, name: bytes, entry: Entry, archive: TarStream, *, through: bool) -> None:
        """through: it is a file that something is mounted on, so it cannot be replaced and is written to."""
        flags = os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
        flags |= os.O_TRUNC if through else os.O_CREAT | os.O_EXCL
        descriptor = os.open(name, flags, 0o600, dir_fd=folder)
        try:
            _fill(descriptor, entry, archive)
            self._looks(descriptor, entry)
            os.utime(descriptor, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)

    def _looks(self, descriptor: int, entry: Entry) -> None:
        """Owner, attributes and mode, in the order in which none undoes the other."""
        if self._trusting:
            os.fchown(descriptor, entry.uid, entry.gid)
        for key, value in entry.xattrs.items():
            if self._trusting or key.startswith(b"user."):
                set_attribute(descriptor, key, value)
        os.fchmod(descriptor, entry.mode if self._trusting else entry.mode & 0o1777)

    def _finish(self, folder: int, name: bytes, entry: Entry) -> None:
        """Owner, mode and time of what cannot be opened."""
        if self._trusting:
            os.chown(name, entry.uid, entry.gid, dir_fd=folder, follow_symlinks=False)
        if entry.kind != SYMLINK:
            os.chmod(name, entry.mode, dir_fd=folder)  # made a moment ago by this very process, and no link
        os.utime(name, ns=(entry.mtime, entry.mtime), dir_fd=folder, follow_symlinks=False)


def _fill(descriptor: int, entry: Entry, archive: TarStream) -> None:
    """A file's content; of a sparse one the pieces, with holes between them."""
    pieces = iter(entry.sparse or ())
    left = entry.size if entry.sparse is None else 0
    for content in archive.content():
        while content:
            while not left:
                offset, left = next(pieces)
                os.lseek(descriptor, offset, os.SEEK_SET)
            done = os.write(descriptor, content[:left])
            content, left = content[done:], left - done
    os.ftruncate(descriptor, entry.size)
