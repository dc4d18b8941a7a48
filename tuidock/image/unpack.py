"""Tar to layer folder, in a jail: the program that reads what strangers packed.

A fresh interpreter (`extraction.py` starts it; a TUI with threads never forks) that locks itself up before it reads the first
byte: its root is the layer's own folder, in a mount namespace where nothing else is mounted and no device can be opened, in a
network namespace without a network, with limits.  A name, a link or a whiteout can then lead nowhere but into the layer.
Every import is done before, so that nothing of the layer is ever loaded (CVE-2019-14271).

In the folder things are as overlayfs has them: a whiteout is a character device 0:0, an opaque directory carries
`trusted.overlay.opaque`.  Sources: image-spec, layer.md; kernel, Documentation/filesystems/overlayfs.rst.

    stdin   the tar, not compressed                 stdout   one line of JSON: `Unpacked`, or what was wrong
    cwd     the layer's folder, empty               argv     the trees of the layers below, highest first
"""

from __future__ import annotations

import errno
import os
import resource
import signal
import stat
import sys as interpreter

from tuidock.errors import Refused
from tuidock.image.tarheader import clean, shown
from tuidock.image.tarstream import (
    BLOCK_DEVICE,
    CHARACTER,
    DIRECTORY,
    FIFO,
    LINK,
    REGULAR,
    SYMLINK,
    Entry,
    TarStream,
)
from tuidock.oci.jsontext import dumps
from tuidock.runtime import syscalls as sys
from tuidock.storage.space import allowance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

CHUNK = 1 << 18
ENTRY_LIMIT = 2_000_000
MEMORY_LIMIT = 1 << 30
OPAQUE = b"trusted.overlay.opaque"
WHITEOUT, WHITEOUT_META, WHITEOUT_OPAQUE = b".wh.", b".wh..wh.", b".wh..wh..opq"
NODE = {CHARACTER: stat.S_IFCHR, BLOCK_DEVICE: stat.S_IFBLK, FIFO: stat.S_IFIFO}
DROPPED = (b"trusted.", b"security.selinux", b"user.overlay.")
"""Attributes that mean something to this kernel or to overlayfs, and none of it is an image's to say."""


