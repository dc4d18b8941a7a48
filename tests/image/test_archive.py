"""load: what Docker and skopeo write, run for real; and what nobody should write, refused with nothing left behind."""

from __future__ import annotations

import gzip
import io
import json
import os
import signal
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from backports import zstd
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.dockerd import Docker
from tests.image import archives
from tests.image.archives import LAYER, came, config, descriptor, digest, index, manifest, named, oci
from tests.image.tars import END, folder, member, symlink, tar
from tests.machine import REPOSITORY, Cli, eventually
from tuidock.engine import Engine
from tuidock.errors import Refused, TuidockError
from tuidock.image import archive, compression
from tuidock.oci import image as documents
from tuidock.storage.paths import Roots

pytestmark = pytest.mark.root
Skopeo = Callable[..., bytes]

PROBE = """\
for folder in bin data home root tmp usr var; do
  find $folder ! -type d -exec stat -c '%n %F %a %u %g %s %h %Y' {} +
  find $folder -type d -exec stat -c '%n %a %u %g' {} +
done | sort
cat data/*; env | grep A=
"""
"""What a container prints of its files: kinds, modes, owners, sizes, hard links, times."""


def load(engine: Engine, content: bytes) -> list[str]:
    return engine.images.load(io.BytesIO(content))


# ------------------------------------------------------------------------------------------------ what others write


@pytest.fixture(scope="session")
def saved(docker: Docker, scratch: Path) -> Path:
    """What a real `docker save` wrote of an image with two names and five layers."""
    path = scratch / "saved.tar"
    docker("save", "-o", str(path), "multi:1", "registry.test:5000/a/multi:2")
    return path


@pytest.fixture(scope="session")
def expected(docker: Docker) -> str:
    """What a container of it looks like in Docker."""
    return docker("run", "--rm", "--network", "none", "multi:1", "/bin/sh", "-c", PROBE).decode()


def looks(cli: Cli, image: str) -> str:
    return cli.ok("run", "--rm", "--net", "none", image, "/bin/sh", "-c", PROBE) + "\n"


def test_what_docker_saves_is_what_docker_runs(cli: Cli, docker: Docker, saved: Path, expected: str) -> None:
    """From a file and through a pipe; the id, the history and every file are Docker's."""
    assert " 4755 7 8 4 " in expected, "the last layer's file"
    assert cli.ok("load", "-i", str(saved)).splitlines() == [
        "Loaded image: multi:1",
        "Loaded image: registry.test:5000/a/multi:2",
    ]
    assert looks(cli, "multi:1") == expected
    assert cli.ok("images", "-q", "--no-trunc", "multi") + "\n" == docker("images", "-q", "--no-trunc", "multi").decode()
    shown = ("history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}|{{.CreatedAt}}", "multi:1")
    assert cli.ok(*shown) + "\n" == docker(*shown).decode()
    cli.ok("rmi", "-f", cli.ok("images", "-q", "multi"))
    piped = cli("load", "-q", input=saved.read_bytes())
    assert piped.out == "Loaded image: multi:1\nLoaded image: registry.test:5000/a/multi:2\n"
    assert piped.err == ""
    assert looks(cli, "registry.test:5000/a/multi:2") == expected


def test_layers_become_what_they_say(cli: Cli, engine: Engine, saved: Path) -> None:
    """The whiteout, the opaque folder and the hard link of the real archive, as the kernel's overlay has them."""
    cli.ok("load", "-i", str(saved))
    trees = [Path(engine.images.layers.path(chain_id)) for chain_id in engine.images.get("multi:1").chain_ids]
    assert len(trees) == 4
    assert (trees[2] / "data" / "one").stat().st_rdev == 0
    assert (trees[2] / "data" / "two").stat().st_ino == (trees[2] / "data" / "link").stat().st_ino
    assert os.getxattr(trees[3] / "data", "trusted.overlay.opaque") == b"y"
    assert os.listdir(trees[3] / "data") == ["new"]


