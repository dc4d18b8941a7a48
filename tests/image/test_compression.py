"""Compressed streams: what other tools pack comes out as it was; what is damaged or hostile is refused while it comes."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import os
import shutil
import struct
import subprocess
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator

import pytest
from backports import zstd
from hypothesis import given, settings
from hypothesis import strategies as st

from tuidock.errors import Refused
from tuidock.image import compression, packing
from tuidock.image.compression import CHUNK, chunks_of, kind_of, opened, plain

PACK: dict[str, Callable[[bytes], bytes]] = {
    "": lambda content: content,
    "gzip": gzip.compress,
    "zstd": zstd.compress,
    "bzip2": bz2.compress,
    "xz": lambda content: lzma.compress(content, preset=0),
}
SKIPPABLE = struct.pack("<II", 0x184D2A50, 5) + b"notes"
"""A zstd frame that says nothing, such as zstd:chunked has behind the others."""


def unpacked(packed: bytes, piece: int = 1 << 16) -> bytes:
    kind, pieces = opened(packed[at : at + piece] for at in range(0, len(packed), piece))
    return b"".join(plain(kind, pieces))


@pytest.mark.parametrize("kind", PACK)
@settings(max_examples=30, deadline=None)
@given(content=st.binary(max_size=5000), times=st.integers(1, 200), piece=st.integers(1, 300))
def test_there_and_back(kind: str, content: bytes, times: int, piece: int) -> None:
    """In pieces of any length."""
    content = b"begin" + content * times
    packed = PACK[kind](content)
    assert kind_of(packed[:6]) == kind
    assert unpacked(packed, piece * 50) == content


@pytest.mark.parametrize("tool", ["gzip -9", "zstd -3 --long=27", "zstd -1 --no-check", "bzip2", "xz -6", "xz --check=none"])
def test_what_tools_pack(tool: str) -> None:
    if not shutil.which(tool.split()[0]):
        pytest.skip(f"{tool.split()[0]} is not here")
    content = os.urandom(1000) * 1000
    packed = subprocess.run([*tool.split(), "-c"], input=content, stdout=subprocess.PIPE, check=True).stdout
    assert unpacked(packed) == content


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_several_members_are_one_stream(kind: str) -> None:
    """As `cat a.gz b.gz`, pigz and our own packing make them; with a tape's padding of zeros."""
    packed = b"".join(PACK[kind](part) for part in (b"one", b"", b"two" * 100_000))
    for piece in (1, 7, 1 << 16):
        assert unpacked(packed, piece) == b"one" + b"two" * 100_000
        assert unpacked(packed + bytes(1000), piece) == b"one" + b"two" * 100_000


