"""A container's read-write layer, the overlay's upper directory: what it adds, changes and deletes, and as a layer's tar.

The one reader of it: diff, commit, the preview of a commit and the Layers pane ask here.  An overlay is mounted with index,
redirect_dir and metacopy off, so its upper directory is a plain difference: a whiteout is a character device 0:0, a directory
that hides all below it has `trusted.overlay.opaque`.  The container may be writing while we read: everything is found by
descriptor, and no symbolic link is followed.

Sources: kernel, Documentation/filesystems/overlayfs.rst; image-spec, layer.md; moby, pkg/archive/changes.go for what counts
as a change.
"""

from __future__ import annotations

import errno
import os
import stat

from tuidock.errors import Refused
from tuidock.image.tarheader import shown
from tuidock.image.tarstream import REGULAR
from tuidock.image.tarwriter import END, Members, header, walk
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tuidock.image.tarwriter import Found

ADDED, CHANGED, DELETED, TOUCHED = "A", "C", "D", ""
OPAQUE, REDIRECT, METACOPY = "trusted.overlay.opaque", "trusted.overlay.redirect", "trusted.overlay.metacopy"
WHITEOUT, WHITEOUT_OPAQUE = b".wh.", b".wh..wh..opq"
CAPABILITY = "security.capability"


class Change(Value):
    """A file that a layer adds, changes or deletes."""

    path: str
    """of the container, absolute"""
    kind: str
    """A, C or D, as docker diff; empty for what lies in the layer and is as it was: its directory's time alone is new"""
    size: int
    """bytes; 0 for a directory and for what is deleted"""
    mtime: int
    """ns since the epoch"""
    is_dir: bool


def changes(upper: str, lower: Sequence[str], *, touched: bool = False) -> list[Change]:
    """What `upper` changes in the directories below it, each before what is in it, by name.

    lower: highest first.  touched: also what is in the layer without being different.  A directory that nothing but its
    content has changed in counts as changed, and of a directory that is gone only itself is told, as docker diff has both.
    """
    top = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    trees = [os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC) for path in lower]
    try:
        found = _Comparison(top, trees).run()
    finally:
        for descriptor in (top, *trees):
            os.close(descriptor)
    return [change for change in found if change.kind or touched]


class _Comparison:
    """The upper directory beside what is seen of those below it."""

    def __init__(self, top: int, trees: Sequence[int]) -> None:
        self.top = top
        self.below: dict[bytes, Sequence[int]] = {b"": trees}
        """Directory of the upper tree to the trees below that it is merged with."""
        self.hiding: set[bytes] = set()
        """Directories made anew in the place of one below, and those in them: what they lack of that is deleted."""
        self.found: dict[bytes, Change] = {}

    def run(self) -> list[Change]:
        for found in walk(self.top):
            trees = self.below.get(found.path.rpartition(b"/")[0], ())
            under, merged = _look(trees, found.path)
            status = found.status
            if is_whiteout(status):
                if under is not None:
                    self._tell(found.path, DELETED, status)
            elif stat.S_ISDIR(status.st_mode):
                self._directory(found, under, merged)
            else:
                self._tell(found.path, ADDED if under is None else CHANGED if _differ(found, under, trees) else TOUCHED, status)
        ordered = sorted(self.found.items(), key=lambda pair: pair[0].split(b"/"))
        return [change for _, change in ordered]

    def _directory(self, found: Found, under: os.stat_result | None, merged: Sequence[int]) -> None:
        path = found.path
        if under is None or not stat.S_ISDIR(under.st_mode):
            self.below[path] = ()
            self._tell(path, ADDED if under is None else CHANGED, found.status)
            return
        self.below[path] = merged
        self._tell(path, CHANGED if _differ(found, under, merged) else TOUCHED, found.status)
        if _attribute(found.descriptor, OPAQUE) != b"y" and path.rpartition(b"/")[0] not in self.hiding:
            return
        self.hiding.add(path)
        there = set(map(os.fsencode, os.listdir(found.descriptor)))
        for name in {os.fsencode(name) for tree in merged for name in _names(tree, path)} - there:
            if _look(merged, path + b"/" + name)[0] is not None:
                self._tell(path + b"/" + name, DELETED, found.status)

    def _tell(self, path: bytes, kind: str, status: os.stat_result) -> None:
        is_dir = stat.S_ISDIR(status.st_mode) and kind != DELETED
        size = 0 if is_dir or kind == DELETED else status.st_size
        self.found[path] = Change("/" + os.fsdecode(path), kind, size, status.st_mtime_ns, is_dir)
        above = path.rpartition(b"/")[0] if kind else b""
        while above and not self.found[above].kind:
            self.found[above] = self.found[above].replace(kind=CHANGED)
            above = above.rpartition(b"/")[0]


