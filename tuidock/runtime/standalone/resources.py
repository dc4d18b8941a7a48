"""linux.resources of config.json to cgroup files: what every container of ours has goes by cgroups/, the rest is here.

runtime-spec, config-linux.md, "Control groups".  Zeros that engines written in Go leave in are no limits.
"""

from __future__ import annotations

import os

from tuidock.errors import RuntimeFailure, TuidockError
from tuidock.runtime.cgroups import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.runtime.cgroups import Cgroup

COMMON = {
    "memory": ("limit", "swap", "reservation", "swappiness"),
    "cpu": ("shares", "quota", "period", "cpus", "mems"),
    "pids": ("limit",),
}
"""What Cgroup.limit takes."""

DEVICES: tuple[dict[str, Any], ...] = (
    {"allow": True, "type": "c", "access": "m"}, {"allow": True, "type": "b", "access": "m"},
    *({"allow": True, "type": "c", "major": major, "minor": minor, "access": "rwm"} for major, minor in (
        (1, 3), (1, 5), (1, 7), (1, 8), (1, 9), (5, 0), (5, 2))),
    {"allow": True, "type": "c", "major": 136, "access": "rwm"},
)  # fmt: skip
"""Allowed whatever config.json says: making nodes, the default devices, terminals.  As runc's AllowedDevices."""

V1_FILES = {
    ("memory", "kernelTCP"): ("memory", "memory.kmem.tcp.limit_in_bytes"),
    ("cpu", "realtimePeriod"): ("cpu", "cpu.rt_period_us"),
    ("cpu", "realtimeRuntime"): ("cpu", "cpu.rt_runtime_us"),
    ("cpu", "burst"): ("cpu", "cpu.cfs_burst_us"),
    ("cpu", "idle"): ("cpu", "cpu.idle"),
    ("blockIO", "weight"): ("blkio", "blkio.weight"),
    ("blockIO", "leafWeight"): ("blkio", "blkio.leaf_weight"),
}
V2_FILES = {("cpu", "burst"): "cpu.max.burst", ("cpu", "idle"): "cpu.idle"}
THROTTLES = {
    "throttleReadBpsDevice": ("blkio.throttle.read_bps_device", "rbps"),
    "throttleWriteBpsDevice": ("blkio.throttle.write_bps_device", "wbps"),
    "throttleReadIOPSDevice": ("blkio.throttle.read_iops_device", "riops"),
    "throttleWriteIOPSDevice": ("blkio.throttle.write_iops_device", "wiops"),
}
OBSOLETE = ("kernel", "useHierarchy", "checkBeforeUpdate")
"""Of `memory`: the kernel has given them up, or they are no limits."""


def common(resources: Mapping[str, Any], *, devices: bool) -> dict[str, Any]:
    """The part of resources that Cgroup.limit takes.  Pure.  devices: also the device rules; an update has none."""
    found: dict[str, Any] = {}
    for group, keys in COMMON.items():
        values = {key: value for key in keys if (value := (resources.get(group) or {}).get(key)) not in (None, "")}
        for key in ("shares", "period", "quota", "limit", "swap", "reservation"):
            if values.get(key) == 0:
                del values[key]
        if values:
            found[group] = values
    if devices:
        found["devices"] = [{"allow": False, "access": "rwm"}, *(resources.get("devices") or ()), *DEVICES]
    return found


def further(cgroup: Cgroup, resources: Mapping[str, Any]) -> None:
    """Write the rest.  Raises TuidockError with file and value, or with the key that this machine has nothing for."""
    if cgroup.hierarchy.version == 2:
        _further_v2(cgroup, resources)
    else:
        _further_v1(cgroup, resources)


def _rest(resources: Mapping[str, Any]) -> list[tuple[str, str, Any]]:
    """(group, key, value) of what `common` leaves."""
    return [
        (group, key, value)
        for group in ("memory", "cpu", "blockIO", "network")
        for key, value in (resources.get(group) or {}).items()
        if value not in (None, 0, "", [], False) and key not in (COMMON.get(group) or ()) and key not in OBSOLETE
    ]


