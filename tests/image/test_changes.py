"""The read-write layer as changes and as a tar, against the kernel's overlay."""

from __future__ import annotations

import io
import os
import shutil
import stat
import struct
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.image.conftest import extract
from tests.image.test_unpack import looks
from tuidock.errors import Refused
from tuidock.image.changes import changes, tar

pytestmark = pytest.mark.root


class Stack:
    """A lower directory, an upper one, and both as one."""

    def __init__(self, place: Path) -> None:
        self.lower, self.upper, self.root = place / "lower", place / "upper", place / "root"
        self.work = place / "work"

    def changes(self) -> list[str]:
        return [f"{change.kind} {change.path}" for change in changes(str(self.upper), [str(self.lower)])]

    def tar(self) -> bytes:
        return b"".join(tar(str(self.upper)))

    def names(self) -> list[str]:
        return tarfile.open(fileobj=io.BytesIO(self.tar())).getnames()


@contextmanager
def overlay(place: Path, *lower: Path, write: bool = True) -> Iterator[Stack]:
    """Mounted as the engine mounts it."""
    stack = Stack(place)
    for folder in (stack.upper, stack.work, stack.root):
        folder.mkdir(exist_ok=True)
    options = f"lowerdir={':'.join(map(str, lower))},index=off,redirect_dir=off,metacopy=off"
    if write:
        options += f",upperdir={stack.upper},workdir={stack.work}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, stack.root], check=True)
    try:
        yield stack
    finally:
        subprocess.run(["umount", stack.root], check=True)


@pytest.fixture
def stack(folder: Path) -> Iterator[Stack]:
    lower = folder / "lower"
    for name in ("etc", "home/user", "usr/lib"):
        (lower / name).mkdir(parents=True)
    for name in ("etc/passwd", "etc/group", "home/user/file", "home/user/other", "usr/lib/x"):
        (lower / name).write_text(name)
    with overlay(folder, lower) as mounted:
        yield mounted


def test_added_changed_and_deleted(stack: Stack) -> None:
    root = stack.root
    (root / "etc" / "group").unlink()
    (root / "etc" / "passwd").write_text("more")
    (root / "new").mkdir()
    (root / "new" / "file").write_text("x")
    assert stack.changes() == ["C /etc", "D /etc/group", "C /etc/passwd", "A /new", "A /new/file"]
    assert stack.names() == ["etc", "etc/.wh.group", "etc/passwd", "new", "new/file"]


def test_what_came_and_went_is_no_change_and_yet_in_the_layer(stack: Stack) -> None:
    (stack.root / "etc" / "x").write_text("x")
    (stack.root / "etc" / "x").unlink()
    os.chmod(stack.root / "usr" / "lib" / "x", 0o600)
    os.chmod(stack.root / "usr" / "lib" / "x", 0o644)
    assert stack.changes() == []
    touched = changes(str(stack.upper), [str(stack.lower)], touched=True)
    assert [(change.kind, change.path) for change in touched] == [
        ("", "/etc"), ("", "/usr"), ("", "/usr/lib"), ("", "/usr/lib/x"),
    ]  # fmt: skip


def test_a_directory_made_anew_hides_what_was_in_it(stack: Stack) -> None:
    shutil.rmtree(stack.root / "home")
    (stack.root / "home" / "user").mkdir(parents=True)
    (stack.root / "home" / "user" / "file").write_text("another")
    assert stack.changes() == ["C /home", "C /home/user", "C /home/user/file", "D /home/user/other"]
    assert stack.names() == ["home", "home/.wh..wh..opq", "home/user", "home/user/file"]


def test_files_and_directories_in_each_others_place(stack: Stack) -> None:
    shutil.rmtree(stack.root / "usr")
    (stack.root / "usr").write_text("a file now")
    (stack.root / "etc" / "group").unlink()
    (stack.root / "etc" / "group").mkdir()
    (stack.root / "etc" / "group" / "in").write_text("x")
    assert stack.changes() == ["C /etc", "C /etc/group", "A /etc/group/in", "C /usr"]