@pytest.mark.parametrize("command", ["gzip -1", "zstd -q", "xz -0", "bzip2 -1"])
def test_an_archive_may_be_compressed(cli: Cli, saved: Path, folder: Path, expected: str, command: str) -> None:
    with open(saved, "rb") as source, open(folder / "packed", "wb") as target:
        subprocess.run(command.split(), stdin=source, stdout=target, check=True)
    assert "Loaded image: multi:1" in cli.ok("load", "-i", str(folder / "packed"))
    assert looks(cli, "multi:1") == expected


@pytest.mark.parametrize(
    "words",
    ["", "--dest-compress-format=zstd", "--dest-oci-accept-uncompressed-layers"],
    ids=["gzip", "zstd", "plain"],
)
def test_what_skopeo_writes(cli: Cli, skopeo: Skopeo, saved: Path, folder: Path, expected: str, words: str) -> None:
    """As an OCI archive, and as a folder that somebody packed; the blobs stay as they came."""
    source, target = f"docker-archive:{saved}:multi:1", folder / "image.tar"
    skopeo("copy", *words.split(), source, f"oci:{folder}/layout:oci.test/multi:3")
    subprocess.run(["tar", "-C", folder / "layout", "-cf", target, "."], check=True)
    assert cli.ok("load", "-i", str(target)) == "Loaded image: oci.test/multi:3"
    assert looks(cli, "oci.test/multi:3") == expected
    (listed,) = json.loads((folder / "layout" / "index.json").read_text())["manifests"]
    assert cli.ok("images", "--digests", "--format", "{{.Digest}}") == listed["digest"]
    if not words:
        target.unlink()
        skopeo("copy", source, f"oci-archive:{target}:multi:4")
        assert cli.ok("load", input=target.read_bytes()) == "Loaded image: multi:4"
        assert looks(cli, "multi:4") == expected


def test_what_docker_saves_since_25(cli: Cli, skopeo: Skopeo, saved: Path, folder: Path, expected: str) -> None:
    """An OCI layout with plain layers and a manifest.json beside it that has all the names."""
    layout = folder / "layout"
    skopeo("copy", "--dest-oci-accept-uncompressed-layers", f"docker-archive:{saved}:multi:1", f"oci:{layout}:1")
    (listed,) = json.loads((layout / "index.json").read_text())["manifests"]
    blob = layout / "blobs" / "sha256"
    inner = json.loads((blob / listed["digest"][7:]).read_text())
    path = lambda of: f"blobs/sha256/{of['digest'][7:]}"  # noqa: E731
    names = ["new:1", "other.test/new:2"]
    docker = [{"Config": path(inner["config"]), "RepoTags": names, "Layers": [path(layer) for layer in inner["layers"]]}]
    (layout / "manifest.json").write_text(json.dumps(docker))
    subprocess.run(["tar", "-C", layout, "-cf", folder / "a.tar", "."], check=True)
    assert cli.ok("load", "-i", str(folder / "a.tar")).splitlines() == [f"Loaded image: {name}" for name in names]
    assert looks(cli, "new:1") == expected


def test_several_images_and_one_without_a_name(cli: Cli, docker: Docker, folder: Path) -> None:
    """Layers that two images share are unpacked once."""
    image = docker("images", "-q", "--no-trunc", "multi:1").decode().strip()
    assert cli.ok("load", input=docker("save", image)) == f"Loaded image ID: {image}"
    lines = cli.ok("load", input=docker("save", "multi:1", "base:latest")).splitlines()
    assert sorted(lines) == ["Loaded image: base:latest", "Loaded image: multi:1"]
    assert len(os.listdir(Path(cli.words[4]) / "layers")) == 4
    assert cli.ok("run", "--rm", "base", "/bin/ls", "/home") == ""


def test_a_name_moves_to_what_comes(engine: Engine) -> None:
    """As Docker says it; the image that had it stays, without a name."""
    assert load(engine, archives.docker_image("a:1")) == ["Loaded image: a:1"]
    old = engine.images.get("a:1").id
    assert load(engine, archives.docker_image("a:1", author="new")) == [
        f"The image a:1 already exists, renaming the old one with ID {old} to empty string",
        "Loaded image: a:1",
    ]
    assert {(one.id, one.dangling) for one in engine.images.list()} == {(old, True), (engine.images.get("a:1").id, False)}
    assert load(engine, archives.docker_image("a:1", author="new")) == ["Loaded image: a:1"]