class Layer:
    """A layer that is being unpacked; its folder is the root of this process."""

    size: int
    """Bytes of its files and of the targets of its symbolic links, as docker counts them."""

    def __init__(self, lower: Sequence[int] = ()) -> None:
        """lower: descriptors of the trees below, highest first; what the archive does not name has its looks from there."""
        self.lower = lower
        self.size = 0
        self.entries = 0
        self._unchecked = 0
        self._opaque_root = False
        self._whiteouts: list[bytes] = []
        self._mtimes: dict[bytes, int] = {}

    def unpack(self, archive: TarStream) -> None:
        """Raises Refused, OSError; what has been made so far stays, and the caller throws the folder away."""
        for entry in archive:
            self.entries += 1
            if self.entries > ENTRY_LIMIT:
                raise Refused(f"the layer has more than {ENTRY_LIMIT} entries")
            if self.entries % 4096 == 0:
                allowance("/")
            self._add(entry, archive)
        if self._opaque_root:
            self._hide_all_below()
        for path in self._whiteouts:
            self._drop_if_idle(path)
        for path, mtime in reversed(self._mtimes.items()):
            try:
                if stat.S_ISDIR(os.lstat(path).st_mode):
                    os.utime(path, ns=(mtime, mtime), follow_symlinks=False)
            except (FileNotFoundError, NotADirectoryError):
                pass  # a later entry took its place

    def _add(self, entry: Entry, archive: TarStream) -> None:
        parts = clean(entry.name)
        if not parts:
            if entry.kind != DIRECTORY:
                raise Refused(f"{shown(entry.name)} is the layer's root, and no directory")
            self._finish(b"/", entry)
            return
        name = parts[-1]
        if name.startswith(WHITEOUT) or any(part.startswith(WHITEOUT) for part in parts):
            self._whiteout(parts)
            return
        path = b"/" + b"/".join(parts)
        if entry.kind == REGULAR:
            self._file(path, entry, archive)
        elif entry.kind == DIRECTORY:
            self._directory(path)
            self._finish(path, entry)
        elif entry.kind == LINK:
            self._link(path, entry)
        elif entry.kind == SYMLINK:
            if not entry.link:
                raise Refused(f"{shown(entry.name)} is a link to nothing")
            self._make(path, lambda: os.symlink(entry.link, path))
            self._finish(path, entry)
            self.size += len(entry.link)
        else:
            self._make(path, lambda: os.mknod(path, NODE[entry.kind] | 0o600, _device(entry)))
            self._finish(path, entry)

    # one of each kind

    def _file(self, path: bytes, entry: Entry, archive: TarStream) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        try:
            descriptor = os.open(path, flags, 0o600)
        except OSError as error:
            self._make_way(path, error)
            descriptor = os.open(path, flags, 0o600)
        try:
            if entry.sparse is None:
                for piece in archive.content():
                    self._write(descriptor, piece)
            else:
                self._write_sparse(descriptor, entry, archive)
            os.fchown(descriptor, _id(entry.uid), _id(entry.gid))  # clears setuid and capabilities, so it is first
            for key, value in entry.xattrs.items():
                set_attribute(descriptor, key, value)
            os.fchmod(descriptor, entry.mode)
            os.utime(descriptor, ns=(entry.mtime, entry.mtime))
        finally:
            os.close(descriptor)
        self.size += entry.size

    def _write(self, descriptor: int, piece: memoryview) -> None:
        self._unchecked -= len(piece)
        if self._unchecked < 0:
            self._unchecked = allowance("/")
        while piece:
            piece = piece[os.write(descriptor, piece) :]

    def _write_sparse(self, descriptor: int, entry: Entry, archive: TarStream) -> None:
        os.ftruncate(descriptor, entry.size)
        pieces = iter(entry.sparse or ())
        left = 0
        for content in archive.content():
            while content:
                while not left:
                    offset, left = next(pieces)
                    os.lseek(descriptor, offset, os.SEEK_SET)
                self._write(descriptor, content[:left])
                done = min(left, len(content))
                content, left = content[done:], left - done

    def _directory(self, path: bytes) -> None:
        """A directory that is there keeps its content; one that takes the place of something hides what is below it."""
        try:
            os.mkdir(path, 0o700)
            return
        except FileExistsError:
            if stat.S_ISDIR(os.lstat(path).st_mode):
                return
            os.unlink(path)
            os.mkdir(path, 0o700)
            os.setxattr(path, OPAQUE, b"y")
        except OSError as error:
            self._make_way(path, error)
            os.mkdir(path, 0o700)

    def _link(self, path: bytes, entry: Entry) -> None:
        target = b"/" + b"/".join(clean(entry.link))
        if target == path:
            raise Refused(f"{shown(entry.name)} is a hard link to itself")
        try:
            self._make(path, lambda: os.link(target, path, follow_symlinks=False))
        except OSError as error:
            why = "which is not in this layer" if error.errno == errno.ENOENT else os.strerror(error.errno or 0)
            raise Refused(f"{shown(entry.name)} is a hard link to {shown(entry.link)}: {why}") from error

    def _whiteout(self, parts: list[bytes]) -> None:
        """Hides what is below, and nothing that this layer brings itself, wherever in the archive it stands."""
        name = parts[-1]
        if parts[0].startswith(WHITEOUT_META) and name != WHITEOUT_OPAQUE:
            return  # the bookkeeping of AUFS at the top of old layers; docker passes over it too
        folder = parts[:-1]
        hidden = name[len(WHITEOUT) :]
        if any(part.startswith(WHITEOUT) for part in folder) or hidden in (b"", b".", b".."):
            raise Refused(f"{shown(b'/'.join(parts))} is no whiteout of anything")
        above = b"/" + b"/".join(folder)
        if name == WHITEOUT_OPAQUE:
            if folder:
                self._parents(above)
                os.setxattr(above, OPAQUE, b"y")
            else:
                self._opaque_root = True
            return
        path = above.rstrip(b"/") + b"/" + hidden
        try:
            found = os.lstat(path).st_mode
        except (FileNotFoundError, NotADirectoryError):
            self._make(path, lambda: os.mknod(path, stat.S_IFCHR, 0))
            self._whiteouts.append(path)
            return
        if stat.S_ISDIR(found):
            os.setxattr(path, OPAQUE, b"y")

    def _hide_all_below(self) -> None:
        """An opaque root: overlayfs heeds the attribute everywhere but there, so each name below is hidden by itself."""
        for tree in self.lower:
            folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=tree)
            try:
                names = {name for name in map(os.fsencode, os.listdir(folder)) if not os.path.lexists(b"/" + name)}
            finally:
                os.close(folder)
            for name in names:
                os.mknod(b"/" + name, stat.S_IFCHR, 0)
        for name in map(os.fsencode, os.listdir(b"/")):
            if stat.S_ISDIR(os.lstat(b"/" + name).st_mode):
                os.setxattr(b"/" + name, OPAQUE, b"y")

    def _drop_if_idle(self, path: bytes) -> None:
        """Remove a whiteout that hides nothing: in a folder that is not merged with one below, overlayfs would list it."""
        above, _, name = path.rpartition(b"/")
        path = os.path.realpath(above or b"/").rstrip(b"/") + b"/" + name
        try:
            if not is_whiteout(path):
                return
        except (FileNotFoundError, NotADirectoryError):
            return  # a later entry took its place
        above = os.path.dirname(path)
        while above != b"/":
            if is_opaque(above):
                os.unlink(path)
                return
            above = os.path.dirname(above)
        if not any(_has(tree, path) for tree in self.lower):
            os.unlink(path)

    # what is in the way, and what is missing

    def _make(self, path: bytes, act: Callable[[], None]) -> None:
        try:
            act()
        except OSError as error:
            self._make_way(path, error)
            act()

    def _make_way(self, path: bytes, error: OSError) -> None:
        """Do what can be done so that `path` can be made after it failed with `error`; else raise that."""
        if error.errno == errno.EEXIST:
            remove(path)
        elif error.errno in (errno.ENOENT, errno.ENOTDIR):
            above = path.rpartition(b"/")[0]
            if not above or (error.errno == errno.ENOENT and os.path.isdir(above)):
                raise error
            self._parents(above)
        else:
            raise error

    def _parents(self, path: bytes) -> None:
        """Make the directories of `path` that the archive has not named, as the layers below have them."""
        at = b""
        for part in path[1:].split(b"/"):
            at += b"/" + part
            try:
                os.mkdir(at)
                opaque = False
            except FileExistsError:
                if os.path.isdir(at):
                    continue
                if not is_whiteout(at):
                    raise Refused(f"{shown(at)} is no directory, and the layer has something below it") from None
                os.unlink(at)
                os.mkdir(at)
                opaque = True
            os.chown(at, 0, 0)  # a folder with the setgid bit above would have given it its group, and the bit
            os.chmod(at, 0o755)
            if opaque:
                os.setxattr(at, OPAQUE, b"y")
            else:
                self._look_like_below(at)

    def _look_like_below(self, path: bytes) -> None:
        for tree in self.lower:
            try:
                flags = os.O_PATH | os.O_NOFOLLOW
                below = sys.openat2(tree, os.fsdecode(path), flags, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_MAGICLINKS)
            except OSError:
                continue
            found = os.fstat(below)
            os.close(below)
            if stat.S_ISDIR(found.st_mode):
                os.chown(path, found.st_uid, found.st_gid)
                os.chmod(path, stat.S_IMODE(found.st_mode))
                self._mtimes.setdefault(path, found.st_mtime_ns)
            return

    def _finish(self, path: bytes, entry: Entry) -> None:
        """Owner, attributes, mode and times of all but regular files."""
        os.lchown(path, _id(entry.uid), _id(entry.gid))
        for key, value in entry.xattrs.items():
            set_attribute(path, key, value)
        if entry.kind != SYMLINK:
            os.chmod(path, entry.mode)
        if entry.kind == DIRECTORY:
            self._mtimes[path] = entry.mtime
        else:
            os.utime(path, ns=(entry.mtime, entry.mtime), follow_symlinks=False)


