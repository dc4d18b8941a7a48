"""Read a tar as it comes through a pipe, and believe nothing that it says.

Not the standard library's `tarfile`: that takes a damaged header in the middle or an end that came too early for the end of
the archive, and needs 80 µs for an entry.  Here every doubt is `Refused`, and names are bytes, as the kernel has them.
Read are V7, ustar, star, GNU and pax archives with their long names, their big numbers and their four kinds of sparse file.

Sources: pax(1) of POSIX.1-2024, "ustar Interchange Format"; GNU tar manual, "Basic Tar Format" and "Storing Sparse Files".
Where they leave a choice, it is made as Go's archive/tar makes it, because that is what read the layer first.
"""

from __future__ import annotations

import struct

from tuidock.errors import Refused
from tuidock.image.tarheader import decimal, nanoseconds, number, pax_values, seconds, sparse_pairs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK = 512
SPECIAL_LIMIT = 1 << 20
"""Bytes of one extended header or long name; Go's limit too."""
SPARSE_LIMIT = 1 << 20
"""Pieces of one sparse file."""
REGULAR, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
CONTIGUOUS, GNU_SPARSE, OLD_REGULAR = b"7", b"S", b"\0"
PAX, PAX_GLOBAL, LONG_NAME, LONG_LINK, VOLUME = b"x", b"g", b"L", b"K", b"V"
KINDS = frozenset((REGULAR, LINK, SYMLINK, CHARACTER, BLOCK_DEVICE, DIRECTORY, FIFO))
ZERO = bytes(BLOCK)
XATTR = b"SCHILY.xattr."

_fields = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s").unpack


class Entry:
    """One member.  Its content is read from the archive itself, before the next entry is asked for."""

    __slots__ = ("gid", "kind", "link", "major", "minor", "mode", "mtime", "name", "size", "sparse", "uid", "xattrs")

    name: bytes
    """as written, not cleaned"""
    kind: bytes
    """one of KINDS"""
    mode: int
    """permission bits with setuid, setgid and sticky"""
    uid: int
    gid: int
    mtime: int
    """ns since the epoch; 0 for what no clock shows"""
    size: int
    """bytes of the file that it becomes; 0 for all but regular files"""
    link: bytes
    major: int
    minor: int
    xattrs: dict[bytes, bytes]
    sparse: list[tuple[int, int]] | None
    """offset and length of the pieces that are in the archive, in order; None for an ordinary file"""