def test_a_capability_is_a_change_and_comes_along(stack: Stack) -> None:
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)
    lib = stack.root / "usr" / "lib" / "x"
    before = lib.stat()
    os.setxattr(lib, "security.capability", capability)
    os.setxattr(stack.root / "etc", "user.note", b"kept")
    os.utime(lib, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert stack.changes() == ["C /usr", "C /usr/lib", "C /usr/lib/x"]
    tree = stack.root.parent / "tree"
    tree.mkdir()
    extract(stack.tar(), tree)
    assert os.getxattr(tree / "usr" / "lib" / "x", "security.capability") == capability
    assert os.listxattr(tree / "etc") == ["user.note"], "nothing of overlayfs itself"


def test_lower_layers_hide_each_other(folder: Path) -> None:
    """What a middle layer deleted is not there: a file of that name is added, its deletion is none."""
    below, middle = folder / "below", folder / "middle"
    for place in (below, middle):
        (place / "d").mkdir(parents=True)
    (below / "d" / "gone").write_text("x")
    (below / "e").mkdir()
    (below / "e" / "old").write_text("x")
    os.mknod(middle / "d" / "gone", stat.S_IFCHR, 0)
    (middle / "e").mkdir()
    os.setxattr(middle / "e", "trusted.overlay.opaque", b"y")
    with overlay(folder, middle, below) as stack:
        (stack.root / "d" / "gone").write_text("again")
        (stack.root / "e" / "old").write_text("again")
        found = changes(str(stack.upper), [str(middle), str(below)])
    assert [f"{one.kind} {one.path}" for one in found] == ["C /d", "A /d/gone", "C /e", "A /e/old"]


def test_a_sparse_file_is_read_whole(stack: Stack) -> None:
    with open(stack.root / "holes", "wb") as file:
        file.truncate(5_000_000)
        file.seek(3_000_000)
        file.write(b"here")
    archive = tarfile.open(fileobj=io.BytesIO(stack.tar()))
    content = archive.extractfile("holes")
    assert content is not None
    assert content.read() == bytes(3_000_000) + b"here" + bytes(5_000_000 - 3_000_004)


def test_what_no_layer_can_say_is_refused(stack: Stack) -> None:
    (stack.root / "etc" / ".wh.passwd").write_text("")
    with pytest.raises(Refused, match=r"/etc/\.wh\.passwd"):
        stack.tar()
    (stack.root / "etc" / ".wh.passwd").unlink()
    (stack.upper / "moved").mkdir()
    os.setxattr(stack.upper / "moved", "trusted.overlay.redirect", b"/etc")
    with pytest.raises(Refused, match="redirect"):
        stack.tar()


def test_no_link_leads_the_reader_out(folder: Path) -> None:
    """moby 2018-15664 and its kin: a directory and a link to the host change places while we read."""
    secret = folder / "secret"
    secret.mkdir()
    (secret / "key").write_text("of the host")
    upper = folder / "upper"
    (upper / "a").mkdir(parents=True)
    (upper / "a" / "mine").write_text("x")
    os.symlink(secret, upper / "b")
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            os.rename(upper / "a", upper / "c")
            os.rename(upper / "b", upper / "a")
            os.rename(upper / "a", upper / "b")
            os.rename(upper / "c", upper / "a")

    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(300):
            try:
                seen = {change.path for change in changes(str(upper), [])}
                content = b"".join(tar(str(upper)))
            except OSError:
                continue
            assert not any("key" in path for path in seen)
            assert b"of the host" not in content
    finally:
        over.set()
        thread.join()


PLACES = st.sampled_from(["a", "a/b", "a/b/c", "d", "d/e", "f", "a/f"])
ACTS = st.lists(st.tuples(st.sampled_from(["write", "remove", "mkdir", "link", "hard", "chmod", "rename"]), PLACES, PLACES))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(ACTS)
def test_the_tar_applied_to_what_is_below_gives_what_was_seen(folder: Path, acts: list[tuple[str, str, str]]) -> None:
    """apply(diff(a, b)) == b, whatever a process does to its root; both sides are the kernel's overlay."""
    place = Path(subprocess.run(["mktemp", "-d", "-p", folder], capture_output=True, text=True).stdout.strip())
    lower = place / "lower"
    (lower / "a" / "b").mkdir(parents=True)
    (lower / "d").mkdir()
    for name in ("a/f", "a/b/c", "d/e"):
        (lower / name).write_text(name)
    with overlay(place, lower) as stack:
        for act, first, second in acts:
            do(act, stack.root / first, stack.root / second)
        seen, there = looks(stack.root), snapshot(stack.root)
        assert stack.changes() == compared(snapshot(lower), there)
        content = stack.tar()
    tree, again = place / "tree", place / "again"
    tree.mkdir()
    again.mkdir()
    extract(content, tree, [lower])
    os.utime(tree, ns=(1, (place / "upper").stat().st_mtime_ns))  # a layer's tar says nothing of the root itself
    with overlay(again, tree, lower, write=False) as stack:
        assert looks(stack.root) == seen


def do(act: str, path: Path, other: Path) -> None:
    try:
        if act == "write":
            path.write_text(f"{path.name} is new")
        elif act == "remove":
            shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()
        elif act == "mkdir":
            path.mkdir()
        elif act == "link":
            path.symlink_to("somewhere")
        elif act == "hard":
            os.link(other, path, follow_symlinks=False)
        elif act == "chmod":
            path.chmod(0o700)
        elif act == "rename":
            os.rename(other, path)
    except OSError:
        pass  # it is not there, or something else is: another example does it


def snapshot(tree: Path) -> dict[str, tuple[int, ...]]:
    """Path to what makes a thing another one, by what moby compares."""
    found = {}
    for path in tree.rglob("*"):
        status = path.lstat()
        whole = () if path.is_dir() and not path.is_symlink() else (status.st_size, status.st_mtime_ns)
        found["/" + str(path.relative_to(tree))] = (status.st_mode, status.st_uid, status.st_gid, *whole)
    return found


def compared(before: dict[str, tuple[int, ...]], after: dict[str, tuple[int, ...]]) -> list[str]:
    """The difference of two trees as docker diff tells it, found by looking at nothing but the two."""
    kinds = {path: "A" if path not in before else "C" for path, found in after.items() if before.get(path) != found}
    for path in before.keys() - after.keys():
        above = os.path.dirname(path)
        if above == "/" or (above in after and stat.S_ISDIR(after[above][0])):
            kinds[path] = "D"
    for path in list(kinds):
        above = os.path.dirname(path)
        while above != "/":
            kinds.setdefault(above, "C")
            above = os.path.dirname(above)
    return [f"{kinds[path]} {path}" for path in sorted(kinds, key=lambda path: path.split("/"))]
