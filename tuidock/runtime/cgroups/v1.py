"""Control groups v1: a hierarchy for each controller, or for some together, beside each other.

Where there is a v2 tree too (a hybrid), a container has a cgroup of its own in that as well, though no controller works
there: the root of a cgroup namespace is the cgroup that a process is in, so else it would see the host's tree.
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
        """One for each hierarchy, the v2 tree's last."""
        points = dict.fromkeys(point for point, _ in (*self.hierarchy.trees.values(), self.hierarchy.unified) if point)
        return [f"{point}/{self.path}" for point in points]

    def _counted(self) -> str:
        """Its directory in a hierarchy that can be asked for processes."""
        return next(
            self.folder(name) for name in ("pids", "memory", "cpu", *self.hierarchy.trees) if name in self.hierarchy.trees
        )

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
                continue
            if not isinstance(values, dict):
                raise TuidockError(f"cgroup v1 has no file for {group}", "leave it out of linux.resources")
            if group == "memory":
                self._memory(values)
            elif group == "pids":
                limit = values["limit"]
                files.write(f"{self.folder('pids')}/pids.max", str(limit) if limit > 0 else "max")
            for key, value in values.items():
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
        counted = os.path.exists(both)  # absent where the kernel does not count swap
        if limit is not None and limit < 0 and swap is None:
            swap = -1
        changes = [(path, value) for path, value in ((plain, limit), (both, swap)) if value is not None]
        room = files.number(both) or 1 << 63  # what is in force; "no limit" is the most there is
        if swap is not None and (swap < 0 or swap > room):
            changes.reverse()
        for path, value in changes:
            if path == plain or counted:
                files.write(path, str(value))

    def _devices(self, rules: list[dict[str, Any]]) -> None:
        folder = self.folder("devices")
        for rule in rules:
            numbers = ["*" if rule.get(name) is None or rule[name] < 0 else str(rule[name]) for name in ("major", "minor")]
            access, kind = rule.get("access") or "rwm", rule.get("type", "a")
            lines = [f"{kind} {':'.join(numbers)} {access}"]
            if kind == "a":  # to the kernel that is everything, whatever comes behind it
                everything = numbers == ["*", "*"] and set(access) == set("rwm")
                lines = ["a"] if everything else [f"{one} {':'.join(numbers)} {access}" for one in "bc"]
            for line in lines:
                files.write(f"{folder}/devices.{'allow' if rule['allow'] else 'deny'}", line)

    def exists(self) -> bool:
        return any(os.path.isdir(folder) for folder in self.folders())

    def enter(self, pid: int) -> None:
        born_in = f"{self.hierarchy.unified[0]}/{self.path}"
        for folder in self.folders():
            if folder != born_in:
                files.write(f"{folder}/cgroup.procs", str(pid))

    def pids(self) -> list[int]:
        return files.pids(self._counted())

    def kill(self) -> None:
        deadline = time.monotonic() + files.PATIENCE
        while pids := self.pids():
            for pid in pids:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    pass
            if "freezer" in self.hierarchy.trees:
                files.thaw(self.folder("freezer"))  # a frozen process does not end before it is thawed
            if time.monotonic() > deadline:
                raise TuidockError(f"processes {pids} do not end", "dmesg may say why")
            time.sleep(0.002)

    def freeze(self) -> None:
        self._freezer("FROZEN")

    def thaw(self) -> None:
        self._freezer("THAWED")

    def frozen(self) -> bool:
        return files.read(f"{self.folder('freezer')}/freezer.state") != "THAWED" if "freezer" in self.hierarchy.trees else False

    def _freezer(self, state: str) -> None:
        path = f"{self.folder('freezer')}/freezer.state"
        files.write(path, state)
        deadline = time.monotonic() + files.PATIENCE
        while files.read(path) != state:  # FREEZING, until the last process has stopped
            if time.monotonic() > deadline:
                files.thaw(os.path.dirname(path))  # half frozen is of no use to anybody
                raise TuidockError(f"cgroup: {path} does not become {state}", "dmesg may say which process does not stop")
            files.write(path, state)
            time.sleep(0.001)

    def read(self) -> dict[str, int]:
        trees = self.hierarchy.trees
        names = ("cpu_ns", "memory", "memory_limit", "pids", "pids_limit", "read_bytes", "write_bytes")
        found = dict.fromkeys(names, 0)
        if "memory" in trees:
            memory = self.folder("memory")
            cache = files.keyed(f"{memory}/memory.stat").get("total_inactive_file", 0)
            found["memory"] = max(0, files.number(f"{memory}/memory.usage_in_bytes") - cache)
            found["memory_limit"] = files.number(f"{memory}/memory.limit_in_bytes")
        if "cpuacct" in trees:
            found["cpu_ns"] = files.number(f"{self.folder('cpuacct')}/cpuacct.usage")
        if "pids" in trees:
            found["pids"] = files.number(f"{self.folder('pids')}/pids.current")
            found["pids_limit"] = files.number(f"{self.folder('pids')}/pids.max")
        if "blkio" in trees:
            for line in files.read(f"{self.folder('blkio')}/blkio.throttle.io_service_bytes_recursive").splitlines():
                words = line.split()
                if len(words) == 3 and words[1] in ("Read", "Write"):
                    found[f"{words[1].lower()}_bytes"] += int(words[2])
        return found

    def oom_kills(self) -> int:
        """v1 counts them where the process was, so those below are added."""
        if "memory" not in self.hierarchy.trees:
            return 0
        folder = self.folder("memory")
        return sum(files.keyed(f"{path}/memory.oom_control").get("oom_kill", 0) for path in files.below(folder))

    def remove(self) -> None:
        self._let_go()
        failed = None
        for folder in self.folders():
            try:
                files.remove(folder)
            except TuidockError as error:
                failed = failed or error
            files.remove_if_empty(os.path.dirname(folder))
        if failed is not None:
            raise failed