class TarStream:
    """An archive.  Iterate over it, and over `content` for what the present entry holds.

    chunks: the archive's bytes in pieces of any length but 0.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._chunk = b""
        self._at = 0
        self._left = 0  # stored bytes of the present entry that nobody has read
        self._padding = 0
        self.ended = False
        """Whether the end mark has come: an archive that was cut off between two entries has none."""

    def __iter__(self) -> Iterator[Entry]:
        while (entry := self.next()) is not None:
            yield entry

    def next(self) -> Entry | None:
        """The next entry; None at the end of the archive.  Raises Refused."""
        extended: dict[bytes, bytes] = {}
        long_name = long_link = b""
        while True:
            self._skip()
            header = self._header()
            if header is None:
                if extended or long_name or long_link:
                    raise Refused("the archive ends between an extended header and its entry")
                return None
            kind = header[156:157]
            if kind == PAX:
                extended = pax_values(self._special(header))
            elif kind == LONG_NAME:
                long_name = self._special(header).partition(b"\0")[0]
            elif kind == LONG_LINK:
                long_link = self._special(header).partition(b"\0")[0]
            elif kind in (PAX_GLOBAL, VOLUME):  # comments of git-archive and labels; docker passes over them too
                self._special(header)
            else:
                return self._entry(header, extended, long_name, long_link)

    def content(self) -> Iterator[memoryview]:
        """The stored bytes of the present entry; of a sparse file its pieces one after the other."""
        while self._left:
            piece = self._piece(self._left)
            self._left -= len(piece)
            yield piece

    def drain(self) -> bool:
        """Read what follows the end mark.  Returns whether it is padding only."""
        clean = not any(self._chunk[self._at :])
        for chunk in self._chunks:
            clean = clean and not any(chunk)
        return clean

    # the stream

    def _piece(self, most: int) -> memoryview:
        if self._at == len(self._chunk):
            self._chunk = next(self._chunks, b"")
            self._at = 0
            if not self._chunk:
                raise Refused("the archive is cut off in the middle of an entry")
        start = self._at
        self._at = min(start + most, len(self._chunk))
        return memoryview(self._chunk)[start : self._at]

    def _exactly(self, length: int) -> bytes:
        start = self._at
        if start + length <= len(self._chunk):
            self._at = start + length
            return self._chunk[start : self._at]
        pieces = []
        while length:
            piece = self._piece(length)
            length -= len(piece)
            pieces.append(piece)
        return b"".join(pieces)

    def _skip(self) -> None:
        for _ in self.content():
            pass
        if self._padding:
            self._exactly(self._padding)
            self._padding = 0

    def _block(self) -> bytes | None:
        """The next 512 bytes; None at an end of the stream that is one between blocks."""
        if self._at == len(self._chunk):
            self._chunk = next(self._chunks, b"")
            self._at = 0
            if not self._chunk:
                return None
        return self._exactly(BLOCK)

    def _header(self) -> bytes | None:
        block = self._block()
        if block is None:
            return None
        if block == ZERO:
            follows = self._block()
            if follows is not None and follows != ZERO:
                raise Refused("the archive goes on after a block of zeros")
            self.ended = True
            return None
        try:
            stored = number(block[148:156], "checksum")
        except Refused:
            stored = -1
        plain = block[:148] + b"        " + block[156:]
        if stored != sum(plain) and stored != sum(plain) - 256 * sum(byte > 127 for byte in plain):
            raise Refused("not a tar archive, or a damaged one: a header's checksum is wrong")
        return block

    def _open(self, size: int) -> None:
        self._left = size
        self._padding = -size % BLOCK

    def _special(self, header: bytes) -> bytes:
        size = number(header[124:136], "size")
        if size > SPECIAL_LIMIT:
            raise Refused(f"an extended header of {size} bytes", f"{SPECIAL_LIMIT} are allowed")
        self._open(size)
        content = self._exactly(size)
        self._left = 0
        return content

    # an entry

    def _entry(self, header: bytes, extended: dict[bytes, bytes], long_name: bytes, long_link: bytes) -> Entry:
        (
            name, mode, uid, gid, size, mtime, _, kind, link, magic, _, _, major, minor, prefix, trailer,
        ) = _fields(header)  # fmt: skip
        entry = Entry()
        name = name.partition(b"\0")[0]
        if magic[:6] == b"ustar\0":
            if trailer[8:] == b"tar\0":
                prefix = prefix[:131]
            prefix = prefix.partition(b"\0")[0]
            if prefix:
                name = prefix + b"/" + name
        entry.name = extended.get(b"path") or long_name or name
        entry.link = extended.get(b"linkpath") or long_link or link.partition(b"\0")[0]
        if not entry.name:
            raise Refused("an entry without a name")
        entry.mode = number(mode, "mode") & 0o7777
        entry.uid = decimal(extended[b"uid"], "uid") if b"uid" in extended else number(uid, "uid")
        entry.gid = decimal(extended[b"gid"], "gid") if b"gid" in extended else number(gid, "gid")
        entry.mtime = nanoseconds(extended[b"mtime"]) if b"mtime" in extended else seconds(mtime) * 1_000_000_000
        entry.xattrs = {key[len(XATTR) :]: value for key, value in extended.items() if key.startswith(XATTR)}
        entry.sparse = None
        stored = decimal(extended[b"size"], "size") if b"size" in extended else number(size, "size")
        if kind in (OLD_REGULAR, CONTIGUOUS, REGULAR):
            kind = DIRECTORY if entry.name.endswith(b"/") and kind == OLD_REGULAR else REGULAR
        entry.kind = REGULAR if kind == GNU_SPARSE else kind
        if entry.kind not in KINDS:
            raise Refused(f"{entry.name!r} is of the unknown kind {kind!r}")
        entry.major = entry.minor = 0
        if kind in (CHARACTER, BLOCK_DEVICE):
            entry.major, entry.minor = number(major, "major"), number(minor, "minor")
        if entry.kind != REGULAR:
            entry.size = 0  # some writers say the size of a link's target; no content follows
            return entry
        entry.size = stored
        self._open(stored)
        if kind == GNU_SPARSE:
            self._old_sparse(entry, header)
        elif b"GNU.sparse.map" in extended or b"GNU.sparse.major" in extended:
            self._pax_sparse(entry, extended)
        if entry.sparse is not None:
            _check_sparse(entry, self._left)
        return entry

    def _old_sparse(self, entry: Entry, header: bytes) -> None:
        """Of GNU: the first four pieces in the header, further ones in blocks of 21 after it."""
        pieces = sparse_pairs(header[386:482])
        more = header[482] != 0
        while more:
            block = self._exactly(BLOCK)
            pieces += sparse_pairs(block[:504])
            more = block[504] != 0
            _limit(len(pieces))
        entry.sparse = pieces
        entry.size = number(header[483:495], "real size")

    def _pax_sparse(self, entry: Entry, extended: dict[bytes, bytes]) -> None:
        """Of pax: 0.0 and 0.1 have the map in the extended header, 1.0 in front of the content."""
        real = extended.get(b"GNU.sparse.realsize") or extended.get(b"GNU.sparse.size") or b""
        entry.name = extended.get(b"GNU.sparse.name") or entry.name
        if b"GNU.sparse.map" in extended:
            words = extended[b"GNU.sparse.map"].split(b",") if extended[b"GNU.sparse.map"] else []
        else:
            words = self._map_in_content()
        numbers = [decimal(word, "sparse map") for word in words]
        if len(numbers) % 2:
            raise Refused(f"{entry.name!r}: a sparse map with half a piece")
        _limit(len(numbers) // 2)
        entry.sparse = list(zip(numbers[::2], numbers[1::2], strict=True))
        entry.size = decimal(real, "real size")

    def _map_in_content(self) -> list[bytes]:
        """Decimal numbers, each with a newline: how many pieces, then offset and length of each; padded to a block."""
        blocks: list[bytes] = []
        lines = 0
        wanted = 1
        while lines < wanted:
            if self._left < BLOCK:
                raise Refused("a sparse map that does not end")
            blocks.append(self._exactly(BLOCK))
            self._left -= BLOCK
            lines += blocks[-1].count(b"\n")
            if len(blocks) == 1 and lines:
                pieces = decimal(blocks[0].partition(b"\n")[0], "sparse map")
                _limit(pieces)
                wanted += 2 * pieces
        return b"".join(blocks).split(b"\n")[1:wanted]


def _limit(pieces: int) -> None:
    if pieces > SPARSE_LIMIT:
        raise Refused(f"a sparse file of {pieces} pieces", f"{SPARSE_LIMIT} are allowed")


def _check_sparse(entry: Entry, stored: int) -> None:
    """The pieces follow each other, lie in the file, and are what the archive holds."""
    end = total = 0
    for offset, length in entry.sparse or ():
        if offset < end or offset + length > entry.size:
            raise Refused(f"{entry.name!r}: a sparse map whose pieces overlap or lie outside the file")
        end = offset + length
        total += length
    if total != stored:
        raise Refused(f"{entry.name!r}: a sparse map of {total} bytes for the {stored} that are there")
