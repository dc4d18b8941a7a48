"""import: a root file system's tar, from wherever and however packed, becomes an image that runs."""

from __future__ import annotations

import gzip
import io
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings

from tests.image.archives import came
from tests.image.tars import END, folder, forged, hostile_members, member, symlink, tar
from tests.machine import Cli
from tuidock.engine import Engine
from tuidock.errors import Refused, UsageError
from tuidock.image import compression
from tuidock.oci.digest import digest
from tuidock.oci.image import LAYER_GZIP, LAYER_ZSTD, architecture

pytestmark = pytest.mark.root
ROOTFS = tar(folder("etc"), member("etc/os-release", b"ID=test\n"), symlink("bin", "usr/bin"))


def import_(engine: Engine, content: bytes, reference: str = "") -> str:
    return engine.images.import_(io.BytesIO(content), reference)


@pytest.mark.parametrize("tool", ["cat", "gzip -1", "zstd -q", "xz -0", "bzip2 -1"])
def test_packed_by_any_means(cli: Cli, engine: Engine, busybox_tar: Path, folder: Path, tool: str) -> None:
    """From a file and from stdin it is the same layer; gzip and zstd are kept as they came."""
    packed = folder / "rootfs"
    with open(busybox_tar, "rb") as source, open(packed, "wb") as target:
        subprocess.run(tool.split(), stdin=source, stdout=target, check=True)
    for words, stdin in (((str(packed), "a:1"), b""), (("-", "a:2"), packed.read_bytes())):
        image = cli.ok("import", *words, input=stdin)
        assert image == engine.images.get(words[1]).id
        assert cli.ok("run", "--rm", "--net", "none", words[1], "/bin/sh", "-c", "echo $0 ran", "it") == "it ran"
    one, two = engine.images.get("a:1"), engine.images.get("a:2")
    assert one.chain_ids == two.chain_ids == (digest(busybox_tar.read_bytes()),)
    manifest = json.loads(Path(f"{engine.images.roots.blobs}/sha256/{one.manifest[7:]}").read_text())
    (layer,) = manifest["layers"]
    assert layer["mediaType"] == (LAYER_ZSTD if tool.startswith("zstd") else LAYER_GZIP)
    if tool.startswith(("gzip", "zstd")):
        assert layer["digest"] == digest(packed.read_bytes())


def test_what_the_image_says_of_itself(cli: Cli, engine: Engine) -> None:
    image = cli.ok("import", "-m", "by hand", "-c", "ENV A=1", "--change", "CMD x", "-", "me/app", input=ROOTFS)
    shown = json.loads(cli.ok("inspect", "me/app"))[0]
    assert (shown["Id"], shown["RepoTags"]) == (image, ["me/app:latest"])
    assert (shown["Comment"], shown["Os"], shown["Architecture"]) == ("by hand", "linux", architecture())
    assert (shown["Config"]["Env"], shown["Config"]["Cmd"]) == (["A=1"], ["/bin/sh", "-c", "x"])
    assert shown["RootFS"] == {"Type": "layers", "Layers": [digest(ROOTFS)]}
    assert shown["Size"] == len("ID=test\n") + len("usr/bin")
    (row,) = engine.images.history("me/app")
    assert (row.id, row.comment, row.created_by, row.empty) == (image, "by hand", "", False)
    unnamed = cli.ok("import", "-", input=ROOTFS)
    assert cli.ok("images", "-q", "--no-trunc", "--filter", "dangling=true") == unnamed
    assert engine.images.history(unnamed)[0].comment == "Imported from -"


def test_its_root_is_open_to_everybody(engine: Engine) -> None:
    """Whatever the caller's umask, unless the archive says more."""
    before = os.umask(0o077)
    try:
        image = engine.images.get(import_(engine, ROOTFS))
        other = engine.images.get(import_(engine, tar(folder("./", mode=0o700), member("x"))))
    finally:
        os.umask(before)
    assert os.stat(engine.images.layers.path(image.chain_ids[0])).st_mode & 0o777 == 0o755
    assert os.stat(engine.images.layers.path(other.chain_ids[0])).st_mode & 0o777 == 0o700


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "cut off"),
        (b"x" * 5000, "not a tar"),
        (b"PK\x03\x04" + bytes(600), "not a tar"),
        (ROOTFS[:-1024], "end mark"),
        (ROOTFS[:700], "cut off"),
        (gzip.compress(ROOTFS)[:-5], "cut off"),
        (zstd.compress(ROOTFS)[:-5], "cut off"),
        (tar(member("../x", b"x")), "leads out"),
        (tar(member("a", kind=tarfile.LNKTYPE, link="/etc/passwd")), "not in this layer"),
        (tar(member("x" * 300)), "name too long"),
        (tar(symlink("a", "")), "link to nothing"),
        (tar(forged(member("a"), 156, b"?")), "unknown kind"),
        (member("a") + bytes(512) + member("b") + END, "goes on"),
    ],
)
def test_what_is_no_root_file_system(engine: Engine, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        import_(engine, content, "x:1")
    assert came(engine) == []


@pytest.mark.parametrize("name", ["UPPER", "a b", f"a@{digest(b'')}", "a:", "-"])
def test_names_that_are_none(engine: Engine, name: str) -> None:
    """Before anything is read."""
    stream = io.BytesIO(ROOTFS)
    with pytest.raises((UsageError, Refused)):
        engine.images.import_(stream, name)
    assert stream.tell() == 0
    assert came(engine) == []


def test_a_bomb(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compression, "FREE", 4 << 20)
    content = tar(member("zeros", bytes(32 << 20)))
    with pytest.raises(Refused, match="unpack to more than"):
        import_(engine, gzip.compress(content))
    with pytest.raises(Refused, match="unpack to more than"):
        import_(engine, zstd.compress(content))
    assert came(engine) == []


def test_commands_say_what_is_wrong(cli: Cli) -> None:
    for words, stdin, said in (
        (("/nosuch",), b"", "open /nosuch: no such file or directory"),
        (("https://host.test/a.tar",), b"", "curl"),
        (("-",), b"x" * 1000, "not a tar archive"),
        (("-", "UPPER"), ROOTFS, "must be lowercase"),
        (("-c", "FROM x", "-"), ROOTFS, "FROM is not a valid change command"),
        (("-",), tar(member("\x1b[2J/../../x")), "leads out"),
    ):
        result = cli("import", *words, input=stdin)
        assert (result.status, result.out) == (1, "")
        assert said in result.err
        assert "Traceback" not in result.err
        assert "\x1b" not in result.err
    assert cli("import").status == 1
    assert cli.ok("images", "-aq") == ""


SLOW = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(hostile_members())
def test_no_header_is_a_bug(engine: Engine, members: list[bytes]) -> None:
    """Any field of a header, any bytes: an image, or a clear refusal that leaves nothing."""
    before = came(engine)
    try:
        import_(engine, tar(member("first", b"x"), *members, member("last", b"x")))
    except Refused:
        assert came(engine) == before
