"""Layers into folders, by the jailed process: what is kept, and what gets nowhere (moby 2014-9356, -9357; 2021-32760)."""

from __future__ import annotations

import os
import stat
import struct
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.image.conftest import Unpack, extract
from tests.image.tars import END, folder, forged, hardlink, member, symlink, tar
from tests.machine import REPOSITORY
from tuidock.errors import Refused, TuidockError

pytestmark = pytest.mark.root
OPAQUE = "trusted.overlay.opaque"
SLOW = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def is_whiteout(path: Path) -> bool:
    found = path.lstat()
    return stat.S_ISCHR(found.st_mode) and found.st_rdev == 0


def is_opaque(path: Path) -> bool:
    return OPAQUE in os.listxattr(path) and os.getxattr(path, OPAQUE) == b"y"


# ------------------------------------------------------------------------------------------------------- what is kept


def test_everything_is_kept_as_gnu_tar_keeps_it(folder: Path, unpack: Unpack, busybox_tar: Path) -> None:
    """Kinds, modes, owners, sizes, links and times of every file, against tar(1)."""
    source = folder / "source"
    subprocess.run(["mkdir", "-p", source / "d" / "e"], check=True)
    (source / "d" / "file").write_bytes(os.urandom(100_000))
    os.link(source / "d" / "file", source / "d" / "e" / "hard")
    os.symlink("../d/file", source / "d" / "soft")
    os.mkfifo(source / "fifo")
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(source / "disk", stat.S_IFBLK | 0o660, os.makedev(8, 0))
    os.chown(source / "d" / "file", 1234, 70_000)
    os.chmod(source / "d" / "file", 0o6751)
    os.utime(source / "d" / "file", ns=(1, 1_234_567_890_123_456_789))
    os.chmod(source / "d", 0o1770)
    os.utime(source / "d", ns=(1, 987_654_321_000_000_123))
    for form in ("pax", "gnu", "ustar"):
        subprocess.run(["tar", "-C", source, "-cf", folder / "a.tar", f"--format={form}", "."], check=True)
        subprocess.run(["mkdir", "-p", folder / form], check=True)
        subprocess.run(["tar", "-C", folder / form, "-xpf", folder / "a.tar", "--numeric-owner"], check=True)
        tree = unpack((folder / "a.tar").read_bytes())
        assert looks(tree) == looks(folder / form)
        assert (tree / "d" / "file").stat().st_nlink == 2
    tree = unpack(busybox_tar.read_bytes())
    assert (tree / "bin" / "sh").is_symlink()


def looks(tree: Path) -> str:
    shown = "%P %y %m %U %G %s %T@ %l %n\\n"
    found = subprocess.run(["find", tree, "-not", "-type", "d", "-printf", shown], check=True, capture_output=True, text=True)
    folders = subprocess.run(
        ["find", tree, "-type", "d", "-printf", "%P %m %U %G %T@\\n"], check=True, capture_output=True, text=True
    )
    return "".join(sorted((found.stdout + folders.stdout).splitlines(keepends=True)))


def test_attributes(unpack: Unpack) -> None:
    capability = struct.pack("<IIIII", 0x02000001, 1 << 10, 0, 0, 0)  # cap_net_bind_service+ep
    pax = {
        "SCHILY.xattr.security.capability": capability.decode("utf-8", "surrogateescape"),
        "SCHILY.xattr.user.note": "kept",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.user.overlay.opaque": "y",
        "SCHILY.xattr.security.selinux": "dropped",
    }
    tree = unpack(
        tar(member("ping", b"x", pax=pax, mode=0o755, uid=5), folder("d", pax={"SCHILY.xattr.trusted.overlay.opaque": "y"}))
    )
    assert sorted(os.listxattr(tree / "ping")) == ["security.capability", "user.note"]
    assert os.getxattr(tree / "ping", "security.capability") == capability
    assert os.listxattr(tree / "d") == []


