"""Throw-away roots, an engine on them, a busybox image, and the command; after each test, a look at what it left behind.

A test that uses `engine`, `cli` or `busybox` is about the real kernel and so needs root: it is skipped without, and with
`--no-skips` (as CI runs it) a skipped one counts as failed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.dockerd import DOCKERFILE, Docker, dockerd, installed
from tests.machine import Cli, eventually, leftovers, make_busybox, platform, sweep, usable_for_overlay
from tuidock.storage.paths import Roots

if TYPE_CHECKING:
    from tuidock.engine import Engine

ASK_THE_KERNEL = {"engine", "cli", "busybox"}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--no-skips", action="store_true", help="a test that needs root and is skipped counts as failed")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if ASK_THE_KERNEL.intersection(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.root)
        if os.geteuid() != 0 and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    expected = hasattr(report, "wasxfail")
    if report.skipped and not expected and item.config.option.no_skips and item.get_closest_marker("root"):
        report.outcome = "failed"
        report.longrepr = f"skipped, which --no-skips forbids: {report.longrepr}"
    return report


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder of this session on a filesystem that an overlay's upper directory can lie on."""
    below = usable_for_overlay()
    if not below:
        pytest.fail("/tmp and /var/tmp are on an overlay; TUIDOCK_TEST_DIR must name a folder that is not")
    folder = tempfile.mkdtemp(prefix="tuidock-test-", dir=below)
    yield Path(folder)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def roots(scratch: Path) -> Iterator[Roots]:
    """Two roots of this test alone.  When it ends nothing may be mounted, run or lie there but images and volumes.

    Containers that the test left are removed as a user would (`rm -f`), so a leftover is always the engine's fault.
    """
    folder = Path(tempfile.mkdtemp(dir=scratch))
    roots = Roots(str(folder / "root"), str(folder / "run"))
    roots.make()
    yield roots
    try:
        if names := os.listdir(roots.containers):
            Cli(roots)("rm", "--force", "--volumes", *names)
        gone = eventually(lambda: not leftovers(roots), seconds=3)  # `run -d --rm` cleans up after the test has looked
        assert gone, "left behind:\n  " + "\n  ".join(leftovers(roots))
    finally:
        sweep(roots)
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def engine(roots: Roots) -> Engine:
    """The engine on this test's roots."""
    from tuidock.engine import Engine

    return Engine(roots)


@pytest.fixture
def cli(roots: Roots) -> Cli:
    """The command on this test's roots: `cli("run", …)` gives status, out and err; `cli.ok(…)` the output."""
    return Cli(roots)


@pytest.fixture(scope="session")
def bases(request: pytest.FixtureRequest) -> Path:
    """Where base images are kept from one session to the next (pytest's own cache, so `make clean` takes it)."""
    cache = request.config.cache
    assert cache is not None
    return Path(cache.mkdir("bases"))


@pytest.fixture(scope="session")
def busybox_tar(bases: Path) -> Path:
    """A rootfs tar of 2 MB with busybox."""
    return make_busybox(bases)


@pytest.fixture(scope="session")
def debian_tar(bases: Path) -> Path:
    """A rootfs tar of 126 MB with Debian 12; 25 s the first time."""
    return Path(platform("rootfs.sh", "debian", str(bases)).splitlines()[-1])


@pytest.fixture
def busybox(engine: Engine, busybox_tar: Path) -> str:
    """`busybox:latest` in this test's roots; the name to run."""
    with open(busybox_tar, "rb") as tar:
        engine.images.import_(tar, "busybox:latest")
    return "busybox"


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
