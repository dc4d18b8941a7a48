"""The engines that are measured, each on state of its own that is thrown away afterwards."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.dockerd import dockerd, installed
from tests.machine import cgroups_named, eventually, mounts_below, parent, processes_of, sweep
from tuidock.storage.paths import Roots

IMAGE = "busybox"


class Engine:
    """One way to run a container.  `words` begin every command line."""

    name = ""

    def __init__(self, words: list[str]) -> None:
        self.words = words

    def command(self, *words: str) -> list[str]:
        return [*self.words, *words]

    def ok(self, *words: str, stdin: Path | None = None) -> str:
        """Run a command to its end and return its output.  Raises CalledProcessError."""
        with open(stdin or os.devnull, "rb") as file:
            done = subprocess.run(self.command(*words), stdin=file, capture_output=True, text=True, timeout=120)
        if done.returncode:
            sys.stderr.write(done.stderr)
        done.check_returncode()
        return done.stdout.strip()

    def beside(self, container: str) -> list[int]:
        """Pids of what stays beside a running container for as long as it runs, dockerd and containerd not counted."""
        pid = int(self.ok("inspect", "--format", "{{.State.Pid}}", container))
        return [parent(pid)]


class Tuidock(Engine):
    name = "tuidock"

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        script = Path(sys.executable).parent / "tuidock"
        program = [str(script)] if script.exists() else [sys.executable, "-m", "tuidock"]
        super().__init__([*program, "--root", roots.data, "--run-root", roots.run])


class Docker(Engine):
    name = "docker"


class Podman(Engine):
    name = "podman"

    def command(self, *words: str) -> list[str]:
        """It raises limits further than a machine without CAP_SYS_RESOURCE allows, unless it is given some."""
        limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"] if words[0] == "run" else []
        return [*self.words, *words[:1], *limits, *words[1:]]

    def beside(self, container: str) -> list[int]:
        return [int(self.ok("inspect", "--format", "{{.State.ConmonPid}}", container))]


@contextmanager
def tuidock(folder: Path) -> Iterator[Tuidock]:
    roots = Roots(str(folder / "root"), str(folder / "run"))
    roots.make()
    engine = Tuidock(roots)
    try:
        yield engine
        if names := os.listdir(roots.containers):
            engine.ok("rm", "--force", *names)
        eventually(lambda: not processes_of(roots) and not cgroups_named(roots.cgroup))
    finally:
        sweep(roots)


@contextmanager
def docker(folder: Path) -> Iterator[Docker]:
    """A dockerd of our own; a running one is left alone."""
    with dockerd(folder) as words:
        engine = Docker(words)
        yield engine
        if names := engine.ok("ps", "-aq").split():
            engine.ok("rm", "--force", *names)


@contextmanager
def podman(folder: Path) -> Iterator[Podman]:
    """Podman with storage of its own.  Debian's refuses crun on a hybrid cgroup hierarchy, so runc where there is one."""
    words = ["podman", "--root", f"{folder}/root", "--runroot", f"{folder}/run", "--cgroup-manager", "cgroupfs"]
    words += ["--events-backend", "file", *(["--runtime", "runc"] if shutil.which("runc") else [])]
    engine = Podman(words)
    try:
        yield engine
        engine.ok("rm", "--all", "--force", "--time", "0")
    finally:
        mark = str(folder)  # what podman left running to clean up would mount its storage again
        eventually(lambda: subprocess.run(["pgrep", "-f", mark], stdout=subprocess.DEVNULL).returncode)
        for point in reversed(mounts_below(str(folder))):
            subprocess.run(["umount", "-l", point], check=False)


INSTALLED = {
    "tuidock": (tuidock, True),
    "docker": (docker, installed()),
    "podman": (podman, bool(shutil.which("podman"))),
}
"""Name to its context manager, and whether it is on this machine."""


@contextmanager
def engine(name: str, below: str, busybox_tar: Path) -> Iterator[Engine]:
    """An engine that has the image, in a folder below `below` that goes with it."""
    folder = Path(tempfile.mkdtemp(prefix=f"tuidock-bench-{name}-", dir=below))
    try:
        make, _ = INSTALLED[name]
        with make(folder) as running:
            running.ok("import", "-", IMAGE, stdin=busybox_tar)
            yield running
    finally:
        shutil.rmtree(folder, ignore_errors=True)