def test_an_image_for_this_machine_is_chosen(engine: Engine) -> None:
    """Of an index in the index; attestations and artifacts are passed over."""
    fitting, other = config(digest(LAYER)), config(digest(LAYER), architecture="s390x")
    manifests = [manifest(one, LAYER) for one in (other, fitting)]
    platforms = [{"os": "linux", "architecture": "s390x"}, {"os": "linux", "architecture": documents.architecture()}]
    listed = [descriptor(one, documents.MANIFEST, platform=at) for one, at in zip(manifests, platforms, strict=True)]
    attestation = descriptor(b"{}", documents.MANIFEST, platform={"os": "unknown", "architecture": "unknown"})
    inner = index(attestation, *listed)
    chart = {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": digest(b"{}"), "size": 2}
    artifact = manifest(fitting, LAYER, config=chart)
    outer = index(attestation, named(artifact, "chart:1"), named(inner, "many:1", documents.INDEX))
    assert load(engine, oci(outer, inner, *manifests, fitting, other, LAYER, artifact, b"{}")) == ["Loaded image: many:1"]
    assert engine.images.get("many:1").id == digest(fitting)


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("repo:tag", "repo:tag"),
        ("a.test:5000/b/c:1", "a.test:5000/b/c:1"),
        ("docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox", "busybox:latest"),
        ("latest", ""),
        ("1.36", ""),
        ("v1", ""),
        (f"a@{digest(b'')}", ""),
        (f"a:1@{digest(b'')}", "a:1"),
    ],
)
def test_names_in_an_index(engine: Engine, name: str, shown: str) -> None:
    """One that is only a tag says nothing of what it is a tag of."""
    (line,) = load(engine, archives.oci_image(name))
    assert line == (f"Loaded image: {shown}" if shown else f"Loaded image ID: {engine.images.list()[0].id}")


def test_old_archives_have_links(engine: Engine) -> None:
    """Docker up to 24 writes a layer that two images share once, and links."""
    listed = [{"Config": "c", "RepoTags": ["old:1"], "Layers": ["two/layer.tar"]}]
    members = member("one/layer.tar", LAYER), folder("two"), symlink("two/layer.tar", "../one/layer.tar")
    documents_ = member("c", config(digest(LAYER))), member("manifest.json", json.dumps(listed).encode())
    assert load(engine, tar(*members, *documents_)) == ["Loaded image: old:1"]


def test_the_same_image_from_two_sides(engine: Engine) -> None:
    """From a docker-archive and from an OCI archive: one image, one layer, two names."""
    load(engine, archives.docker_image("a:1"))
    load(engine, archives.oci_image("b:1"))
    assert engine.images.get("a:1").id == engine.images.get("b:1").id
    assert len(os.listdir(engine.images.roots.layers)) == 1


# ------------------------------------------------------------------------------------------------ damage and malice


ONE = config(digest(LAYER))
GOOD = manifest(ONE, LAYER)
NOT = digest(b"something else")
GZIPPED = gzip.compress(LAYER, 1)


def bad(**files: Any) -> bytes:
    listed = {"Config": "c", "RepoTags": ["x:1"], "Layers": ["l"], **files.pop("listed", {})}
    return archives.docker([listed], **{"c": ONE, "l": LAYER, **files})


def swapped(content: bytes, old: str, new: str) -> bytes:
    """A document with some text in it replaced."""
    assert old.encode() in content
    return content.replace(old.encode(), new.encode())


def flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 255]) + content[at + 1 :]