@pytest.mark.parametrize("piece", [1, 6, 100, 1 << 16])
def test_zstd_frames_without_content(piece: int) -> None:
    for packed in (
        zstd.compress(b"a") + SKIPPABLE,
        zstd.compress(b"a") + SKIPPABLE + zstd.compress(b"b"),
        zstd.compress(b"") * 2,
    ):
        assert unpacked(packed, piece) == zstd.decompress(packed)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_a_stream_that_is_cut_off(kind: str) -> None:
    packed = PACK[kind](os.urandom(10_000))
    for end in (len(packed) - 1, len(packed) // 2, 12):
        with pytest.raises(Refused, match="cut off"):
            unpacked(packed[:end])
    with pytest.raises(Refused, match="cut off"):
        unpacked(packed + packed[:100])


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_a_stream_that_is_damaged(kind: str) -> None:
    packed = bytearray(PACK[kind](os.urandom(10_000)))
    for damaged in (bytes(packed) + b"not padding", bytes(packed[:-4]) + bytes(4)):
        if kind == "zstd" and damaged[:-4] == packed[:-4]:
            continue  # without a checksum, these are content
        with pytest.raises(Refused, match=r"damaged|cut off"):
            unpacked(damaged)


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_no_damage_is_a_bug(kind: str, data: st.DataObject) -> None:
    packed = bytearray(PACK[kind](b"some content " * 50))
    for at in data.draw(st.lists(st.integers(6, len(packed) - 1), min_size=1, max_size=4)):
        packed[at] = data.draw(st.integers(0, 255))
    try:
        unpacked(bytes(packed), data.draw(st.integers(1, 100)))
    except Refused:
        pass


def bomb(kind: str, megabytes: int) -> Iterator[bytes]:
    """Zeros, packed as well as it goes, made while they are read."""
    if kind == "gzip":
        deflate = zlib.compressobj(9, wbits=31)
        for _ in range(megabytes):
            yield deflate.compress(bytes(1 << 20))
        yield deflate.flush()
    else:
        one = PACK[kind](bytes(1 << 20))
        for _ in range(megabytes):
            yield one


@pytest.mark.parametrize("kind", ["gzip", "zstd", "bzip2", "xz"])
def test_a_bomb_ends_early_and_takes_no_memory(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """10 GB of zeros: what is asked for comes in small pieces, and no more than is free of charge."""
    monkeypatch.setattr(compression, "FREE", 64 << 20)
    pieces = plain(kind, filter(None, bomb(kind, 10_240)))
    tracemalloc.start()
    try:
        given_out = [len(next(pieces)) for _ in range((64 << 20) // CHUNK)]
        with pytest.raises(Refused, match="unpack to more than"):
            given_out += [len(piece) for piece in pieces]
        assert tracemalloc.get_traced_memory()[1] < 16 << 20
    finally:
        tracemalloc.stop()
    assert max(given_out) <= CHUNK


def test_what_packs_well_and_is_real(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond what is free of charge, text that packs to a hundredth still passes."""
    monkeypatch.setattr(compression, "FREE", 1 << 20)
    content = b"".join(b"a line of a log, number %d, with words that come again\n" % number for number in range(100_000))
    assert unpacked(zstd.compress(content)) == content


def test_a_window_that_is_too_large() -> None:
    """A frame may ask for 2 GB of memory before its first byte."""
    compressor = zstd.ZstdCompressor(options={zstd.CompressionParameter.window_log: 28})
    large = compressor.compress(b"x" * 1000) + compressor.flush()
    with pytest.raises(Refused, match=r"damaged.*(window|memory)"):
        unpacked(large)


def test_xz_that_wants_much_memory() -> None:
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 29}]
    with pytest.raises(Refused, match=r"damaged.*[Mm]emory"):
        unpacked(lzma.compress(b"x", filters=filters))


def test_pieces_of_a_stream() -> None:
    assert list(chunks_of(io.BytesIO(b"").read)) == []
    kind, pieces = opened(iter([b"\x1f", b"\x8b", b"\x08", b"rest"]))
    assert (kind, b"".join(pieces)) == ("gzip", b"\x1f\x8b\x08rest")
    kind, pieces = opened(iter([b"ab"]))
    assert (kind, b"".join(pieces)) == ("", b"ab")


class Kept:
    """Stands for an ingest."""

    def __init__(self) -> None:
        self.content = b""

    def write(self, piece: bytes) -> None:
        self.content += piece


@settings(max_examples=20, deadline=None)
@given(st.lists(st.binary(max_size=100).map(lambda piece: piece * 9000), max_size=5))
def test_our_packing(pieces: list[bytes]) -> None:
    """Always the same bytes for the same layer, in whatever pieces it came; any gzip reads them."""
    whole, parts = Kept(), Kept()
    for kept, given_pieces in ((whole, [b"".join(pieces)]), (parts, pieces)):
        with packing.Packing(kept) as pack:  # type: ignore[arg-type]
            for piece in given_pieces:
                pack.write(piece)
    assert whole.content == parts.content
    assert gzip.decompress(whole.content) == unpacked(whole.content) == b"".join(pieces)


def test_packing_that_cannot_be_written() -> None:
    """The disk's error comes out, and no thread is left."""

    class Full(Kept):
        def write(self, piece: bytes) -> None:
            raise OSError(28, "No space left on device")

    def pack() -> None:
        with packing.Packing(Full()) as pack:  # type: ignore[arg-type]
            for number in range(40):
                pack.write(hashlib.sha256(b"%d" % number).digest() * (1 << 15))

    before = threading.active_count()
    with pytest.raises(OSError, match="No space"):
        pack()
    assert threading.active_count() == before
