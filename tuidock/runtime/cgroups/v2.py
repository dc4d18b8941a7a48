"""Control groups v2: one tree for all controllers.  kernel: admin-guide/cgroup-v2."""

from __future__ import annotations

import os
import time

from tuidock.errors import TuidockError
from tuidock.runtime.cgroups import Cgroup, files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

WANTED = ("cpuset", "cpu", "io", "memory", "pids")


class CgroupV2(Cgroup):
    """One directory."""

    _held = -1

    @property
    def folder(self) -> str:
        return f"{self.hierarchy.unified[0]}/{self.path}"

    def make(self) -> None:
        """A controller works where it is switched on in every directory above, from the top down."""
        files.make(self.folder)
        folder = self.hierarchy.unified[0]
        for part in self.path.split("/"):
            there = files.read(f"{folder}/cgroup.controllers").split()
            on = files.read(f"{folder}/cgroup.subtree_control").split()
            missing = [name for name in WANTED if name in there and name not in on]
            for name in missing:
                try:
                    files.write(f"{folder}/cgroup.subtree_control", f"+{name}")
                except TuidockError:
                    # real-time processes keep cpu from being switched on, and a part of another's tree may be closed:
                    # what needs the controller says so when its file is missing
                    continue
            folder = f"{folder}/{part}"

    def limit(self, resources: Mapping[str, Any]) -> None:
        for group, values in resources.items():
            if group == "devices":
                from tuidock.runtime.cgroups import devices

                devices.attach(self.folder, values)
                continue
            for name, value in unified(group, values).items():
                path = f"{self.folder}/{name}"
                if name == "memory.swap.max" and not os.path.exists(path):
                    continue  # the kernel does not count swap
                files.write(path, value)

    def exists(self) -> bool:
        return os.path.isdir(self.folder)

    def descriptor(self) -> int:
        if self._held < 0:
            self._held = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._held

    def enter(self, pid: int) -> None:
        """It was born in it."""

    def pids(self) -> list[int]:
        return files.pids(self.folder)

    def kill(self) -> None:
        deadline = time.monotonic() + files.PATIENCE
        while pids := self.pids():
            if os.path.exists(f"{self.folder}/cgroup.kill"):  # Linux 5.14
                files.write(f"{self.folder}/cgroup.kill", "1")
            else:
                for pid in pids:
                    try:
                        os.kill(pid, 9)
                    except ProcessLookupError:
                        pass
            if time.monotonic() > deadline:
                raise TuidockError(f"processes {pids} do not end", "dmesg may say why")
            time.sleep(0.002)

    def freeze(self) -> None:
        self._freeze("1")

    def thaw(self) -> None:
        self._freeze("0")

    def _freeze(self, state: str) -> None:
        files.write(f"{self.folder}/cgroup.freeze", state)
        deadline = time.monotonic() + files.PATIENCE
        while files.keyed(f"{self.folder}/cgroup.events").get("frozen") != int(state):
            if time.monotonic() > deadline:
                raise TuidockError(f"{self.folder} does not freeze or thaw")
            time.sleep(0.001)

    def read(self) -> dict[str, int]:
        folder = self.folder
        used = files.number(f"{folder}/memory.current")
        cache = files.keyed(f"{folder}/memory.stat").get("inactive_file", 0)
        moved = {"rbytes": 0, "wbytes": 0}
        for line in files.read(f"{folder}/io.stat").splitlines():
            for word in line.split()[1:]:
                key, _, value = word.partition("=")
                if key in moved:
                    moved[key] += int(value)
        return {
            "cpu_ns": files.keyed(f"{folder}/cpu.stat").get("usage_usec", 0) * 1000,
            "memory": max(0, used - cache),
            "memory_limit": files.number(f"{folder}/memory.max"),
            "pids": files.number(f"{folder}/pids.current"),
            "pids_limit": files.number(f"{folder}/pids.max"),
            "read_bytes": moved["rbytes"],
            "write_bytes": moved["wbytes"],
        }

    def oom_kills(self) -> int:
        return files.keyed(f"{self.folder}/memory.events").get("oom_kill", 0)

    def remove(self) -> None:
        if self._held >= 0:
            os.close(self._held)
            self._held = -1
        files.remove(self.folder)
        files.remove_if_empty(os.path.dirname(self.folder))


def unified(group: str, values: Mapping[str, Any]) -> dict[str, str]:
    """A group of runtime-spec's `linux.resources` to v2's files.  Pure.

    Swap of v2 is swap alone; the specification's is memory and swap together, as v1 had it (crun: cgroup-v2.md).
    Raises TuidockError for a key that v2 has nothing for.
    """
    found: dict[str, str] = {}
    for key, value in values.items():
        name = f"{group}.{key}"
        if name == "memory.limit":
            found["memory.max"] = "max" if value < 0 else str(value)
        elif name == "memory.swap":
            limit = values.get("limit", 0)
            found["memory.swap.max"] = "max" if value < 0 else str(max(0, value - limit))
        elif name == "memory.reservation":
            found["memory.low"] = str(value)
        elif name == "cpu.quota":
            found["cpu.max"] = f"{'max' if value <= 0 else value} {values.get('period', 100_000)}"
        elif name == "cpu.period":
            found.setdefault("cpu.max", f"max {value}")
        elif name == "cpu.shares":
            found["cpu.weight"] = str(weight(value))
        elif name in ("cpu.cpus", "cpu.mems"):
            found[f"cpuset.{key}"] = str(value)
        elif name == "pids.limit":
            found["pids.max"] = "max" if value <= 0 else str(value)
        else:
            raise TuidockError(f"cgroup v2 has no file for {name}", "leave it out of linux.resources")
    return found


def weight(shares: int) -> int:
    """v1's cpu.shares (2 to 262144) to v2's cpu.weight (1 to 10000), so that 1024 is 100.

    The newer formula of runc 1.3 and crun 1.23, quadratic in the logarithm; the older linear one gave 39 for 1024.
    """
    from math import ceil, log2

    if shares <= 2:
        return 1
    if shares >= 262144:
        return 10000
    exponent = log2(shares)
    return ceil(10 ** ((exponent * exponent + 125 * exponent) / 612.0 - 7.0 / 34.0))