CORRUPT = [
    ("nothing", b"", "no image"),
    ("no archive", b"hello " * 200, "not a tar archive"),
    ("a rootfs", tar(folder("bin"), member("bin/sh", b"x")), "no image.*\n.*tuidock import"),
    ("cut in a member", archives.docker_image()[:3000], "cut off"),
    ("cut gzip", gzip.compress(archives.docker_image())[:-20], "cut off"),
    ("cut zstd", zstd.compress(archives.docker_image())[:-20], "cut off"),
    ("damaged gzip", flipped(gzip.compress(archives.docker_image()), -6), "damaged"),
    ("blob with another name", tar(member(f"blobs/sha256/{NOT[7:]}", b"x")), "damaged"),
    ("blob out of the folder", tar(member("blobs/sha256/../../../etc/x", b"x")), "leads out"),
    ("blob of no name", tar(member("blobs/sha256/x", b"x")), "damaged"),
    ("docker: no config", bad(listed={"Config": "nosuch"}), "lacks nosuch"),
    ("docker: config is out", bad(listed={"Config": "../../../etc/passwd"}), "lacks"),
    ("docker: config is no name", bad(listed={"Config": ["c"]}), "lacks"),
    ("docker: no layer", bad(listed={"Layers": ["nosuch"]}), "lacks nosuch"),
    ("docker: fewer layers", bad(listed={"Layers": []}), "0 layers"),
    ("docker: layers are none", bad(listed={"Layers": "l"}), "not a list"),
    ("docker: wrong layer", bad(l=tar(member("other", b"x"))), "hashes to"),
    ("docker: cut layer", bad(c=config(digest(LAYER[:700])), l=LAYER[:700]), "cut off"),
    ("docker: hostile layer", archives.docker_image(layer=tar(member("../../x", b"x"))), "leads out"),
    ("docker: no name", bad(listed={"RepoTags": ["UPPER case"]}), "names an image"),
    ("docker: no images", archives.docker([]), "no image"),
    ("docker: no JSON", archives.docker(b"[{"), "not JSON"),
    ("docker: deep JSON", archives.docker(b"[" * 200_000), "not JSON"),
    ("docker: no list", archives.docker(b"{}"), "not a list"),
    ("docker: a loop of links", tar(symlink("c", "c"), member("manifest.json", b'[{"Config": "c"}]')), "lacks c"),
    ("docker: for windows", archives.docker_image(os="windows"), "windows"),
    ("docker: diff id is a path", bad(c=config("sha256:../../x")), "not a digest"),
    ("docker: too many layers", bad(c=config(*[digest(LAYER)] * 501), listed={"Layers": ["l"] * 501}), "501 layers"),
    ("oci: no manifest", oci(index(named(GOOD)), ONE, LAYER), "lacks"),
    ("oci: no config", oci(index(named(GOOD)), GOOD, LAYER), "lacks"),
    ("oci: no layer", oci(index(named(GOOD)), GOOD, ONE), "lacks"),
    ("oci: digest is a path", oci(swapped(index(named(GOOD)), digest(GOOD), "sha256:../../x"), GOOD), "not a digest"),
    (
        "oci: layer is a path",
        oci(index(named(one := swapped(GOOD, digest(LAYER), "sha256:../../x"))), one, ONE),
        "not a digest",
    ),
    ("oci: wrong size", oci(swapped(index(named(GOOD)), f'"size": {len(GOOD)}', '"size": 5'), GOOD, ONE, LAYER), "bytes"),
    ("oci: both at once", oci(index(named(one := manifest(ONE, LAYER, manifests=[]))), one, ONE, LAYER), "no image|both"),
    ("oci: index is both", oci(index(named(GOOD), layers=[]), GOOD, ONE, LAYER), "both"),
    ("oci: a manifest as index", oci(GOOD, ONE, LAYER), "says it is|lists no"),
    ("oci: config is a text", oci(index(named(one := manifest(ONE, LAYER, config="c"))), one, ONE, LAYER), "descriptor"),
    ("oci: layers are none", oci(index(named(one := manifest(ONE, LAYER, layers=5))), one, ONE, LAYER), "no layers"),
    ("oci: other diff id", oci(index(named(one := manifest(two := config(NOT), LAYER))), one, two, LAYER), "hashes to"),
    ("oci: more layers", oci(index(named(one := manifest(ONE, LAYER, LAYER))), one, ONE, LAYER), "2 layers"),
    ("oci: no index", oci(b"{}"), "lists no manifests"),
    ("oci: empty", oci(index()), "no image"),
]


@pytest.mark.parametrize(("content", "why"), [pytest.param(*rest, id=name) for name, *rest in CORRUPT])
def test_corrupt_archives_are_refused_and_leave_nothing(engine: Engine, content: bytes, why: str) -> None:
    with pytest.raises(Refused, match=why):
        load(engine, content)
    assert came(engine) == []