def _further_v1(cgroup: Cgroup, resources: Mapping[str, Any]) -> None:
    trees = cgroup.hierarchy.trees

    def write(controller: str, name: str, value: str) -> None:
        if controller not in trees:
            raise TuidockError(f"cgroup controller {controller} is not there", "leave the limits out that need it")
        files.write(f"{trees[controller][0]}/{cgroup.path}/{name}", value)

    for group, key, value in _rest(resources):
        if (group, key) in V1_FILES:
            controller, name = V1_FILES[group, key]
            path = f"{trees['blkio'][0]}/{cgroup.path}" if controller == "blkio" and "blkio" in trees else ""
            if name == "blkio.weight" and path and not os.path.exists(f"{path}/{name}"):
                name = "blkio.bfq.weight"
            write(controller, name, str(int(value)))
        elif (group, key) == ("memory", "disableOOMKiller"):
            write("memory", "memory.oom_control", "1")
        elif key in THROTTLES:
            for device in value:
                write("blkio", THROTTLES[key][0], f"{device['major']}:{device['minor']} {device['rate']}")
        elif key == "weightDevice":
            for device in value:
                name = "blkio.weight_device"
                if not os.path.exists(f"{trees['blkio'][0]}/{cgroup.path}/{name}"):
                    name = "blkio.bfq.weight_device"
                write("blkio", name, f"{device['major']}:{device['minor']} {device['weight']}")
        else:
            raise TuidockError(f"cgroup v1 has no file for {group}.{key}", "leave it out of linux.resources")
    _none_of(resources, "hugepageLimits", "rdma", "unified")


def _further_v2(cgroup: Cgroup, resources: Mapping[str, Any]) -> None:
    folder = f"{cgroup.hierarchy.unified[0]}/{cgroup.path}"
    for group, key, value in _rest(resources):
        if (group, key) in V2_FILES:
            files.write(f"{folder}/{V2_FILES[group, key]}", str(value))
        elif (group, key) == ("blockIO", "weight"):
            if os.path.exists(f"{folder}/io.bfq.weight"):
                files.write(f"{folder}/io.bfq.weight", str(value))
            else:
                files.write(f"{folder}/io.weight", str(1 + (value - 10) * 9999 // 990))
        elif key in THROTTLES:
            for device in value:
                words = f"{device['major']}:{device['minor']} {THROTTLES[key][1]}={device['rate'] or 'max'}"
                files.write(f"{folder}/io.max", words)
        elif key == "weightDevice":
            for device in value:
                files.write(f"{folder}/io.bfq.weight", f"{device['major']}:{device['minor']} {device['weight']}")
        else:
            raise TuidockError(f"cgroup v2 has no file for {group}.{key}", "leave it out of linux.resources")
    for limit in resources.get("hugepageLimits") or ():
        files.write(f"{folder}/hugetlb.{limit['pageSize']}.max", str(limit["limit"]))
    for name, limits in (resources.get("rdma") or {}).items():
        limits_ = [f"{key}={limits[field]}" for field, key in (("hcaHandles", "hca_handle"), ("hcaObjects", "hca_object"))
                 if limits.get(field) is not None]  # fmt: skip
        files.write(f"{folder}/rdma.max", " ".join((name, *limits_)))
    for name, value in (resources.get("unified") or {}).items():
        if "/" in name or "." not in name:
            raise RuntimeFailure(f"unified: {name} is no name of a file of the cgroup")
        for line in str(value).splitlines():
            files.write(f"{folder}/{name}", line)


def _none_of(resources: Mapping[str, Any], *names: str) -> None:
    for name in names:
        if resources.get(name):
            raise TuidockError(f"cgroup v1: linux.resources.{name} has no place in a container's cgroups here", "leave it out")
