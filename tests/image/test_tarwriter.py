"""Headers and trees as tars, read by others: Python's tarfile and tar(1)."""

from __future__ import annotations

import io
import os
import socket
import stat
import subprocess
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.image.test_unpack import looks
from tuidock.errors import Conflict, Refused
from tuidock.image.tarstream import CHARACTER, REGULAR, SYMLINK, TarStream
from tuidock.image.tarwriter import END, HELD, Members, header, walk
from tuidock.runtime import trace
from tuidock.storage.remove import remove_tree

NAMES = st.lists(st.binary(min_size=1, max_size=80).filter(lambda part: not set(part) & {0, 47}), min_size=1, max_size=4)


def packed(tree: Path, newest: int = -1) -> bytes:
    top = os.open(tree, os.O_RDONLY | os.O_DIRECTORY)
    members = Members(newest)
    try:
        return b"".join(piece for found in walk(top) for piece in members.member(found)) + END
    finally:
        os.close(top)


@given(
    NAMES.map(b"/".join).filter(lambda name: not name.startswith(b"/")),
    st.integers(0, 0o7777), st.integers(0, 0xFFFFFFFE), st.integers(0, 0xFFFFFFFE), st.integers(0, (1 << 63) - 1),
    st.dictionaries(st.sampled_from([b"user.a", b"security.capability"]), st.binary(max_size=300)),
)  # fmt: skip
def test_a_header_is_read_as_it_was_written(
    name: bytes, mode: int, uid: int, gid: int, mtime: int, xattrs: dict[bytes, bytes]
) -> None:
    block = header(name, REGULAR, mode=mode, uid=uid, gid=gid, mtime=mtime, xattrs=xattrs)
    entry = TarStream(iter([block + END])).next()
    assert entry is not None
    assert (entry.name, entry.mode, entry.uid, entry.gid, entry.mtime, entry.xattrs) == (name, mode, uid, gid, mtime, xattrs)
    theirs = tarfile.open(fileobj=io.BytesIO(block + END)).next()
    assert theirs is not None
    assert (os.fsencode(theirs.name).rstrip(b"/"), theirs.uid, theirs.mode) == (name.rstrip(b"/"), uid, mode)


def test_what_a_plain_header_cannot_say() -> None:
    block = header(b"a", REGULAR, size=10 << 33, mtime=-1)
    theirs = tarfile.TarFile(fileobj=io.BytesIO(block + END)).next()
    assert theirs is not None
    assert (theirs.size, theirs.mtime) == (10 << 33, 0)
    theirs = tarfile.open(fileobj=io.BytesIO(header(b"n", CHARACTER, device=os.makedev(1, 3)) + END)).next()
    assert theirs is not None
    assert (theirs.devmajor, theirs.devminor) == (1, 3)
    long = b"x/" * 200 + b"y"
    theirs = tarfile.open(fileobj=io.BytesIO(header(b"l", SYMLINK, link=long) + END)).next()
    assert theirs is not None
    assert theirs.linkname == long.decode()
    assert len(header(b"plain", REGULAR, mtime=1_000_000_000)) == 512, "no extended header where none is needed"