@pytest.mark.parametrize(
    "form", ["gnu", "posix --sparse-version=0.0", "posix --sparse-version=0.1", "posix --sparse-version=1.0"]
)
def test_sparse_files(folder: Path, unpack: Unpack, form: str) -> None:
    size = 300 << 20
    with open(folder / "holes", "wb") as file:
        for number in range(40):  # more than the four pieces of a header and the 21 of the next block
            file.seek(number * (7 << 20))
            file.write(b"%04d" % number * 1024)
        file.truncate(size)
    words = f"--format={form}".split()
    subprocess.run(["tar", "-C", folder, "-cSf", folder / "a.tar", *words, "holes"], check=True)
    assert (folder / "a.tar").stat().st_size < 1 << 20
    tree = unpack((folder / "a.tar").read_bytes())
    assert subprocess.run(["cmp", folder / "holes", tree / "holes"]).returncode == 0
    assert (tree / "holes").stat().st_blocks * 512 < 2 << 20


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_long_names(unpack: Unpack, form: int) -> None:
    deep = "/".join(["n" * 200] * 5)
    long = f"{deep}/{'f' * 250}"
    tree = unpack(tar(member(long, b"1", form=form), member("l" * 250, kind=tarfile.SYMTYPE, link=long, form=form)))
    assert (tree / long).read_bytes() == b"1"
    assert os.readlink(tree / ("l" * 250)) == long
    with pytest.raises(Refused, match="File name too long"):
        unpack(tar(member("x" * 300, form=form)))


def test_names_are_bytes(unpack: Unpack) -> None:
    tree = unpack(tar(member("caf\udce9", b"latin", form=tarfile.GNU_FORMAT)))
    assert os.listdir(os.fsencode(tree)) == [b"caf\xe9"]


def test_the_later_of_two_members_counts(unpack: Unpack) -> None:
    tree = unpack(
        tar(
            member("a", b"old"), member("a", b"new"),
            folder("d"), member("d/x", b"x"), member("d", b"file now"),
            member("f", b"file"), folder("f"), member("f/x", b"x"),
            folder("k"), member("k/x", b"kept"), folder("k", mode=0o700),
        )
    )  # fmt: skip
    assert (tree / "a").read_bytes() == b"new"
    assert (tree / "d").read_bytes() == b"file now"
    assert (tree / "f" / "x").read_bytes() == b"x"
    assert (tree / "k" / "x").read_bytes() == b"kept"
    assert stat.S_IMODE((tree / "k").stat().st_mode) == 0o700


def test_folders_that_no_member_names_look_as_below(unpack: Unpack) -> None:
    below = unpack(tar(folder("app", mode=0o2750, uid=7, gid=8, mtime=5), symlink("link", "/app")))
    tree = unpack(tar(member("app/bin/x", b"x"), member("link/y")), lower=[below])
    found = (tree / "app").stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid, found.st_mtime) == (0o2750, 7, 8, 5)
    assert stat.S_IMODE((tree / "app" / "bin").stat().st_mode) == 0o755
    assert stat.S_IMODE((tree / "link").stat().st_mode) == 0o755


# ---------------------------------------------------------------------------------------------------------- whiteouts


def test_whiteouts_become_overlays(unpack: Unpack) -> None:
    below = unpack(tar(member("d/gone"), member("top/x"), member("o/x")))
    members = folder("d"), member("d/.wh.gone"), member("o/.wh..wh..opq"), member(".wh.top"), member(".wh..wh.plnk")
    tree = unpack(tar(*members), lower=[below])
    assert is_whiteout(tree / "d" / "gone")
    assert is_opaque(tree / "o")
    assert is_whiteout(tree / "top")
    assert sorted(os.listdir(tree)) == ["d", "o", "top"]


def test_a_whiteout_of_nothing_leaves_nothing(unpack: Unpack) -> None:
    """overlayfs lists a whiteout in a folder that only this layer has."""
    below = unpack(tar(member("d/x"), member("o/x")))
    members = member("new/.wh.x"), member("d/.wh.y"), member("o/.wh.x"), member("o/.wh..wh..opq"), member("d/.wh.x")
    tree = unpack(tar(*members), lower=[below])
    assert os.listdir(tree / "new") == os.listdir(tree / "o") == []
    assert os.listdir(tree / "d") == ["x"]


@pytest.mark.parametrize("name", [".wh.", ".wh..", ".wh...", "d/.wh.", ".wh.x/y", ".wh.x/.wh.y"])
def test_strange_whiteouts_are_refused(unpack: Unpack, name: str) -> None:
    with pytest.raises(Refused, match="no whiteout"):
        unpack(tar(member(name)))


