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

    from tuidock.runtime.cgroups import Hierarchy

WANTED = ("cpuset", "cpu", "io", "memory", "pids")


class CgroupV2(Cgroup):
    """One directory."""

    def __init__(self, path: str, hierarchy: Hierarchy) -> None:
        super().__init__(path, hierarchy)
        self.closed: dict[str, TuidockError] = {}
        """Controllers that could not be switched on, and why."""

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
            if missing and _occupied(folder):
                # cpu and pids could be, but then it would be threaded, and no process could be put below it
                words = f"{folder} has processes of its own, so no controller can be switched on for what is below it"
                why = TuidockError(words, "move them into a cgroup below it, beside those of containers")
                self.closed.update(dict.fromkeys(missing, why))
                missing = []
            for name in missing:
                try:
                    files.write(f"{folder}/cgroup.subtree_control", f"+{name}")
                except TuidockError as error:
                    # real-time processes keep cpu from being switched on, and in a part of another's tree there may be
                    # processes: only a limit that needs the controller fails
                    self.closed.setdefault(name, error)
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
                controller = name.partition(".")[0]
                if controller in self.closed and not os.path.exists(path):
                    why = self.closed[controller]
                    raise TuidockError(f"cgroup controller {controller} cannot be used: {why.message}", why.hint) from why
                files.write(path, value)

    def exists(self) -> bool:
        return os.path.isdir(self.folder)

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

    def frozen(self) -> bool:
        return files.read(f"{self.folder}/cgroup.freeze") == "1"

    def _freeze(self, state: str) -> None:
        files.write(f"{self.folder}/cgroup.freeze", state)
        deadline = time.monotonic() + files.PATIENCE
        while files.keyed(f"{self.folder}/cgroup.events").get("frozen") != int(state):
            if time.monotonic() > deadline:
                if state == "1":
                    files.write(f"{self.folder}/cgroup.freeze", "0")  # half frozen is of no use to anybody
                raise TuidockError(
                    f"cgroup {self.folder} does not freeze" if state == "1" else f"cgroup {self.folder} does not thaw",
                    "dmesg may say which process does not stop",
                )
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
        self._let_go()
        files.remove(self.folder)
        files.remove_if_empty(os.path.dirname(self.folder))


def _occupied(folder: str) -> bool:
    """Whether processes lie in a cgroup itself, which only that of the machine's root (it has no type) may have besides
    controllers for those below: "no internal processes".  As in a container, whose root is not that root.
    """
    return os.path.exists(f"{folder}/cgroup.type") and bool(files.read(f"{folder}/cgroup.procs"))


def unified(group: str, values: Mapping[str, Any]) -> dict[str, str]:
    """A group of runtime-spec's `linux.resources` to v2's files.  Pure.

    Swap of v2 is swap alone; the specification's is memory and swap together, as v1 had it (crun: cgroup-v2.md).
    Raises TuidockError for a key that v2 has nothing for.
    """
    found: dict[str, str] = {}
    if not hasattr(values, "items"):
        raise TuidockError(f"cgroup v2 has no file for {group}", "leave it out of linux.resources")
    for key, value in values.items():
        name = f"{group}.{key}"
        if name == "memory.limit":
            found["memory.max"] = "max" if value < 0 else str(value)
        elif name == "memory.swap":
            limit = values.get("limit") or -1
            if 0 <= value < limit or limit < 0 <= value:
                raise TuidockError(
                    f"memory and swap together, {value}, with a memory limit of {limit}: swap alone would be less than none",
                    "linux.resources.memory.swap counts both and needs a limit that is not above it",
                )
            found["memory.swap.max"] = "max" if value < 0 else str(value - limit)
        elif name == "memory.reservation":
            found["memory.low"] = "max" if value < 0 else str(value)
        elif name == "cpu.quota":
            found["cpu.max"] = f"{'max' if value <= 0 else value} {values.get('period', 100_000)}"
        elif name == "cpu.period":
            found.setdefault("cpu.max", f"max {value}")
        elif name == "cpu.shares":
            if value:  # 0 leaves it as it is
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