def test_one_bad_image_spoils_the_archive(engine: Engine) -> None:
    """All or nothing: the good one before it does not stay."""
    images = [
        {"Config": "c", "RepoTags": ["good:1"], "Layers": ["l"]},
        {"Config": "c2", "RepoTags": ["bad:1"], "Layers": ["l"]},
    ]
    with pytest.raises(Refused, match="hashes to"):
        load(engine, archives.docker(images, c=ONE, l=LAYER, c2=config(NOT)))
    assert came(engine) == []


def test_indexes_in_indexes_end(engine: Engine) -> None:
    blobs = [GOOD, ONE, LAYER]
    inner = descriptor(GOOD, documents.MANIFEST)
    for _ in range(6):
        blobs.append(index(inner))
        inner = descriptor(blobs[-1], documents.INDEX)
    with pytest.raises(Refused, match="without end"):
        load(engine, oci(index(inner), *blobs))
    assert came(engine) == []


class Repeated(io.RawIOBase):
    """A stream that is made while it is read: parts, each with how often it comes."""

    def __init__(self, *parts: tuple[bytes, int]) -> None:
        self._pieces = self._all(parts)
        self.given = 0

    @staticmethod
    def _all(parts: tuple[tuple[bytes, int], ...]) -> Iterator[bytes]:
        for content, times in parts:
            for _ in range(times):
                yield content

    def read(self, size: int = -1) -> bytes:
        piece = next(self._pieces, b"")
        self.given += len(piece)
        return piece


MB = bytes(1 << 20)


def header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.type = size, kind
    return info.tobuf(tarfile.GNU_FORMAT)


@pytest.mark.parametrize("name", ["manifest.json", "index.json"])
def test_a_manifest_of_a_gigabyte_is_refused_at_once(engine: Engine, name: str) -> None:
    stream = Repeated((header(name, 1 << 30), 1), (MB, 1024), (END, 1))
    with pytest.raises(Refused, match=f"{name} has 1073741824 bytes"):
        engine.images.load(stream)  # type: ignore[arg-type]
    assert stream.given < 4 << 20
    assert came(engine) == []


def test_configs_and_manifests_have_limits(engine: Engine) -> None:
    big = config(digest(LAYER), author="x" * (9 << 20))
    with pytest.raises(Refused, match="8388608 are allowed"):
        load(engine, bad(c=big))
    one = manifest(big, LAYER)
    with pytest.raises(Refused, match="8388608 are allowed"):
        load(engine, oci(index(named(one)), one, big, LAYER))
    one = manifest(ONE, LAYER, annotations={"a": "x" * (5 << 20)})
    with pytest.raises(Refused, match="4194304 are allowed"):
        load(engine, oci(index(named(one)), one, ONE, LAYER))
    assert came(engine) == []


def test_one_config_a_hundred_thousand_times(engine: Engine) -> None:
    """Every listing of it would be read, checked and kept: 1 TB of configs in an archive of 12 MB."""
    image = {"Config": "c", "RepoTags": [], "Layers": ["l"]}
    content = archives.docker([image] * 80_000, c=config(digest(LAYER), author="x" * (7 << 20)), l=LAYER)
    assert len(load(engine, content)) == 1
    listed = descriptor(GOOD, documents.MANIFEST)
    assert len(load(engine, oci(index(*[listed] * 20_000), GOOD, ONE, LAYER))) == 1


def test_many_large_configs(engine: Engine) -> None:
    configs = {f"c{number}": config(digest(LAYER), author=f"{number}" * (7 << 20)) for number in range(10)}
    images = [{"Config": name, "RepoTags": [], "Layers": ["l"]} for name in configs]
    with pytest.raises(Refused, match="manifests and configs"):
        load(engine, archives.docker(images, l=LAYER, **configs))
    assert came(engine) == []


def test_many_names(engine: Engine) -> None:
    names = [f"a:{number}" for number in range(archive.NAMES_LIMIT + 1)]
    with pytest.raises(Refused, match="names of images"):
        load(engine, bad(listed={"RepoTags": names}))
    assert came(engine) == []
    assert len(load(engine, bad(listed={"RepoTags": names[:1000] * 5}))) == 1000