NAMES = st.sampled_from(["a", "b", "a/a", "a/b", "a/b/a", "b/a"])
LAYER = st.lists(
    st.tuples(st.sampled_from(["file", "folder"]), NAMES)
    | st.tuples(st.just("whiteout"), NAMES)
    | st.tuples(st.just("opaque"), st.sampled_from(["", "a", "b", "a/b"])),
    max_size=6,
)


@SLOW
@given(lower=st.lists(st.tuples(st.sampled_from(["file", "folder"]), NAMES), max_size=6), upper=LAYER)
def test_two_layers_are_seen_as_the_specification_says(
    folder: Path, lower: list[tuple[str, str]], upper: list[tuple[str, str]]
) -> None:
    """Whiteouts hide what is below and nothing of their own layer, wherever they stand; the rest comes one after the other.

    The kernel's overlay of two unpacked layers against a model that knows neither overlays nor devices.
    """
    place = Path(
        os.path.realpath(subprocess.run(["mktemp", "-d", "-p", folder], capture_output=True, text=True).stdout.strip())
    )
    trees = []
    view: dict[str, str] = {}
    for number, layer in enumerate((lower, upper)):
        expected = seen(view, layer, mark=str(number))
        tree = place / str(number)
        tree.mkdir()
        content = tar(*(as_member(kind, name, str(number)) for kind, name in layer))
        if expected is None:
            with pytest.raises(Refused):
                extract(content, tree, trees[::-1])
            return
        extract(content, tree, trees[::-1])
        trees.append(tree)
        view = expected
    (place / "m").mkdir()
    options = f"ro,lowerdir={trees[1]}:{trees[0]}"
    subprocess.run(["mount", "-t", "overlay", "overlay", "-o", options, place / "m"], check=True)
    try:
        found = {}
        for path in (place / "m").rglob("*"):
            found[str(path.relative_to(place / "m"))] = "folder" if path.is_dir() else path.read_text()
        assert found == view
    finally:
        subprocess.run(["umount", place / "m"], check=True)


def as_member(kind: str, name: str, mark: str) -> bytes:
    if kind == "folder":
        return folder(name)
    if kind == "file":
        return member(name, mark.encode())
    if kind == "opaque":
        return member(f"{name}/.wh..wh..opq")
    above, _, last = name.rpartition("/")
    return member(f"{above}/.wh.{last}")


def seen(below: dict[str, str], layer: list[tuple[str, str]], mark: str) -> dict[str, str] | None:
    """What a layer makes of the view below it: names to `folder` or a file's content.  None if it makes no sense."""
    view = dict(below)
    for kind, name in layer:
        if kind == "whiteout":
            view = {path: what for path, what in view.items() if path != name and not path.startswith(f"{name}/")}
        elif kind == "opaque":
            prefix = f"{name}/" if name else ""
            view = {path: what for path, what in view.items() if not path.startswith(prefix)}
    own: set[str] = set()
    for kind, name in layer:
        above = name.split("/") if kind == "opaque" else name.split("/")[:-1]
        for depth in range(1, len(above) + 1):
            parent = "/".join(above[:depth])
            if not parent:
                continue
            if view.get(parent, "folder") != "folder" and parent in own:
                return None
            view[parent] = "folder"
            own.add(parent)
        if kind in ("file", "folder"):
            if not (kind == "folder" and view.get(name) == "folder"):
                view = {path: what for path, what in view.items() if not path.startswith(f"{name}/")}
                own = {path for path in own if not path.startswith(f"{name}/")}
            view[name] = "folder" if kind == "folder" else mark
            own.add(name)
    return view


# ---------------------------------------------------------------------------------------------- what gets nowhere


@pytest.mark.parametrize(
    "name",
    ["../x", "a/../../x", "/../x", "d/../../../../etc/x", "..", "a/.."],
)
def test_names_that_lead_out_are_refused(unpack: Unpack, name: str) -> None:
    with pytest.raises(Refused, match=r"leads out|no directory"):
        unpack(tar(folder("a"), member(name, b"x")))


def test_absolute_names_are_of_the_layer(unpack: Unpack) -> None:
    tree = unpack(tar(member("/etc/x", b"x"), member("//a/./b//c", b"c")))
    assert (tree / "etc" / "x").read_bytes() == b"x"
    assert (tree / "a" / "b" / "c").read_bytes() == b"c"


