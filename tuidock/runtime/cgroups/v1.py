"""Control groups v1: a hierarchy for each controller, or for some together, beside each other.

kernel: admin-guide/cgroup-v1.
"""

from __future__ import annotations

import os
import time

from tuidock.errors import TuidockError
from tuidock.runtime.cgroups import Cgroup, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

LIMITS = {
    ("memory", "reservation"): ("memory", "memory.soft_limit_in_bytes"),
    ("memory", "swappiness"): ("memory", "memory.swappiness"),
    ("cpu", "shares"): ("cpu", "cpu.shares"),
    ("cpu", "period"): ("cpu", "cpu.cfs_period_us"),
    ("cpu", "quota"): ("cpu", "cpu.cfs_quota_us"),
    ("cpu", "cpus"): ("cpuset", "cpuset.cpus"),
    ("cpu", "mems"): ("cpuset", "cpuset.mems"),
}
"""runtime-spec's (group, key) to (controller, file); memory limit and swap, pids and devices have rules of their own."""


class CgroupV1(Cgroup):
    """Directories of one name in every hierarchy."""

    def folder(self, controller: str) -> str:
        """Its directory in the hierarchy of a controller.  Raises TuidockError if that is not mounted."""
        if controller not in self.hierarchy.trees:
            raise TuidockError(f"cgroup controller {controller} is not there", "leave the limits out that need it")
        return f"{self.hierarchy.trees[controller][0]}/{self.path}"

    def folders(self) -> list[str]:
        """One for each hierarchy."""
        points = dict.fromkeys(point for point, _ in self.hierarchy.trees.values())
        return [f"{point}/{self.path}" for point in points]

    def make(self) -> None:
        for folder in self.folders():
            files.make(folder)
        if "cpuset" in self.hierarchy.trees:
            self._inherit_cpuset()

    def _inherit_cpuset(self) -> None:
        """A new cpuset is empty and takes no process until it has what its parent has, from the top down."""
        folder = self.hierarchy.trees["cpuset"][0]
        for part in self.path.split("/"):
            above, folder = folder, f"{folder}/{part}"
            for name in ("cpuset.cpus", "cpuset.mems"):
                if not files.read(f"{folder}/{name}"):
                    files.write(f"{folder}/{name}", files.read(f"{above}/{name}"))

    def limit(self, resources: Mapping[str, Any]) -> None:
        for group, values in resources.items():
            if group == "devices":
                self._devices(values)
            elif group == "memory":
                self._memory(values)
            elif group == "pids":
                limit = values["limit"]
                files.write(f"{self.folder('pids')}/pids.max", str(limit) if limit > 0 else "max")
            for key, value in values.items() if isinstance(values, dict) else ():
                if (group, key) in LIMITS:
                    controller, name = LIMITS[group, key]
                    files.write(f"{self.folder(controller)}/{name}", str(value))
                elif (group, key) not in (("memory", "limit"), ("memory", "swap"), ("pids", "limit")):
                    raise TuidockError(f"cgroup v1 has no file for {group}.{key}", "leave it out of linux.resources")

    def _memory(self, values: Mapping[str, Any]) -> None:
        """memory+swap can never be below memory, so of two new values the one that keeps that goes first."""
        folder = self.folder("memory")
        limit, swap = values.get("limit"), values.get("swap")
        plain, both = f"{folder}/memory.limit_in_bytes", f"{folder}/memory.memsw.limit_in_bytes"
        if limit is not None:
            files.write(plain, str(limit))
        if swap is not None and os.path.exists(both):  # absent where the kernel does not count swap
            files.write(both, str(swap))

    def _devices(self, rules: list[dict[str, Any]]) -> None:
        folder = self.folder("devices")
        for rule in rules:
            major, minor = rule.get("major"), rule.get("minor")
            numbers = f"{'*' if major is None else major}:{'*' if minor is None else minor}"
            kind = rule.get("type", "a")
            line = "a" if kind == "a" else f"{kind} {numbers} {rule.get('access', 'rwm')}"
            files.write(f"{folder}/devices.{'allow' if rule['allow'] else 'deny'}", line)

    def exists(self) -> bool:
        return any(os.path.isdir(folder) for folder in self.folders())

    def descriptor(self) -> int:
        return -1

    def enter(self, pid: int) -> None:
        for folder in self.folders():
            files.write(f"{folder}/cgroup.procs", str(pid))

    def pids(self) -> list[int]:
        return files.pids(self.folder("pids" if "pids" in self.hierarchy.trees else "memory"))

    def kill(self) -> None:
        deadline = time.monotonic() + files.PATIENCE
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            if time.monotonic() > deadline:
                raise TuidockError(f"processes {pids} do not end", "dmesg may say why")
            time.sleep(0.002)

    def freeze(self) -> None:
        self._freezer("FROZEN")

    def thaw(self) -> None:
        self._freezer("THAWED")

    def _freezer(self, state: str) -> None:
        path = f"{self.folder('freezer')}/freezer.state"
        files.write(path, state)
        deadline = time.monotonic() + files.PATIENCE
        while files.read(path) != state:  # FREEZING, until the last process has stopped
            if time.monotonic() > deadline:
                raise TuidockError(f"{path} does not become {state}")
            files.write(path, state)
            time.sleep(0.001)

    def read(self) -> dict[str, int]:
        trees = self.hierarchy.trees
        memory, found = self.folder("memory"), dict.fromkeys(("cpu_ns", "pids", "pids_limit", "read_bytes", "write_bytes"), 0)
        used = files.number(f"{memory}/memory.usage_in_bytes")
        cache = files.keyed(f"{memory}/memory.stat").get("total_inactive_file", 0)
        if "cpuacct" in trees:
            found["cpu_ns"] = files.number(f"{self.folder('cpuacct')}/cpuacct.usage")
        if "pids" in trees:
            found["pids"] = files.number(f"{self.folder('pids')}/pids.current")
            found["pids_limit"] = files.number(f"{self.folder('pids')}/pids.max")
        if "blkio" in trees:
            for line in files.read(f"{self.folder('blkio')}/blkio.throttle.io_service_bytes").splitlines():
                words = line.split()
                if len(words) == 3 and words[1] in ("Read", "Write"):
                    found[f"{words[1].lower()}_bytes"] += int(words[2])
        limit = files.number(f"{memory}/memory.limit_in_bytes")
        return {**found, "memory": max(0, used - cache), "memory_limit": 0 if limit >= 1 << 60 else limit}

    def oom_kills(self) -> int:
        folder = self.folder("memory")
        return sum(files.keyed(f"{path}/memory.oom_control").get("oom_kill", 0) for path in files.below(folder))

    def remove(self) -> None:
        for folder in self.folders():
            files.remove(folder)
            files.remove_if_empty(os.path.dirname(folder))