def test_a_million_members_end_soon(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a lower limit here, so that it takes no time; the rest of the stream is not even read."""
    monkeypatch.setattr(archive, "MEMBER_LIMIT", 500)
    stream = Repeated((member("x"), 1_000_000))
    with pytest.raises(Refused, match="more than 500 members"):
        engine.images.load(stream)  # type: ignore[arg-type]
    assert stream.given < 1 << 20
    assert came(engine) == []


def test_long_names_are_not_collected(engine: Engine) -> None:
    long = "/".join(["n" * 200] * 20)
    for content in (member(long), symlink("l", long)):
        with pytest.raises(Refused, match="more than 1024 bytes"):
            load(engine, tar(content))


@pytest.mark.parametrize("pack", [gzip.compress, zstd.compress], ids=["gzip", "zstd"])
def test_bombs(engine: Engine, monkeypatch: pytest.MonkeyPatch, pack: Callable[[bytes], bytes]) -> None:
    """The archive itself, and a layer in it."""
    monkeypatch.setattr(compression, "FREE", 4 << 20)
    with pytest.raises(Refused, match="unpack to more than"):
        load(engine, pack(header("x", 64 << 20) + bytes(64 << 20)))
    layer = header("x", 64 << 20) + bytes(64 << 20) + END
    with pytest.raises(Refused, match="unpack to more than"):
        load(engine, bad(c=config(digest(layer)), l=pack(layer)))
    one = manifest(of := config(digest(layer)), packed := pack(layer))
    with pytest.raises(Refused, match="unpack to more than"):
        load(engine, oci(index(named(one)), one, of, packed))
    assert came(engine) == []


@pytest.fixture
def small(folder: Path) -> Iterator[Roots]:
    """Roots on a disk of 96 MB."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=96m", "tmpfs", folder], check=True)
    roots = Roots(str(folder / "root"), str(folder / "run"))
    roots.make()
    yield roots
    subprocess.run(["umount", "-l", folder], check=True)  # the database is open


def test_a_full_disk_is_said_and_stays_usable(small: Roots) -> None:
    """A layer of 110 MB in 500 kB; a member that nothing names; one that fits as a file and not as a tree."""
    engine = Engine(small)
    load(engine, archives.docker_image("before:1"))
    before = came(engine)
    layer = header("x", 110 << 20) + bytes(110 << 20) + END
    one = manifest(of := config(digest(layer)), packed := gzip.compress(layer, 1))
    half = tar(member("x", os.urandom(50 << 20)))
    free = os.statvfs(small.data).f_bavail
    for content in (
        oci(index(named(one)), one, of, packed),
        gzip.compress(layer, 1),
        archives.docker_image("half:1", layer=half),
    ):
        with pytest.raises(TuidockError, match="no space left"):
            load(engine, content)
        assert came(engine) == before
        assert os.statvfs(small.data).f_bavail >= free - 256
    assert any("Deleted" in line for line in engine.images.remove("before:1"))