def test_nothing_is_written_through_a_link(unpack: Unpack, folder: Path) -> None:
    """moby 2014-9356: a link out of the tree, then a file below it."""
    victim = folder / "victim"
    victim.mkdir()
    (victim / "file").write_text("mine")
    out = "../" * 20 + str(victim).lstrip("/")
    for target in (str(victim), out):
        with pytest.raises(TuidockError):
            unpack(tar(symlink("d", target), member("d/file", b"theirs")))
        with pytest.raises(TuidockError):
            unpack(tar(hardlink("h", f"{target}/file"), member("h", b"theirs")))
        with pytest.raises(TuidockError):
            unpack(tar(symlink("d", target), hardlink("h", "d/file")))
        tree = unpack(tar(symlink("file", f"{target}/file"), member("file", b"inside")))
        assert (tree / "file").read_bytes() == b"inside"
    assert (victim / "file").read_text() == "mine"


def test_a_link_to_the_root_is_the_layers_root(unpack: Unpack) -> None:
    tree = unpack(tar(symlink("r", "/"), member("r/x", b"x"), symlink("e", "/etc"), folder("etc"), member("e/passwd", b"p")))
    assert (tree / "x").read_bytes() == b"x"
    assert (tree / "etc" / "passwd").read_bytes() == b"p"


def test_a_device_of_the_layer_is_not_opened(unpack: Unpack) -> None:
    """A block device, then a file of its name: the device goes, nothing is written to it."""
    tree = unpack(tar(member("disk", kind=tarfile.BLKTYPE, device=(7, 0)), member("disk", b"no")))
    assert (tree / "disk").read_bytes() == b"no"


def test_hard_links_stay_in_the_layer(unpack: Unpack) -> None:
    below = unpack(tar(member("file", b"x")))
    with pytest.raises(Refused, match="which is not in this layer"):
        unpack(tar(hardlink("h", "file")), lower=[below])
    with pytest.raises(Refused, match="leads out"):
        unpack(tar(hardlink("h", "../../etc/passwd")))
    with pytest.raises(Refused, match="hard link"):
        unpack(tar(folder("d"), hardlink("h", "d")))
    with pytest.raises(Refused, match="to itself"):
        unpack(tar(member("f"), hardlink("f", "./f")))


HOSTILE = st.lists(
    st.builds(
        lambda act, name, target: act(name, target),
        st.sampled_from(
            [
                lambda name, target: member(name, b"theirs"),
                lambda name, target: folder(name, mode=0o777),
                symlink,
                hardlink,
                lambda name, target: member(f"{name}/.wh.{target.rpartition('/')[2]}"),
                lambda name, target: member(f"{name}/.wh..wh..opq"),
                lambda name, target: member(name, kind=tarfile.CHRTYPE, device=(1, 1)),
                lambda name, target: member(name, kind=tarfile.FIFOTYPE),
            ]
        ),
        st.sampled_from(["a", "a/b", "a/file", "b", "b/a", "c", "c/b/file", "/a", ".", "./a/./b"]),
        st.sampled_from(["VICTIM", "VICTIM/file", "/", "a", "../a", "../../../VICTIM", "b", "/proc/self/root", ".."]),
    ),
    max_size=8,
)


@SLOW
@given(HOSTILE)
def test_no_archive_touches_what_is_outside(folder: Path, members: list[bytes]) -> None:
    victim = folder / "victim"
    if not victim.exists():
        victim.mkdir()
        (victim / "file").write_text("mine")
        os.utime(victim / "file", ns=(1, 1))
        os.utime(victim, ns=(1, 1))
    name = str(victim).encode()
    members = [rename(block, b"VICTIM", name) for block in members]
    tree = Path(subprocess.run(["mktemp", "-d", "-p", folder], capture_output=True, text=True).stdout.strip())
    try:
        extract(tar(*members), tree)
    except TuidockError:
        pass
    found = (victim / "file").stat()
    assert (victim / "file").read_text() == "mine"
    assert (found.st_mtime_ns, found.st_nlink, stat.S_IMODE(found.st_mode), victim.stat().st_mtime_ns) == (1, 1, 0o644, 1)


def rename(block: bytes, old: bytes, new: bytes) -> bytes:
    link = block[157:257].rstrip(b"\0")
    return forged(block, 157, link.replace(old, new).ljust(100, b"\0")[:100]) if old in link else block


# --------------------------------------------------------------------------------------------- damage and bombs


