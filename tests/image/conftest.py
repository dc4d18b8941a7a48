"""A layer folder to unpack into, and a real Docker where the machine has one."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from tests.dockerd import dockerd, installed
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
    """The command, on a daemon of its own."""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def __call__(self, *words: str) -> bytes:
        run = subprocess.run([*self.words, *words], capture_output=True, env={**os.environ, "DOCKER_BUILDKIT": "0"}, timeout=60)
        assert run.returncode == 0, run.stderr.decode()
        return run.stdout


@pytest.fixture(scope="session")
def docker(scratch: Path, busybox_tar: Path) -> Iterator[Docker]:
    """A Docker with the image `multi:1`, five layers of which three change each other's files."""
    if not installed():
        pytest.skip("there is no dockerd here, or no root")
    place = Path(tempfile.mkdtemp(dir=scratch, prefix="docker"))
    with dockerd(place) as words:
        docker = Docker(words)
        docker("import", str(busybox_tar), "base")
        (place / "context").mkdir()
        (place / "context" / "Dockerfile").write_text(DOCKERFILE)
        docker("build", "--network", "none", "-t", "multi:1", "-t", "registry.test:5000/a/multi:2", str(place / "context"))
        yield docker


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