def set_attribute(where: int | bytes, key: bytes, value: bytes) -> None:
    """An extended attribute, unless it is not the image's to set, or is one that this file system or file cannot have.

    A capability that cannot be kept is an error: the program would be another one.
    """
    if key.startswith(DROPPED):
        return
    try:
        if isinstance(where, int):
            os.setxattr(where, key, value)
        else:
            os.setxattr(where, key, value, follow_symlinks=False)
    except OSError as error:
        if key == b"security.capability" or error.errno not in (errno.ENOTSUP, errno.EPERM, errno.EINVAL):
            raise


def is_whiteout(path: bytes) -> bool:
    found = os.lstat(path)
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: bytes) -> bool:
    try:
        return os.getxattr(path, OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _has(tree: int, path: bytes) -> bool:
    """Whether a layer has something of that name, seen as overlayfs sees it: no link is followed."""
    try:
        os.close(sys.openat2(tree, os.fsdecode(path), os.O_PATH | os.O_NOFOLLOW, sys.RESOLVE_IN_ROOT | sys.RESOLVE_NO_SYMLINKS))
    except OSError:
        return False
    return True


def remove(path: bytes) -> None:
    """Whatever is there, and all below it; a symbolic link itself.

    Directories are brought to the top one by one: a tree may be deeper than a path is long.
    """
    if not stat.S_ISDIR(os.lstat(path).st_mode):
        os.unlink(path)
        return
    left = [path]
    count = 0
    while left:
        folder = left.pop()
        for name in os.listdir(folder):
            inner = folder + b"/" + name
            if stat.S_ISDIR(os.lstat(inner).st_mode):
                count += 1
                left.append(b"/" + WHITEOUT_META + b"removed-%d" % count)  # no archive can name that
                os.rename(inner, left[-1])
            else:
                os.unlink(inner)
        os.rmdir(folder)


def _id(number: int) -> int:
    if number >= 0xFFFFFFFF:  # -1 of chown(2) means "as it is"
        raise Refused(f"{number} as an owner")
    return number


def _device(entry: Entry) -> int:
    if entry.kind == FIFO:
        return 0
    try:
        return os.makedev(entry.major, entry.minor)
    except OverflowError as error:
        raise Refused(f"{shown(entry.name)} is device {entry.major}:{entry.minor}") from error


def lock_up() -> None:
    """From here on this process has the present directory as its root, and nothing else of the machine."""
    folder = os.getcwd()
    sys.unshare(sys.CLONE_NEWNS | sys.CLONE_NEWNET | sys.CLONE_NEWIPC)
    sys.mount("", "/", flags=sys.MS_REC | sys.MS_PRIVATE)
    sys.mount(folder, folder, flags=sys.MS_BIND)
    restricted = sys.MS_NODEV | sys.MS_NOSUID | sys.MS_NOEXEC
    sys.mount("", folder, flags=sys.MS_REMOUNT | sys.MS_BIND | restricted)
    os.chdir(folder)
    sys.pivot_root(".", ".")
    sys.umount2(".", sys.MNT_DETACH)
    os.chdir("/")
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_LIMIT, MEMORY_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    interpreter.meta_path.clear()  # what would be found from here on is the layer's
    interpreter.path.clear()


def main(lower: Sequence[str] = ()) -> None:
    """What `extraction.Extraction` runs."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it says when it is over
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0)
    answer: dict[str, object]
    try:
        trees = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in lower]
        lock_up()
        archive = TarStream(iter(lambda: os.read(0, CHUNK), b""))
        layer = Layer(trees)
        layer.unpack(archive)
        archive.drain()
        answer = {"size": layer.size, "entries": layer.entries, "ended": archive.ended}
    except Refused as error:
        answer = {"refused": error.message, "hint": error.hint}
    except MemoryError:
        answer = {"refused": "the layer needs more memory to unpack than is allowed", "hint": ""}
    except OSError as error:
        name = error.filename.decode("utf-8", "backslashreplace") if isinstance(error.filename, bytes) else error.filename
        answer = {"errno": error.errno, "path": name or ""}
    os.write(1, dumps(answer).encode())
