"""Control groups of v1, of v2 and of both at once, behind one face: create, enter, read, kill, remove.

A cgroup is named by its path below the hierarchy's own root (`tuidock/ID`); where that root is mounted, and which
controllers there are, says /proc/self/mountinfo.  Only the version in use is imported.
cgroups(7); kernel: admin-guide/cgroup-v1, admin-guide/cgroup-v2.
"""

from __future__ import annotations

import os

from tuidock.errors import Missing
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

V1_CONTROLLERS = ("cpuset", "cpu", "cpuacct", "memory", "devices", "freezer", "blkio", "pids")
"""Those that limit or count something for a container; the others (net_cls, perf_event …) stay as they are."""
DECIDING = {"cpu", "memory", "pids"}
"""Where these are says which version a machine uses: beside v2, somebody may have mounted a v1 hierarchy of his own."""


class Hierarchy(Value):
    """Where control groups are mounted."""

    version: int
    """1 where the deciding controllers are in v1 hierarchies (also hybrid), else 2"""
    trees: dict[str, tuple[str, str]]
    """v1: controller to (mount point of its hierarchy, our own path that is mounted there); empty on v2"""
    unified: tuple[str, str]
    """the v2 tree's mount point and the path that is mounted there; empty texts if there is none"""

    @property
    def controllers(self) -> dict[str, str]:
        """What a mount of type `cgroup` stands for: folder to v1 mount options; empty on v2 (rootfs.plan)."""
        if self.version == 2:
            return {}
        folders = {point.rpartition("/")[2] for point, _ in self.trees.values()}
        found = {folder: folder for folder in sorted(folders)}
        return {**found, "unified": ""} if self.unified[0] else found


def hierarchy() -> Hierarchy:
    """What is mounted here.  Raises Missing if nothing is."""
    with open("/proc/self/mountinfo") as file:
        return mounted(file)


def mounted(mountinfo: Iterable[str]) -> Hierarchy:
    """What the lines of /proc/PID/mountinfo say.  Pure."""
    trees: dict[str, tuple[str, str]] = {}
    unified = ("", "")
    for line in mountinfo:
        if " - cgroup" not in line:
            continue
        before, _, after = line.partition(" - ")
        fields, kind = before.split(), after.split()
        place = (fields[4], fields[3])
        if kind[0] == "cgroup2":
            unified = unified if unified[0] else place
            continue
        for word in kind[2].split(","):
            if word in V1_CONTROLLERS:
                trees.setdefault(word, place)
    if not trees and not unified[0]:
        raise Missing("no control groups are mounted", "mount -t cgroup2 none /sys/fs/cgroup")
    if unified[0] and not DECIDING & set(trees):
        return Hierarchy(2, {}, unified)
    return Hierarchy(1, trees, unified)


class Cgroup:
    """One control group.  The versions' classes do what this face says."""

    _held = -1

    def __init__(self, path: str, hierarchy: Hierarchy) -> None:
        self.path = path
        self.hierarchy = hierarchy

    def make(self) -> None:
        """Make its directories, and what is above them."""
        raise NotImplementedError

    def limit(self, resources: Mapping[str, Any]) -> None:
        """Write runtime-spec's `linux.resources` into its files.  Raises TuidockError with file and value."""
        raise NotImplementedError

    def exists(self) -> bool:
        raise NotImplementedError

    def descriptor(self) -> int:
        """A descriptor for clone3's CLONE_INTO_CGROUP: of its directory in the v2 tree; -1 if there is none."""
        if not self.hierarchy.unified[0]:
            return -1
        if self._held < 0:
            path = f"{self.hierarchy.unified[0]}/{self.path}"
            self._held = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._held

    def _let_go(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1

    def enter(self, pid: int) -> None:
        """Put a process under it that was born in its `descriptor`."""
        raise NotImplementedError

    def pids(self) -> list[int]:
        """Of all processes in it and below."""
        raise NotImplementedError

    def kill(self) -> None:
        """End every process in it and below, and wait until none is left."""
        raise NotImplementedError

    def freeze(self) -> None:
        raise NotImplementedError

    def thaw(self) -> None:
        raise NotImplementedError

    def frozen(self) -> bool:
        """Whether its processes stand still, or are about to."""
        raise NotImplementedError

    def read(self) -> dict[str, int]:
        """Counters: cpu_ns, memory, memory_limit, pids, pids_limit, read_bytes, write_bytes; 0 for no limit."""
        raise NotImplementedError

    def oom_kills(self) -> int:
        """How many of its processes the kernel killed because its memory was used up."""
        raise NotImplementedError

    def remove(self) -> None:
        """Remove it and what the container made below it; and the one above if nothing else is in that."""
        raise NotImplementedError


def _cgroup(path: str) -> Cgroup:
    found = hierarchy()
    if found.version == 1:
        from tuidock.runtime.cgroups.v1 import CgroupV1

        return CgroupV1(path, found)
    from tuidock.runtime.cgroups.v2 import CgroupV2

    return CgroupV2(path, found)


def create(path: str, resources: Mapping[str, Any]) -> Cgroup:
    """Make the cgroup `path` with the limits of runtime-spec's `linux.resources`.  Nothing is left if that fails."""
    cgroup = _cgroup(path)
    try:
        cgroup.make()
        cgroup.limit(resources)
    except BaseException:
        cgroup.remove()
        raise
    return cgroup


def existing(path: str) -> Cgroup | None:
    """The cgroup `path` if it is there."""
    cgroup = _cgroup(path)
    return cgroup if cgroup.exists() else None
