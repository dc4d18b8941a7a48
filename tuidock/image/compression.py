"""Compressed streams to plain ones, told by their first bytes and never by a name or a media type.

What grows out of all proportion is refused while it grows.  zstd is the standard library's from Python 3.14 on and its
backport before.
"""

from __future__ import annotations

import bz2
import lzma
import sys
import zlib
from typing import TYPE_CHECKING, Protocol

from tuidock.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CHUNK = 1 << 18
MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "bzip2": b"BZh",
    "xz": b"\xfd7zXZ\0",
}
FREE = 1 << 30
"""Bytes that a stream may unpack to whatever its length is."""
RATIO = 300
"""Beyond those, how many times its length.  Deflate cannot pass 1032; real layers stay below 20."""
WINDOW_LOG = 27
"""zstd: 128 MiB of memory at most, what its own command line allows."""


class Decompressor(Protocol):
    """What bz2, lzma and zstd have in common; gzip is brought into the same form below."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Gzip:
    """One member of a gzip file."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def kind_of(beginning: bytes) -> str:
    """gzip, zstd, bzip2, xz, or an empty text for what is none of them."""
    for kind, magic in MAGIC.items():
        if beginning.startswith(magic):
            return kind
    return ""


def chunks_of(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """The pieces of a stream as they come.  read: a file's `read1`, or its `read` if it has none."""
    while piece := read(CHUNK):
        yield piece


def opened(chunks: Iterator[bytes]) -> tuple[str, Iterator[bytes]]:
    """What a stream is compressed with, and its pieces again."""
    beginning = b""
    for piece in chunks:
        beginning += piece
        if len(beginning) >= 6:
            break
    return kind_of(beginning), _again(beginning, chunks)


def _again(beginning: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    if beginning:
        yield beginning
    yield from rest


def plain(kind: str, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The plain bytes, in pieces of at most CHUNK.  Several members or frames in a row count as one stream.

    Raises Refused for what is damaged, cut off, or grows beyond FREE and RATIO.
    """
    if not kind:
        yield from chunks
        return
    begun = False
    taken = given = 0
    one = _decompressor(kind)
    for piece in chunks:
        taken += len(piece)
        while piece or not one.needs_input:
            if one.eof:
                one, begun = _decompressor(kind), False
            if not begun and not piece.strip(b"\0"):
                break  # padding behind the last member
            begun = True
            try:
                content = one.decompress(piece, CHUNK)
            except (zlib.error, lzma.LZMAError, OSError, zstd.ZstdError, ValueError) as error:
                raise Refused(f"the {kind} stream is damaged: {error}") from error
            piece = one.unused_data if one.eof else b""
            given += len(content)
            if given > FREE and given > RATIO * taken:
                raise Refused(f"{taken} bytes of {kind} unpack to more than {given}", "nothing real is packed like that")
            if content:
                yield content
            if one.eof and not piece:
                break
    if begun and not one.eof:
        raise Refused(f"the {kind} stream is cut off")


def _decompressor(kind: str) -> Decompressor:
    if kind == "gzip":
        return Gzip()
    if kind == "bzip2":
        return bz2.BZ2Decompressor()
    if kind == "xz":
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=1 << 28)
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW_LOG})