@pytest.mark.root
def test_a_tree_is_what_tar_makes_of_it(tmp_path: Path) -> None:
    """Kinds, modes, owners, times to the nanosecond, links, names: unpacked by tar(1), it is the same tree."""
    tree = tmp_path / "tree"
    (tree / "d" / "e").mkdir(parents=True)
    (tree / "d" / "file").write_bytes(os.urandom(300_001))
    os.link(tree / "d" / "file", tree / "d" / "e" / "hard")
    os.symlink("../nowhere", tree / "soft")
    os.mkfifo(tree / "fifo")
    os.mknod(tree / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    (tree / ("n" * 200)).write_text("long")
    (tree / "ä").write_text("not ascii")
    os.chown(tree / "d" / "file", 3_000_000_000, 70_000)
    os.chmod(tree / "d" / "file", 0o6751)
    os.utime(tree / "d" / "file", ns=(1, 1_234_567_890_123_456_789))
    os.chmod(tree / "d", 0o1770)
    os.utime(tree / "d", ns=(1, 987_654_321_000_000_123))
    content = packed(tree)
    out = tmp_path / "out"
    out.mkdir()
    subprocess.run(["tar", "-C", out, "-xp", "--numeric-owner"], input=content, check=True)
    os.utime(out, ns=(1, tree.stat().st_mtime_ns))
    os.chmod(out, stat.S_IMODE(tree.stat().st_mode))
    assert looks(out) == looks(tree)
    assert (out / "d" / "e" / "hard").stat().st_ino == (out / "d" / "file").stat().st_ino
    assert packed(tree) == content, "always the same bytes"


def test_the_first_name_is_the_file_and_the_others_are_links(tmp_path: Path) -> None:
    (tmp_path / "b").write_text("x")
    os.link(tmp_path / "b", tmp_path / "a")
    os.link(tmp_path / "b", tmp_path / "c")
    members = tarfile.open(fileobj=io.BytesIO(packed(tmp_path))).getmembers()
    assert [(one.name, one.type, one.linkname) for one in members] == [("a", b"0", ""), ("b", b"1", "a"), ("c", b"1", "a")]


def test_a_socket_is_left_out_and_times_can_be_bounded(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.close()
    (one,) = tarfile.open(fileobj=io.BytesIO(packed(tmp_path, newest=5_000_000_000))).getmembers()
    assert (one.name, one.mtime) == ("file", 5)


def test_a_file_that_is_cut_short_meanwhile_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1 << 20))
    top = os.open(tmp_path, os.O_RDONLY)
    (found,) = walk(top)
    found.folder = top  # the walk is over and its descriptor closed
    pieces = Members().member(found)
    next(pieces)
    next(pieces)
    os.truncate(tmp_path / "file", 300_000)
    with pytest.raises(Conflict, match="shorter"):
        list(pieces)
    os.close(top)


def test_a_walk_holds_few_directories_open(tmp_path: Path) -> None:
    """And comes back to those that it has closed."""
    at = os.open(tmp_path, os.O_RDONLY)
    deep = 3 * HELD
    for _ in range(deep):
        os.mkdir("d", dir_fd=at)
        os.close(os.open("z", os.O_CREAT, dir_fd=at))
        below = os.open("d", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    before = len(os.listdir("/proc/self/fd"))
    top = os.open(tmp_path, os.O_RDONLY)
    seen = []
    most = 0
    for found in walk(top):
        seen.append(found.path)
        most = max(most, len(os.listdir("/proc/self/fd")))
    os.close(top)
    assert len(seen) == 2 * deep
    assert seen[-1] == b"z"
    assert most - before <= HELD + 4
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_lies_deeper_than_a_path_is_long_is_refused(tmp_path: Path) -> None:
    """Once the walk has to find its way back by path; and no descriptor stays open."""
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(2 * HELD):
        os.mkdir("d" * 100, dir_fd=at)
        os.close(os.open("z", os.O_CREAT, dir_fd=at))
        below = os.open("d" * 100, os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    before = len(os.listdir("/proc/self/fd"))
    top = os.open(tmp_path, os.O_RDONLY)
    with pytest.raises(Refused, match="deeper than a path"):
        list(walk(top))
    os.close(top)
    assert len(os.listdir("/proc/self/fd")) == before
    remove_tree(str(tmp_path))


def test_a_walk_leaves_no_trace(tmp_path: Path) -> None:
    """What is recorded is what makes a container; a pane that looks once a second would fill the record."""
    for number in range(10):
        (tmp_path / str(number)).mkdir()
    trace.take()
    top = os.open(tmp_path, os.O_RDONLY)
    assert len(list(walk(top))) == 10
    os.close(top)
    assert len(trace.take()) <= 1
