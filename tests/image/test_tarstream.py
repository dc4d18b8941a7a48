"""The reader of archives: nothing but members or a refusal comes out, whatever comes in."""

from __future__ import annotations

import io
import tarfile
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.image.tars import END, folder, forged, hardlink, hostile_members, member, symlink, tar
from tuidock.errors import Refused
from tuidock.image.tarheader import clean, nanoseconds, number, pax_values
from tuidock.image.tarstream import KINDS, SPECIAL_LIMIT, Entry, TarStream


def cut(content: bytes, piece: int) -> Iterator[bytes]:
    return iter([content[at : at + piece] for at in range(0, len(content), piece)])


def read(content: bytes, piece: int = 1 << 16) -> list[tuple[Entry, bytes]]:
    archive = TarStream(cut(content, piece))
    return [(entry, b"".join(archive.content())) for entry in archive]


@settings(max_examples=400, deadline=None)
@given(hostile_members(), st.integers(1, 5000))
def test_no_header_is_a_bug(members: list[bytes], piece: int) -> None:
    """What is taken makes sense: a kind that there is, numbers that the kernel has, pieces of a sparse file in order."""
    try:
        found = read(tar(*members), piece)
    except Refused:
        return
    for entry, content in found:
        assert entry.name
        assert b"\0" not in entry.name + entry.link
        assert entry.kind in KINDS
        assert 0 <= entry.mode <= 0o7777
        assert 0 <= entry.mtime < 1 << 63
        assert min(entry.uid, entry.gid, entry.major, entry.minor, entry.size) >= 0
        if entry.sparse is None:
            assert len(content) == entry.size
        else:
            assert len(content) == sum(length for _, length in entry.sparse)
            ends = [0, *(offset + length for offset, length in entry.sparse)]
            assert all(end <= offset for end, (offset, _) in zip(ends, entry.sparse, strict=False))
            assert ends[-1] <= entry.size


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=3000), st.integers(1, 600))
def test_no_bytes_are_a_bug(content: bytes, piece: int) -> None:
    try:
        read(content, piece)
    except Refused:
        pass


NAME = st.text("ab/.\u00e9\u4e2d ", min_size=1, max_size=150).map(lambda name: name.strip("/ ") or "x")


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(NAME, st.binary(max_size=600), st.integers(0, 0o7777), st.integers(0, 1 << 31), st.integers(0, 1 << 32))
    ),
    st.sampled_from([tarfile.PAX_FORMAT, tarfile.GNU_FORMAT]),
    st.integers(1, 2000),
)
def test_what_the_standard_library_writes(wanted: list[tuple[str, bytes, int, int, int]], form: int, piece: int) -> None:
    """And its reader sees the same."""
    members = [member(name, content, mode=mode, uid=uid, mtime=mtime, form=form) for name, content, mode, uid, mtime in wanted]
    found = [
        (entry.name.decode(), content, entry.mode, entry.uid, entry.mtime // 10**9)
        for entry, content in read(tar(*members), piece)
    ]
    assert found == wanted
    with tarfile.open(fileobj=io.BytesIO(tar(*members))) as archive:
        assert [(info.name, info.mode, info.uid, info.mtime) for info in archive] == [
            (name, mode, uid, mtime) for name, _, mode, uid, mtime in wanted
        ]


def test_a_header_does_not_take_memory() -> None:
    """Sizes that only a header claims: nothing is set aside for them."""
    claims = [
        forged(member("a", kind=b"x"), 124, b"77777777777\0"),
        forged(member("a", kind=b"L"), 124, b"\x80\0\0\0\0\0\0\x7f" + b"\xff" * 4),
        forged(member("a"), 124, b"77777777777\0"),
    ]
    tracemalloc.start()
    try:
        for block in claims:
            with pytest.raises(Refused):
                read(block + bytes(2048))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_million_members_are_never_together() -> None:
    block = member("x")
    archive = TarStream(block * 2000 for _ in range(10))
    tracemalloc.start()
    try:
        assert sum(1 for _ in archive) == 20_000
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_the_end_mark() -> None:
    """And what may follow it."""
    archive = TarStream(cut(tar(member("a")) + bytes(10_240), 700))
    assert [entry.name for entry in archive] == [b"a"]
    assert archive.ended
    assert archive.drain()
    archive = TarStream(cut(tar(member("a")) + b"junk", 700))
    assert len(list(archive)) == 1
    assert not archive.drain()
    assert not TarStream(iter([])).ended


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"/a/b", [b"a", b"b"]),
        (b"./a//b/.", [b"a", b"b"]),
        (b"a/../b", [b"b"]),
        (b"", []),
        (b"/", []),
        (b"..", None),
        (b"a/../..", None),
    ],
)
def test_names(name: bytes, parts: list[bytes] | None) -> None:
    if parts is None:
        with pytest.raises(Refused, match="leads out"):
            clean(name)
    else:
        assert clean(name) == parts


@given(st.binary(max_size=60))
def test_no_name_leads_out(name: bytes) -> None:
    try:
        parts = clean(name)
    except Refused:
        return
    assert not {b"", b".", b".."} & set(parts)
    assert not any(b"/" in part for part in parts)


@given(st.binary(min_size=8, max_size=12))
def test_no_number_is_a_bug(field: bytes) -> None:
    try:
        assert number(field, "x") >= 0
    except Refused:
        pass


@given(st.binary(max_size=200))
def test_no_extended_header_is_a_bug(content: bytes) -> None:
    try:
        pax_values(content)
    except Refused:
        pass


@given(st.dictionaries(st.sampled_from(["path", "a.b", "size"]), st.text(max_size=300).filter(lambda text: "\0" not in text)))
def test_extended_headers_there_and_back(wanted: dict[str, str]) -> None:
    content = b""
    for key, value in wanted.items():
        line = f" {key}={value}\n".encode()
        length = len(line) + len(str(len(line)))
        length = len(line) + len(str(length))
        content += str(length).encode() + line
    assert pax_values(content) == {key.encode(): value.encode() for key, value in wanted.items()}


def test_times() -> None:
    assert nanoseconds(b"1.000000001") == 1_000_000_001
    assert nanoseconds(b"1.9999999999") == 1_999_999_999
    assert nanoseconds(b"-5") == nanoseconds(b"9" * 20) == 0
    for text in (b"", b"x", b"1.x", b"1e5", b" 1"):
        with pytest.raises(Refused):
            nanoseconds(text)


def test_special_headers_have_a_limit() -> None:
    long = "x" * (SPECIAL_LIMIT + 100)
    with pytest.raises(Refused, match="extended header of"):
        read(tar(member("a", pax={"comment": long})))
    assert len(read(tar(member("a", pax={"comment": long[: SPECIAL_LIMIT // 2]})))) == 1


def test_kinds() -> None:
    found = read(
        tar(folder("d"), symlink("s", "t"), hardlink("h", "d"), member("f", kind=tarfile.FIFOTYPE), member("c", b"x"))[:-1024]
    )
    assert [(entry.kind, entry.link) for entry, _ in found] == [
        (b"5", b""),
        (b"2", b"t"),
        (b"1", b"d"),
        (b"6", b""),
        (b"0", b""),
    ]
    assert read(END) == []
