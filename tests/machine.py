"""What tests ask of the machine itself: the kernel's own view, never tuidock's.

What it answers:
inode(pid, "net")                    which namespace a process is in
leftovers(roots)                     what still names a root after everything in it was removed
Cli(roots)("run", "--rm", …)         the command as a user starts it, in a process of its own
platform("rootfs.sh", "busybox", …)  a script that gives what a test leans on: base images, a registry, VMs
"""

from __future__ import annotations

import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import pytest

from tuidock.network import firewall
from tuidock.storage.paths import Roots

REPOSITORY = Path(__file__).resolve().parent.parent
PLATFORM = Path(os.environ.get("TUIDOCK_PLATFORM") or REPOSITORY.parent / "shared" / "platform")
"""Scripts that make base images, a registry and VMs; where they are absent, tests that need them are skipped."""

NAMESPACES = ("mnt", "pid", "net", "ipc", "uts", "cgroup")


def inode(pid: int | str, kind: str) -> int:
    """The inode of a process's namespace: two processes are in the same one exactly if the inodes are equal.

    pid: of the host, or "self".  kind: "mnt", "pid", "net", "ipc", "uts", "cgroup", "user", "time".
    """
    return os.stat(f"/proc/{pid}/ns/{kind}").st_ino


def inodes(pid: int | str) -> dict[str, int]:
    """The six namespaces that a container has of its own, with their inodes."""
    return {kind: inode(pid, kind) for kind in NAMESPACES}


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def parent(pid: int) -> int:
    """The parent of a process: of a container's first one, its monitor."""
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def eventually(holds: Callable[[], object], seconds: float = 5.0) -> bool:
    """Whether `holds()` becomes true within some seconds."""
    until = time.monotonic() + seconds
    while not (held := holds()) and time.monotonic() < until:
        time.sleep(0.02)
    return bool(held)


# ------------------------------------------------------------------------------------------------ what is left behind


def mounts_below(*paths: str) -> list[str]:
    """Mount points of this mount namespace that lie below one of the paths."""
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4] for line in file]
    return [point for point in points if any(point == path or point.startswith(f"{path}/") for path in paths)]


def cgroups_named(name: str) -> list[str]:
    """Cgroup directories called `name`, in any hierarchy, with all that lies below them."""
    found = []
    with open("/proc/self/mountinfo") as file:
        trees = [line.split()[4] for line in file if " - cgroup" in line]
    for tree in trees:
        for folder, below, _files in os.walk(tree):
            if name in folder[len(tree) :].split("/"):
                found.append(folder)
            below[:] = [entry for entry in below if not os.path.ismount(f"{folder}/{entry}")]
    return found


def processes_of(roots: Roots) -> dict[int, str]:
    """Processes that belong to a root: its name is in their cgroup, their command line, their open files or their mounts.

    A monitor's command line does not name it, but its log and the overlay in its mount namespace do.
    """
    found = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        process = Path("/proc", entry)
        try:
            words = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
            cgroup = (process / "cgroup").read_text()
            files = [os.readlink(link) for link in (process / "fd").iterdir()]
            own_mounts = inode(entry, "mnt") != inode("self", "mnt")
            mounts = (process / "mountinfo").read_text() if own_mounts else ""
        except OSError:
            continue  # it ended meanwhile, or is not ours to look at
        named = any(path in text for path in (roots.data, roots.run) for text in (words, mounts, *files))
        if named or f"/{roots.cgroup}/" in cgroup:
            found[int(entry)] = words or (process / "comm").read_text().strip()
    return found


def cables_of(roots: Roots, *, bridges: bool = False) -> list[str]:
    """Links in this thread's network namespace that a root named: its containers' cables, and its networks' bridges."""
    prefixes = (f"v{roots.mark}", f"td{roots.mark}-" if bridges else f"v{roots.mark}")
    return [name for _, name in socket.if_nameindex() if name.startswith(prefixes)]


def leftovers(roots: Roots) -> list[str]:
    """A line for each thing that should be gone once every container of these roots is removed."""
    found = [f"mount {point}" for point in mounts_below(roots.data, roots.run)]
    found += [f"cgroup {path}" for path in cgroups_named(roots.cgroup)]
    found += [f"process {pid}: {words}" for pid, words in processes_of(roots).items()]
    found += [f"cable {name}" for name in cables_of(roots)]
    for folder in (roots.containers, f"{roots.run}/containers", roots.staging, roots.ingest, roots.trash):
        if os.path.isdir(folder):
            found += [f"directory {folder}/{entry}" for entry in os.listdir(folder)]
    return found


