"""What a layer of our own will contain, as a value before it is a tar: paths to files, links and folders.

The tar is always the same for the same contents: sorted, owned by root, without names of owners, times in whole seconds.
"""

from __future__ import annotations

import os
import stat
import tarfile
from typing import TYPE_CHECKING

from tuidock.oci.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

CHUNK = 1 << 18
END = bytes(1024)


class Node(Value):
    """One thing in the layer."""

    mode: int
    """with the bits of its kind: S_IFREG, S_IFLNK or S_IFDIR"""
    source: str = ""
    """a file of this machine, for a regular file; or a link's target"""
    text: str | None = None
    """a regular file's content, if it has no source"""


class Contents:
    """Paths of the image, absolute, to nodes.  Parents are made as they are needed."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}

    def __contains__(self, path: str) -> bool:
        return path in self.nodes

    def folder(self, path: str, mode: int = 0o755) -> None:
        """A directory; one that is there gets the mode."""
        self._parents(path)
        self.nodes[path] = Node(stat.S_IFDIR | mode)

    def file(self, path: str, source: str) -> None:
        """A copy of a file of this machine; setuid and who may write are left behind."""
        self._parents(path)
        mode = 0o755 if os.stat(source).st_mode & 0o111 else 0o644
        self.nodes[path] = Node(stat.S_IFREG | mode, os.path.realpath(source))

    def text(self, path: str, text: str) -> None:
        """A file of our own."""
        self._parents(path)
        self.nodes[path] = Node(stat.S_IFREG | 0o644, "", text)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._parents(path)
        self.nodes[path] = Node(stat.S_IFLNK | 0o777, target)

    def _parents(self, path: str) -> None:
        above = os.path.dirname(path)
        while above != "/" and above not in self.nodes:
            self.nodes[above] = Node(stat.S_IFDIR | 0o755)
            above = os.path.dirname(above)

    def without(self, below: Contents) -> Contents:
        """Only what `below` has not got, and the folders on the way."""
        rest = Contents()
        for path, node in self.nodes.items():
            if below.nodes.get(path) != node:
                rest._parents(path)
                rest.nodes[path] = node
        for path in rest.nodes:
            if path in below.nodes and stat.S_ISDIR(rest.nodes[path].mode):
                rest.nodes[path] = below.nodes[path]
        return rest

    def newest(self) -> int:
        """The time of the youngest file that is copied, in seconds since the epoch; 0 if there is none."""
        return max((int(os.stat(source).st_mtime) for source in self._sources()), default=0)

    def size(self) -> int:
        """Bytes of all files that are copied."""
        return sum(os.stat(source).st_size for source in self._sources())

    def _sources(self) -> Iterator[str]:
        for node in self.nodes.values():
            if stat.S_ISREG(node.mode) and node.source:
                yield node.source

    def tar(self, moment: int) -> Iterator[bytes]:
        """The layer's tar in pieces.  moment: seconds since the epoch, for all that is not copied."""
        for path in sorted(self.nodes):
            yield from _member(path, self.nodes[path], moment)
        yield END


def _member(path: str, node: Node, moment: int) -> Iterator[bytes]:
    info = tarfile.TarInfo(path.lstrip("/"))
    info.mode, info.mtime = stat.S_IMODE(node.mode), moment
    if stat.S_ISDIR(node.mode):
        info.type = tarfile.DIRTYPE
    elif stat.S_ISLNK(node.mode):
        info.type, info.linkname = tarfile.SYMTYPE, node.source
    elif node.text is not None:
        content = node.text.encode()
        info.size = len(content)
        yield info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)
        return
    else:
        with open(node.source, "rb", buffering=0) as file:
            found = os.fstat(file.fileno())
            info.size, info.mtime = found.st_size, int(found.st_mtime)
            yield info.tobuf(tarfile.PAX_FORMAT)
            left = info.size
            while left:
                piece = file.read(min(left, CHUNK))
                if not piece:
                    raise OSError(0, "it has become shorter while it was read", node.source)
                left -= len(piece)
                yield piece
        yield bytes(-info.size % 512)
        return
    yield info.tobuf(tarfile.PAX_FORMAT)