@pytest.mark.parametrize("cut", [1, 511, 513, 600, 1024 + 100])
def test_an_archive_that_is_cut_off(unpack: Unpack, cut: int) -> None:
    content = member("a", b"x" * 700) + member("b", b"y" * 10)
    with pytest.raises(Refused, match="cut off"):
        unpack(content[:cut])


def test_an_end_without_its_mark_is_told(folder: Path) -> None:
    whole, cut = folder / "whole", folder / "cut"
    for tree in (whole, cut):
        tree.mkdir()
    assert extract(tar(member("a")), whole).ended
    assert not extract(member("a"), cut).ended


@pytest.mark.parametrize(
    ("at", "field", "why"),
    [
        (124, b"\xff" * 12, "negative"),
        (124, b"\x80" + b"\xff" * 11, "cut off"),
        (124, b"77777777777\0", "cut off"),
        (124, b"-0000000001\0", "size"),
        (124, b"0x000000001\0", "size"),
        (108, b"\xff" * 8, "negative"),
        (156, b"D", "unknown kind"),
        (156, b"M", "unknown kind"),
        (0, b"\0" * 100, "without a name"),
    ],
)
def test_headers_that_lie(unpack: Unpack, at: int, field: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        unpack(tar(forged(member("a", b"x", form=tarfile.USTAR_FORMAT), at, field)))


def test_a_wrong_checksum_ends_it(unpack: Unpack) -> None:
    block = bytearray(member("a"))
    block[0] ^= 1
    with pytest.raises(Refused, match="checksum"):
        unpack(tar(member("before"), bytes(block)))


def test_what_follows_a_single_block_of_zeros(unpack: Unpack) -> None:
    with pytest.raises(Refused, match="goes on"):
        unpack(member("a") + bytes(512) + member("b") + END)


def test_owners_out_of_range(unpack: Unpack) -> None:
    with pytest.raises(Refused, match="owner"):
        unpack(tar(member("a", uid=0xFFFFFFFF)))
    tree = unpack(tar(member("a", uid=0xFFFFFFFE)))
    assert (tree / "a").stat().st_uid == 0xFFFFFFFE


def test_a_layer_that_does_not_fit(folder: Path) -> None:
    """It ends while there is still room: what follows needs some."""
    small = folder / "small"
    small.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", small], check=True)
    try:
        (small / "tree").mkdir()
        with pytest.raises(TuidockError, match="no space left"):
            extract(tar(member("a", bytes(63 << 20))), small / "tree")
        assert os.statvfs(small).f_bavail > 0
    finally:
        subprocess.run(["umount", small], check=True)


def test_a_very_deep_tree_comes_and_goes(unpack: Unpack) -> None:
    """Deeper than a path is long, by way of links to what is already there; then a file takes its place."""
    deep = "/".join("d" * 200)
    members = [folder(deep)]
    at = deep
    for number in range(8):
        members += [symlink(f"s{number}", f"/{at}" if number == 0 else f"/s{number - 1}/{deep}"), folder(f"s{number}/{deep}")]
    tree = unpack(tar(*members))
    assert (tree / "s7").is_symlink()
    gone = unpack(tar(*members, member("d", b"flat")))
    assert (gone / "d").read_bytes() == b"flat"
    assert sorted(os.listdir(gone)) == ["d", *(f"s{number}" for number in range(8))]


def test_nothing_of_the_machine_can_be_reached(unpack: Unpack) -> None:
    """The jail's own view: a hard link to a file of the host by its real path finds an empty root."""
    with pytest.raises(Refused, match="not in this layer"):
        unpack(tar(hardlink("passwd", "/etc/passwd")))
    with pytest.raises(Refused, match="not in this layer"):
        unpack(tar(hardlink("root", "/proc/1/root/etc/passwd")))


def test_nothing_of_the_layer_is_loaded(folder: Path) -> None:
    """moby 2019-14271: modules in the layer, where the interpreter would look for them."""
    library = folder / os.path.dirname(os.__file__)[1:]
    library.mkdir(parents=True)
    (library / "wave.py").write_text("print('pwned')")
    code = "from tuidock.image import unpack; unpack.lock_up(); import wave"
    words = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(REPOSITORY)!r}); {code}"]
    ended = subprocess.run(words, cwd=folder, capture_output=True, text=True)
    assert "No module named 'wave'" in ended.stderr
    assert ended.stdout == ""