def _look(trees: Sequence[int], path: bytes) -> tuple[os.stat_result | None, list[int]]:
    """What is seen at `path` in trees that lie on each other, highest first, and the trees that a directory there is made of.

    Only the last part of the path can be a link: the trees are those in which all before it are directories.
    """
    seen: os.stat_result | None = None
    merged: list[int] = []
    for tree in trees:
        try:
            status = os.stat(path, dir_fd=tree, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            continue
        if is_whiteout(status):
            break
        is_dir = stat.S_ISDIR(status.st_mode)
        if seen is None:
            seen = status
        if not is_dir:
            break
        merged.append(tree)
        if _attribute(f"/proc/self/fd/{tree}/{os.fsdecode(path)}", OPAQUE) == b"y":
            break
    return seen, merged


def _names(tree: int, path: bytes) -> list[str]:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree)
    try:
        return os.listdir(descriptor)
    finally:
        os.close(descriptor)


def _differ(found: Found, under: os.stat_result, trees: Sequence[int]) -> bool:
    """Whether a thing is another one than below it, by what moby compares: of a directory neither size nor time."""
    mine = found.status
    if (mine.st_mode, mine.st_uid, mine.st_gid, mine.st_rdev) != (under.st_mode, under.st_uid, under.st_gid, under.st_rdev):
        return True
    if stat.S_ISDIR(mine.st_mode):
        return False
    if (mine.st_size, mine.st_mtime_ns) != (under.st_size, under.st_mtime_ns):
        return True
    if not stat.S_ISREG(mine.st_mode):
        return False
    own = _attribute(f"/proc/self/fd/{found.folder}/{os.fsdecode(found.name)}", CAPABILITY)
    for tree in trees:
        path = f"/proc/self/fd/{tree}/{os.fsdecode(found.path)}"
        if os.path.lexists(path):
            return own != _attribute(path, CAPABILITY)
    return False


def is_whiteout(status: os.stat_result) -> bool:
    return stat.S_ISCHR(status.st_mode) and status.st_rdev == 0


def _attribute(where: int | str, name: str) -> bytes:
    """An extended attribute of a descriptor, or of a path whose last part is not followed; empty if there is none."""
    try:
        return os.getxattr(where, name) if isinstance(where, int) else os.getxattr(where, name, follow_symlinks=False)
    except OSError as error:
        if error.errno in (errno.ENODATA, errno.ENOTSUP, errno.ENOENT, errno.ENOTDIR, errno.EPERM):
            return b""
        raise


def tar(upper: str, *, newest: int = -1) -> Iterator[bytes]:
    """The layer's tar, in pieces; always the same for the same directory.

    newest: ns since the epoch that no file is later than (SOURCE_DATE_EPOCH); -1 for none.
    Raises Refused for what no layer can say, Conflict if a file is cut short meanwhile.
    """
    top = os.open(upper, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    members = Members(newest)
    try:
        for found in walk(top):
            if is_whiteout(found.status):
                above = found.path[: -len(found.name)]
                yield header(above + WHITEOUT + found.name, REGULAR, mode=0o600)
                continue
            _check(found)
            yield from members.member(found)
            if found.descriptor >= 0 and _attribute(found.descriptor, OPAQUE) == b"y":
                yield header(found.path + b"/" + WHITEOUT_OPAQUE, REGULAR, mode=0o600)
    finally:
        os.close(top)
    yield END


def _check(found: Found) -> None:
    if found.name.startswith(WHITEOUT):
        raise Refused(
            f"/{shown(found.path)[1:-1]} cannot be in a layer: names with .wh. before them say what is deleted", "rename it"
        )
    if not stat.S_ISREG(found.status.st_mode) and found.descriptor < 0:
        return
    where = found.descriptor if found.descriptor >= 0 else f"/proc/self/fd/{found.folder}/{os.fsdecode(found.name)}"
    for name in (REDIRECT, METACOPY):
        if _attribute(where, name):
            raise Refused(
                f"/{shown(found.path)[1:-1]} is in the read-write layer without its content ({name})",
                "it was written by an overlay that is not tuidock's",
            )