def sweep(roots: Roots) -> None:
    """Take by force what a failed test left, so that the machine is as it was: processes, mounts, cgroups, folders."""
    for pid in processes_of(roots):
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    eventually(lambda: not processes_of(roots))
    for point in reversed(mounts_below(roots.data, roots.run)):
        subprocess.run(["umount", "-l", point], check=False)
    for path in reversed(cgroups_named(roots.cgroup)):
        try:
            os.rmdir(path)
        except OSError:
            pass
    for name in cables_of(roots, bridges=True):
        subprocess.run(["ip", "link", "del", name], check=False, stderr=subprocess.DEVNULL)
    firewall.remove(roots)
    for folder in (roots.data, roots.run):
        shutil.rmtree(folder, ignore_errors=True)


# --------------------------------------------------------------------------------------------------------- the command


class Result(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def line(self) -> str:
        """The last line of the output: the id that `run -d`, `create` and `import` print."""
        return self.out.rstrip("\n").rpartition("\n")[2]


class Cli:
    """`tuidock` on throw-away roots, as a process of its own."""

    def __init__(self, roots: Roots, python: str = sys.executable) -> None:
        self.words = [python, "-m", "tuidock", "--root", roots.data, "--run-root", roots.run]

    def __call__(self, *words: str, input: str | bytes = b"", timeout: float = 60, **environment: str) -> Result:
        """Run it to its end; text that is no UTF-8 comes back with replacement characters."""
        finished = subprocess.run(
            [*self.words, *words],
            input=input.encode() if isinstance(input, str) else input,
            capture_output=True,
            timeout=timeout,
            cwd=REPOSITORY,
            env={**os.environ, **environment},
        )
        return Result(finished.returncode, finished.stdout.decode(errors="replace"), finished.stderr.decode(errors="replace"))

    def ok(self, *words: str, input: str | bytes = b"", timeout: float = 60) -> str:
        """Its output, when nothing else is expected than success."""
        result = self(*words, input=input, timeout=timeout)
        assert result.status == 0, f"tuidock {' '.join(words)}: status {result.status}\n{result.out}{result.err}"
        return result.out.rstrip("\n")

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        """Start it and leave it running, with pipes for all three streams."""
        return subprocess.Popen(
            [*self.words, *words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=REPOSITORY,
        )

    def pid(self, container: str) -> int:
        """The process of a running container, as the host sees it."""
        return int(self.ok("inspect", "--format", "{{ .State.Pid }}", container))


# --------------------------------------------------------------------------------------------------------- base images


def platform(script: str, *words: str, timeout: float = 600) -> str:
    """Run one of the scripts of PLATFORM and return what it printed; skips the test where there is none."""
    path = PLATFORM / script
    if not path.exists():
        pytest.skip(f"{script} is not here (TUIDOCK_PLATFORM names the folder that has it)")
    return subprocess.run([path, *words], check=True, stdout=subprocess.PIPE, timeout=timeout, text=True).stdout.strip()


def make_busybox(folder: Path) -> Path:
    """A rootfs tar with busybox and its links, from the machine's own static busybox."""
    if (PLATFORM / "rootfs.sh").exists():
        return Path(platform("rootfs.sh", "busybox", str(folder)).splitlines()[-1])
    binary = shutil.which("busybox")
    if not binary:
        pytest.skip("there is no busybox here (Debian: apt-get install busybox-static)")
    applets = subprocess.run([binary, "--list"], check=True, capture_output=True, text=True).stdout.split()
    target = folder / "busybox.tar"
    with tarfile.open(target, "w") as tar:
        for entry in _busybox_entries(applets):
            tar.addfile(entry)
        tar.add(os.path.realpath(binary), "bin/busybox")
        for name, text in (
            ("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
            ("etc/group", "root:x:0:\nnogroup:x:65534:\n"),
        ):
            entry = tarfile.TarInfo(name)
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
    return target


def _busybox_entries(applets: Sequence[str]) -> Iterator[tarfile.TarInfo]:
    for name in ("bin", "dev", "etc", "home", "proc", "root", "sys", "tmp", "usr", "var"):
        folder = tarfile.TarInfo(name)
        folder.type, folder.mode = tarfile.DIRTYPE, {"tmp": 0o1777, "root": 0o700}.get(name, 0o755)
        yield folder
    for applet in applets:
        if applet != "busybox":
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            yield link


def usable_for_overlay() -> str:
    """A folder for throw-away roots: an overlay's upper directory must not itself lie on an overlay.

    TUIDOCK_TEST_DIR if set; else the first of /tmp and /var/tmp whose filesystem will do; else "".
    """
    if chosen := os.environ.get("TUIDOCK_TEST_DIR"):
        return chosen
    with open("/proc/self/mountinfo") as file:
        points = {words[4]: words[words.index("-") + 1] for words in (line.split() for line in file)}
    for folder in ("/tmp", "/var/tmp"):
        point = os.path.realpath(folder)
        while point not in points and point != "/":
            point = os.path.dirname(point)
        if points.get(point) != "overlay":  # in a chroot, the root may be no mount
            return folder
    return ""
