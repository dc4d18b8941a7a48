"""A layer folder to unpack into, and skopeo where the machine has it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

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
