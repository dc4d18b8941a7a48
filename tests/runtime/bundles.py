"""Bundles for tests of the OCI runtime, and the runtime itself as another engine starts it: a path and words."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.machine import REPOSITORY, Result, cgroups_named

PROGRAM = [sys.executable, "-c", "from tuidock.cli.oci import command; command()"]
MARK = "tuidock-oci-test"


def script(folder: Path) -> Path:
    """The runtime as an executable file, for engines that want a path."""
    path = folder / "runtime"
    path.write_text(f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(REPOSITORY)!r})\n"
                    "from tuidock.cli.oci import command\ncommand()\n")  # fmt: skip
    path.chmod(0o755)
    return path


class Oci:
    """The command, on a --root of its own."""

    def __init__(self, folder: Path, rootfs: Path) -> None:
        self.folder = folder
        self.rootfs = rootfs
        self.root = folder / "state"
        self.words = [*PROGRAM, "--root", str(self.root)]

    def __call__(self, *words: str, input: str = "", timeout: float = 60, **more: Any) -> Result:
        done = subprocess.run(
            [*self.words, *words], input=input.encode(), capture_output=True, timeout=timeout, cwd=REPOSITORY, **more
        )
        return Result(done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace"))

    def ok(self, *words: str, **more: Any) -> str:
        result = self(*words, **more)
        assert result.status == 0, f"{words}: status {result.status}\n{result.out}{result.err}"
        return result.out.rstrip("\n")

    def state(self, identifier: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.ok("state", identifier))
        return found

    def bundle(self, *command: str, **changes: Any) -> Bundle:
        """A bundle that runs a command of busybox.  changes: of `process` and `linux` by their keys, of the rest as a whole."""
        return Bundle(self, list(command), changes)

    def run(self, *command: str, **changes: Any) -> Result:
        """`run` in the foreground."""
        bundle = self.bundle(*command, **changes)
        return self("run", "--bundle", str(bundle.folder), bundle.identifier)

    def said(self, *command: str, **changes: Any) -> str:
        """What a command prints in a container, when nothing else is expected than success."""
        result = self.run(*command, **changes)
        assert result.status == 0, f"{command}: status {result.status}\n{result.out}{result.err}"
        return result.out.rstrip("\n")

    @contextmanager
    def created(self, *command: str, **changes: Any) -> Iterator[str]:
        """The id of a container that waits for `start`."""
        bundle = self.bundle(*command, **changes)
        self.detached("create", "--bundle", str(bundle.folder), bundle.identifier)
        yield bundle.identifier
        self("delete", "--force", bundle.identifier)

    @contextmanager
    def running(self, *command: str, **changes: Any) -> Iterator[str]:
        with self.created(*command, **changes) as identifier:
            self.ok("start", identifier)
            yield identifier

    def detached(self, *words: str) -> None:
        """What a container holds open must not be a pipe that the test waits for the end of."""
        with open(self.folder / "output", "ab") as file:
            done = subprocess.run([*self.words, *words], stdin=subprocess.DEVNULL, stdout=file, stderr=file, timeout=60)
        assert done.returncode == 0, (self.folder / "output").read_text()

    def clean(self) -> list[str]:
        """Remove all; what should not have been left."""
        for identifier in os.listdir(self.root) if self.root.exists() else ():
            self("delete", "--force", identifier)
        left = [str(path) for path in self.root.iterdir()] if self.root.exists() else []
        return left + cgroups_named(f"{MARK}-{self.folder.name}")


class Bundle:
    """A folder with config.json; the root is shared by all, and read-only."""

    count = 0

    def __init__(self, oci: Oci, command: list[str], changes: dict[str, Any]) -> None:
        Bundle.count += 1
        self.identifier = f"c{Bundle.count}"
        self.folder = oci.folder / self.identifier
        self.folder.mkdir()
        oci.ok("spec", "--bundle", str(self.folder))
        self.config = json.loads((self.folder / "config.json").read_text())
        self.config["root"] = {"path": str(oci.rootfs), "readonly": True}
        process, linux = self.config["process"], self.config["linux"]
        process |= {"args": command, "terminal": False}
        linux["cgroupsPath"] = f"/{MARK}-{oci.folder.name}/{self.identifier}"
        for name, value in changes.items():
            if name in LINUX:
                linux[name] = value
            elif name in PROCESS:
                process[name] = value
            else:
                self.config[name] = value
        self.write()

    def write(self) -> None:
        (self.folder / "config.json").write_text(json.dumps(self.config))


LINUX = (
    "namespaces", "uidMappings", "gidMappings", "devices", "cgroupsPath", "resources", "seccomp", "rootfsPropagation",
    "maskedPaths", "readonlyPaths", "sysctl", "personality", "timeOffsets", "intelRdt", "mountLabel",
)  # fmt: skip
PROCESS = (
    "terminal", "user", "env", "cwd", "capabilities", "rlimits", "noNewPrivileges", "oomScoreAdj", "scheduler", "ioPriority",
    "apparmorProfile", "selinuxLabel", "consoleSize",
)  # fmt: skip


def unpack(tar: Path, folder: Path) -> Path:
    rootfs = folder / "rootfs"
    rootfs.mkdir()
    with tarfile.open(tar) as archive:
        archive.extractall(rootfs, filter="tar")
    rootfs.chmod(0o755)
    (rootfs / "mnt").mkdir()
    return rootfs


def receive_terminal(listener: socket.socket) -> int:
    """The master that `create` or `exec` sends to --console-socket."""
    connection, _ = listener.accept()
    with connection:
        _, descriptors, _, _ = socket.recv_fds(connection, 64, 1)
    return descriptors[0]


def remove(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
