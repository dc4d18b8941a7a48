"""The one way in: what comes is there whole or not at all, wherever it is interrupted."""

from __future__ import annotations

import errno
import io
import os
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.image.archives import came, config, digest, docker, docker_image, oci_image
from tests.image.tars import member, tar
from tests.image.test_index import check_layout
from tests.machine import REPOSITORY
from tuidock.engine import Engine
from tuidock.errors import Refused, TuidockError
from tuidock.image.intake import Intake, Progress
from tuidock.storage import space
from tuidock.storage.paths import Roots

pytestmark = pytest.mark.root

BASE, ONE = tar(member("base", b"b")), tar(member("one", b"1"))
STACK = docker(
    [{"Config": "c", "RepoTags": ["a:1", "b:2"], "Layers": ["x", "y"]}], c=config(digest(BASE), digest(ONE)), x=BASE, y=ONE
)

CRASH = """\
import io, os, signal, sys
from tuidock.engine import Engine
from tuidock.image import archive, removal
from tuidock.storage.paths import Roots
data, run, source = sys.argv[1:]
content = open(source, "rb").read()

def child(act):
    pid = os.fork()
    if not pid:
        try:
            act()
        finally:
            os._exit(0)
    return os.waitpid(pid, 0)[1]

def crashing(point):
    count = 0
    def counted(call):
        def wrapped(*words, **named):
            nonlocal count
            count += 1
            if count == point:
                os.kill(os.getpid(), signal.SIGKILL)
            return call(*words, **named)
        return wrapped
    for name in ("rename", "symlink", "unlink", "fsync", "mkdir", "rmdir"):
        setattr(os, name, counted(getattr(os, name)))
    images = Engine(Roots(data, run)).images
    images.load(io.BytesIO(content))
    images.remove("a:1")
    images.remove("b:2")

def whole():
    images = Engine(Roots(data, run)).images
    for image in images.list():
        for chain_id in images.get(image.id).chain_ids:
            assert len(os.listdir(images.layers.path(chain_id))) == 1
        images.history(image.id)
    images.load(io.BytesIO(content))
    assert [one.repository for one in images.list()] == ["a", "b"]
    images.remove("a:1")
    images.remove("b:2")
    folders = ("layers", "l", "image/blobs/sha256", "staging", "trash")
    left = [name for folder in folders for name in os.listdir(f"{data}/{folder}")]
    assert left == [], left
    print("whole", flush=True)

point = 0
while True:
    point += 1
    if not child(lambda: crashing(point)):
        break
    child(whole)
print(point, flush=True)
"""
"""Killed before each call that changes the disk, one after the other; each time the next process must find its way."""


def test_killed_at_every_point(roots: Roots, folder: Path) -> None:
    (folder / "archive").write_bytes(STACK)
    words = [sys.executable, "-c", CRASH, roots.data, roots.run, str(folder / "archive")]
    ran = subprocess.run(words, capture_output=True, text=True, cwd=REPOSITORY, timeout=120)
    assert ran.stderr == ""
    *whole, points = ran.stdout.split()
    assert int(points) > 30
    assert whole == ["whole"] * (int(points) - 1)


def test_what_the_transaction_refuses_leaves_no_name(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Blobs and trees have their place by then; the next load takes it over, the next removal would take it away."""

    @contextmanager
    def failing() -> object:  # type: ignore[misc]
        raise sqlite3.OperationalError("database or disk is full")
        yield

    with monkeypatch.context() as patched:
        patched.setattr(engine.images.database, "transaction", failing)
        with pytest.raises(sqlite3.OperationalError):
            engine.images.load(io.BytesIO(STACK))
    assert engine.images.list() == []
    assert engine.images.load(io.BytesIO(STACK)) == ["Loaded image: a:1", "Loaded image: b:2"]
    assert check_layout(Path(engine.images.roots.image_layout)) == ["a:1", "b:2"]
    assert len(os.listdir(engine.images.roots.layers)) == len(os.listdir(engine.images.roots.links)) == 2


def test_a_disk_without_room_says_so(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it is full: what removes needs some room, too."""

    def full(where: str | int) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("tuidock.storage.blobs.allowance", full)
    with pytest.raises(TuidockError, match="no space left under"):
        engine.images.load(io.BytesIO(STACK))
    assert came(engine) == []


def test_some_of_every_disk_stays_free(folder: Path) -> None:
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=50m", "tmpfs", folder], check=True)
    try:
        assert 0 < space.allowance(str(folder)) <= space.CHECK_EVERY
        (folder / "x").write_bytes(bytes(49 << 20) + bytes(512 << 10))
        with pytest.raises(OSError, match="No space left"):
            space.allowance(str(folder))
        assert os.statvfs(folder).f_bavail > 0
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_layer_whose_blob_is_gone_comes_again(engine: Engine) -> None:
    """Two images, one tree, two blobs of it: the one that the tree was made from goes with its image."""
    engine.images.load(io.BytesIO(docker_image("a:1", author="a")))
    engine.images.load(io.BytesIO(oci_image("b:1")))
    engine.images.remove("a:1")
    assert check_layout(Path(engine.images.roots.image_layout)) == ["b:1"]
    engine.images.load(io.BytesIO(docker_image("c:1", author="c")))
    assert check_layout(Path(engine.images.roots.image_layout)) == ["b:1", "c:1"]
    assert len(os.listdir(engine.images.roots.layers)) == 1


def test_progress_is_told(engine: Engine) -> None:
    told: list[Progress] = []
    layer = tar(member("x", os.urandom(1 << 20)))
    engine.images.load(io.BytesIO(docker_image(layer=layer)), told.append)
    (what,) = {one.what for one in told if "unpacking" in one.what}
    assert what == f"layer {digest(layer)[7:19]} unpacking"
    unpacking = [one for one in told if one.what == what]
    assert [one.done for one in unpacking] == sorted(one.done for one in unpacking)
    assert (unpacking[-1].done, unpacking[-1].total) == (len(layer), len(layer))
    told.clear()
    engine.images.load(io.BytesIO(docker_image(layer=layer)), told.append)
    assert not any("unpacking" in one.what for one in told), "it is here already"


def test_blobs_that_are_nowhere(engine: Engine) -> None:
    with Intake(engine.images.database, engine.images.roots) as intake:
        with pytest.raises(Refused, match="is missing"):
            intake.path(digest(b"x"))
        assert intake.known(digest(b"x"), digest(b"x")) is None
    assert came(engine) == []
