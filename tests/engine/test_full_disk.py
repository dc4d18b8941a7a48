"""A container that fills the disk meets ENOSPC and goes on; tuidock sees it, ends it and removes it, and all is as before.

On a file system of a few MiB that is really full.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import Cli, alive, eventually, leftovers, sweep
from tuidock.storage import ballast
from tuidock.storage.paths import Roots

FILL = "head -c 40m /dev/zero > /big 2>/dev/null; echo in=$?"


@pytest.fixture
def roots(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Roots]:
    """Two roots; the data root's disk has 12 MiB."""
    folder = tmp_path_factory.mktemp("small")
    disk = folder / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", disk], check=True)
    roots = Roots(str(disk / "root"), str(folder / "run"))
    try:
        roots.make()
        yield roots
        if names := os.listdir(roots.containers):
            Cli(roots)("rm", "--force", *names)
        assert eventually(lambda: not leftovers(roots), seconds=3), leftovers(roots)
    finally:
        sweep(roots)
        subprocess.run(["umount", "-l", disk], check=True)
        shutil.rmtree(folder, ignore_errors=True)


def free(roots: Roots) -> int:
    room = os.statvfs(roots.data)
    return room.f_bavail * room.f_frsize


def fill(roots: Roots) -> Path:
    """Take all that is left, to the last block."""
    path = Path(roots.data).parent / "filler"
    with open(path, "ab", buffering=0) as file:
        for size in (1 << 16, 4096):
            try:
                while file.write(bytes(size)):
                    pass
            except OSError:
                continue
    assert free(roots) == 0
    return path


def test_the_container_that_fills_the_disk_goes_on_and_can_be_removed(cli: Cli, roots: Roots, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "before", "--net", "none", busybox, "sleep", "100")
    left = free(roots)
    filled = cli("run", "--name", "big", "--net", "none", busybox, "sh", "-c", f"{FILL}; exit 7")
    assert filled.out == "in=1\n", filled.err
    assert filled.status == 7, filled.err
    assert os.stat(f"{roots.container(cli.ok('inspect', '-f', '{{.Id}}', 'big')).rw}/big").st_size > left // 2
    fill(roots)
    shown = cli.ok("ps", "-a", "--format", "{{.Names}} {{.Status}}")
    assert "big Exited (7)" in shown
    assert "before Up" in shown
    cli.ok("rm", "-f", "big")
    assert free(roots) > left // 2


def test_on_a_full_disk_one_looks_stops_and_removes(cli: Cli, roots: Roots, busybox: str) -> None:
    """Every command meets a disk without one free block."""
    for name in ("one", "two", "three"):
        cli.ok(
            "run",
            "-d",
            "--name",
            name,
            "--net",
            "none",
            busybox,
            "sh",
            "-c",
            "trap 'exit 3' TERM; echo on; while :; do sleep 0.1; done",
        )
    first = cli.pid("one")
    assert eventually(lambda: all(cli.ok("logs", name) == "on" for name in ("one", "two", "three")))
    filler = fill(roots)
    assert cli.ok("ps", "--format", "{{.Names}}").split() == ["three", "two", "one"]
    fill(roots)
    assert cli.ok("exec", "one", "echo", "hi") == "hi"
    fill(roots)
    assert cli.ok("logs", "one") == "on"
    fill(roots)
    cli.ok("stop", "one")
    assert not alive(first)
    fill(roots)
    assert cli.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one") == "exited 3"
    fill(roots)
    cli.ok("kill", "two")
    fill(roots)
    assert cli.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "two") == "exited 137"
    for name in ("one", "two", "three"):
        fill(roots)
        cli.ok("rm", "-f", name)
    assert cli.ok("ps", "-aq") == ""
    filler.unlink()
    assert cli.ok("run", "--rm", "--net", "none", busybox, "echo", "again") == "again"
    assert os.stat(roots.ballast).st_size == ballast.SIZE, "the room is kept again for the next time"


def test_a_container_that_writes_to_a_full_log_goes_on(cli: Cli, roots: Roots, busybox: str) -> None:
    cli.ok(
        "run",
        "-d",
        "--name",
        "talks",
        "--net",
        "none",
        busybox,
        "sh",
        "-c",
        "while :; do head -c 9999 /dev/zero; sleep 0.05; done",
    )
    process = cli.pid("talks")
    filler = fill(roots)
    log = roots.container(cli.ok("inspect", "-f", "{{.Id}}", "talks")).log
    fill(roots)
    size = os.stat(log).st_size
    assert cli.ok("exec", "talks", "sh", "-c", "sleep 0.5; echo hi") == "hi"
    assert alive(process)
    filler.unlink()
    assert eventually(lambda: os.stat(log).st_size > size + 20_000), "it is logged again once there is room"
    cli.ok("rm", "-f", "talks")


def test_what_finds_no_room_is_one_sentence(cli: Cli, roots: Roots, busybox: str) -> None:
    os.truncate(roots.ballast, 0)
    fill(roots)
    refused = cli("create", busybox, "true")
    assert refused.status == 125
    assert "no space left on the disk of" in refused.err
    assert "mistake" not in refused.err
    assert os.listdir(roots.containers) == []


def test_without_any_room_kept_one_still_looks_stops_and_removes(cli: Cli, roots: Roots, busybox: str) -> None:
    """Others were faster and have taken that, too: then reading needs none, and the folders go before the row."""
    cli.ok("run", "-d", "--name", "one", "--net", "none", busybox, "sleep", "100")
    cli.ok("run", "--name", "big", "--net", "none", busybox, "sh", "-c", FILL)
    process = cli.pid("one")

    def nothing() -> None:
        os.truncate(roots.ballast, 0)
        fill(roots)

    nothing()
    assert cli.ok("ps", "-a", "--format", "{{.Names}}").split() == ["big", "one"]
    assert cli.ok("exec", "one", "echo", "hi") == "hi"
    assert cli.ok("stop", "-t", "0", "one") == "one"
    assert not alive(process)
    assert cli.ok("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "one") == "exited 137"
    assert free(roots) == 0
    cli.ok("rm", "-f", "big")
    cli.ok("rm", "one")
    assert cli.ok("ps", "-aq") == ""
    assert cli.ok("run", "--rm", "--net", "none", busybox, "echo", "again") == "again"