PEAK = """\
import resource, subprocess, sys
subprocess.run(sys.argv[1:], check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def test_memory_stays_small(cli: Cli, engine: Engine, folder: Path) -> None:
    """Peak memory of the command and of its jail, for a layer of 100 MB.

    By way of a small process: a child's figure begins with what its parent had when it was forked.
    """
    block = os.urandom(1 << 20)
    pieces = [header("x", 100 << 20), *[block] * 100, END]
    hashed = sha256()
    for piece in pieces:
        hashed.update(piece)
    listed = json.dumps([{"Config": "c", "RepoTags": ["big:1"], "Layers": ["l"]}]).encode()
    documents_ = member("manifest.json", listed) + member("c", config(f"sha256:{hashed.hexdigest()}"))
    with open(folder / "big.tar", "wb") as file:
        for piece in (documents_, header("l", sum(map(len, pieces))), *pieces, END):
            file.write(piece)
    words = [*cli.words, "load", "-q", "-i", str(folder / "big.tar")]
    peak = subprocess.run([sys.executable, "-c", PEAK, *words], check=True, capture_output=True, cwd=REPOSITORY).stdout
    assert int(peak.split()[-1]) < 80 << 10
    assert engine.images.get("big:1").size == 100 << 20


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_a_load_that_is_stopped(cli: Cli, engine: Engine, number: signal.Signals) -> None:
    """In the middle of a member; what it leaves, if it could not help it, goes with the next load."""
    loading = cli.start("load", "-q")
    assert loading.stdin is not None
    content = header("blobs/sha256/x", 64 << 20) + bytes(4 << 20)
    loading.stdin.write(content)
    loading.stdin.flush()
    staging = engine.images.roots.staging
    assert eventually(lambda: any(os.scandir(f"{staging}/{one}") for one in os.listdir(staging)))
    loading.send_signal(number)
    loading.communicate(timeout=10)
    assert loading.returncode == (130 if number == signal.SIGINT else -number)
    if number == signal.SIGINT:
        assert came(engine) == []
    load(engine, archives.docker_image())
    assert os.listdir(staging) == os.listdir(engine.images.roots.trash) == []


def test_two_loads_at_once(cli: Cli, engine: Engine, folder: Path) -> None:
    """Both bring the same layer; there is one image, whole, with both names."""
    layer = tar(*(member(f"f{number}", os.urandom(1 << 16)) for number in range(100)))
    loading = []
    for name in ("a:1", "b:1"):
        (folder / name).write_bytes(archives.docker_image(name, layer=layer))
        loading.append(cli.start("load", "-q", "-i", str(folder / name)))
    assert sorted(process.communicate(timeout=30)[0] for process in loading) == [b"Loaded image: a:1\n", b"Loaded image: b:1\n"]
    assert engine.images.get("a:1") == engine.images.get("b:1").replace(reference="a:1")
    (tree,) = os.listdir(engine.images.roots.layers)
    assert len(os.listdir(f"{engine.images.roots.layers}/{tree}")) == 100


WORDS = (
    st.none() | st.integers() | st.text(max_size=5) | st.sampled_from(["c", "l", "x:1", digest(LAYER), "../x", "index.json"])
)
VALUES = st.recursive(
    WORDS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)
SLOW = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@SLOW
@given(st.sampled_from(["Config", "Layers", "RepoTags"]), VALUES, VALUES)
def test_no_manifest_json_is_a_bug(engine: Engine, key: str, value: object, whole: object) -> None:
    for content in (bad(listed={key: value}), archives.docker(json.dumps(whole).encode(), c=ONE, l=LAYER)):
        before = came(engine)
        try:
            load(engine, content)
        except Refused:
            assert came(engine) == before


@SLOW
@given(st.sampled_from(["config", "layers", "mediaType", "manifests", "annotations"]), VALUES, VALUES)
def test_no_oci_document_is_a_bug(engine: Engine, key: str, value: object, inner: object) -> None:
    one = manifest(ONE, LAYER, **{key: value})
    two = manifest(of := config(digest(LAYER), **{"config": inner, "architecture": value}), LAYER)
    for content in (
        oci(index(named(one)), one, ONE, LAYER),
        oci(index(named(two)), two, of, LAYER),
        oci(index(named(GOOD), **{key: value}), GOOD, ONE, LAYER),
        oci(index({**named(GOOD), key: value}), GOOD, ONE, LAYER),
        oci(index({**named(GOOD), "platform": {"os": value, "architecture": inner}}), GOOD, ONE, LAYER),
    ):
        before = came(engine)
        try:
            load(engine, content)
        except Refused:
            assert came(engine) == before
        for image in engine.images.list():
            engine.images.inspect(image.id)
            engine.images.history(image.id)


@SLOW
@given(st.data())
def test_no_damage_is_a_bug(engine: Engine, data: st.DataObject) -> None:
    """Some bytes of a good archive changed, or its end gone: it loads as it was, or is refused and leaves nothing."""
    content = bytearray(
        data.draw(st.sampled_from([archives.docker_image(), archives.oci_image(), gzip.compress(bad(l=GZIPPED))]))
    )
    for at in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=3)):
        content[at] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(len(content) - 3000, len(content)))
    before = came(engine)
    try:
        load(engine, bytes(content[:end]))
    except Refused:
        assert came(engine) == before
