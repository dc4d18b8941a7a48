"""A layer folder to unpack into, and a real Docker where the machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.machine import eventually
from tuidock.image.extraction import Extraction, Unpacked
from tuidock.storage.remove import remove_tree

Unpack = Callable[..., Path]


@pytest.fixture
def folder(scratch: Path) -> Iterator[Path]:
    """A folder of this test alone."""
    made = Path(tempfile.mkdtemp(dir=scratch))
    yield made
    remove_tree(str(made))


@pytest.fixture
def unpack(folder: Path) -> Unpack:
    """`unpack(tar, lower=[…])` gives the tree that a layer became.  Raises as Extraction does."""
    count = 0

    def unpack(content: bytes, lower: Sequence[Path] = ()) -> Path:
        nonlocal count
        count += 1
        tree = folder / f"tree{count}"
        tree.mkdir()
        extract(content, tree, lower)
        return tree

    return unpack


def extract(content: bytes, tree: Path, lower: Sequence[Path] = ()) -> Unpacked:
    """A layer into an empty folder, by the process that does it for the engine."""
    with Extraction(str(tree), [str(path) for path in lower]) as extraction:
        extraction.feed(content)
        return extraction.finish()


DOCKERFILE = """\
FROM base
ENV A=1
RUN mkdir /data && echo one >/data/one && echo two >/data/two
RUN rm /data/one && echo three >/data/three && ln /data/two /data/link
RUN rm -r /data && mkdir /data && echo new >/data/new && chmod 4755 /data/new && chown 7:8 /data/new
LABEL who=me
CMD ["/bin/sh"]
"""


class Docker:
    """A daemon of its own, away from the machine's."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = f"unix://{folder}/docker.sock"
        words = ["--data-root", f"{folder}/root", "--exec-root", f"{folder}/exec", "-H", self.socket, "-p", f"{folder}/pid"]
        with open(folder / "log", "wb") as log:
            self.process = subprocess.Popen(
                ["dockerd", *words, "--iptables=false", "--bridge=none"], stdout=log, stderr=log, start_new_session=True
            )

    def __call__(self, *words: str, **options: object) -> bytes:
        run = subprocess.run(
            ["docker", "-H", self.socket, *words], capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "0"}, timeout=60
        )
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout

    def answers(self) -> bool:
        return subprocess.run(["docker", "-H", self.socket, "info"], capture_output=True).returncode == 0

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(30)


@pytest.fixture(scope="session")
def docker(scratch: Path, busybox_tar: Path) -> Iterator[Docker]:
    """A Docker with the image `multi:1`, five layers of which three change each other's files."""
    if os.geteuid() != 0 or not (shutil.which("dockerd") and shutil.which("docker")):
        pytest.skip("there is no dockerd here, or no root")
    place = Path(tempfile.mkdtemp(dir=scratch, prefix="docker"))
    docker = Docker(place)
    try:
        assert eventually(docker.answers, seconds=30), (place / "log").read_text()[-2000:]
        docker("import", str(busybox_tar), "base")
        (place / "context").mkdir()
        (place / "context" / "Dockerfile").write_text(DOCKERFILE)
        docker("build", "--network", "none", "-t", "multi:1", "-t", "registry.test:5000/a/multi:2", str(place / "context"))
        yield docker
    finally:
        docker.stop()


@pytest.fixture(scope="session")
def skopeo() -> Callable[..., bytes]:
    """skopeo, as a command."""
    if not shutil.which("skopeo"):
        pytest.skip("there is no skopeo here (Debian: apt-get install skopeo)")

    def skopeo(*words: str) -> bytes:
        run = subprocess.run(["skopeo", *words], capture_output=True, timeout=60)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout

    return skopeo
