"""What `docker inspect` says of a container.  moby api/types/container."""

from __future__ import annotations

import time

from tuidock.engine import health, logdriver, restarts
from tuidock.engine.spec import MASKED, READ_ONLY
from tuidock.runtime import namespaces

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tuidock.engine.reconcile import Container
    from tuidock.storage.paths import Roots

NEVER = "0001-01-01T00:00:00Z"


def rfc3339(nanoseconds: int) -> str:
    """2026-11-23T20:38:08.123456789Z; Go's zero time for 0."""
    if not nanoseconds:
        return NEVER
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}".rstrip("0").rstrip(".") + "Z"


def inspect(container: Container, roots: Roots) -> dict[str, Any]:
    """Docker's object, with `Namespaces` (kind to inode) and `Layers` as what only tuidock has."""
    paths = roots.container(container.id)
    config = container.config["Config"]
    command = container.command
    return {
        "Id": container.id,
        "Created": rfc3339(container.created_at),
        "Path": command[0],
        "Args": command[1:],
        "State": state(container, roots),
        "Image": container.image_id,
        "ResolvConfPath": f"{paths.init}/etc/resolv.conf",
        "HostnamePath": f"{paths.init}/etc/hostname",
        "HostsPath": f"{paths.init}/etc/hosts",
        "LogPath": paths.log,
        "Name": f"/{container.name}",
        "RestartCount": container.restart_count,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": None,
        "HostConfig": _host_config(container),
        "GraphDriver": {
            "Name": "overlay",
            "Data": {
                "LowerDir": ":".join((paths.init, *(roots.layer(chain_id) for chain_id in reversed(container.chain_ids)))),
                "MergedDir": paths.rootfs,
                "UpperDir": paths.rw,
                "WorkDir": paths.work,
            },
        },
        "Mounts": [_mount(mount) for mount in container.config["Mounts"] if mount["kind"] != "tmpfs"],
        "Config": config,
        "NetworkSettings": {
            "SandboxKey": f"/proc/{container.pid}/ns/net" if container.pid else "",
            "Ports": _ports(container),
            "Networks": {},
        },
        "Namespaces": namespaces.inodes(container.pid) if container.running else {},
        "Layers": {"Image": list(container.chain_ids), "Init": paths.init, "ReadWrite": paths.rw},
    }


def state(container: Container, roots: Roots) -> dict[str, Any]:
    """Docker's `State`."""
    checked = health.found(container, roots)
    return {
        "Status": {"starting": "created"}.get(container.status, container.status),
        "Running": container.running or container.restarting,
        "Paused": container.paused,
        "Restarting": container.restarting,
        "OOMKilled": container.oom_killed,
        "Dead": False,
        "Pid": container.pid if container.running else 0,
        "ExitCode": container.exit_code,
        "Error": container.error,
        "StartedAt": rfc3339(container.started_at),
        "FinishedAt": rfc3339(container.finished_at),
        **({"Health": _health(checked)} if checked else {}),
    }


def _ports(container: Container) -> dict[str, Any]:
    exposed = container.config["Config"]["ExposedPorts"]
    if not container.running or not (exposed or container.published):
        return {}
    from tuidock.network import ports

    return ports.bindings(container.published, exposed)


def _bindings(asked: dict[str, Any]) -> dict[str, Any]:
    """What -p asked for."""
    found: dict[str, Any] = {}
    if asked.get("publish"):
        from tuidock.network import ports

        for one in ports.wanted(asked["publish"], (), publish_all=False):
            outside = "" if not one.first else str(one.first) if one.first == one.last else f"{one.first}-{one.last}"
            found.setdefault(f"{one.inside}/{one.protocol}", []).append({"HostIp": one.address, "HostPort": outside})
    return found


def _device(word: str) -> dict[str, str]:
    from tuidock.engine import words

    outside, inside, access = words.device(word)
    return {"PathOnHost": outside, "PathInContainer": inside, "CgroupPermissions": access}


def _ulimit(word: str) -> dict[str, Any]:
    from tuidock.engine import words

    name, soft, hard = words.ulimit(word)
    return {"Name": name, "Hard": hard, "Soft": soft}


def _health(checked: dict[str, Any]) -> dict[str, Any]:
    log = [
        {
            "Start": rfc3339(entry["start"]), "End": rfc3339(entry["end"]), "ExitCode": entry["exit"],
            "Output": entry["output"],
        }
        for entry in checked["log"]
    ]  # fmt: skip
    return {"Status": checked["status"], "FailingStreak": checked["streak"], "Log": log}


def _mount(mount: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "Type": mount["kind"], "Source": mount["source"], "Destination": mount["destination"], "Mode": mount["mode"],
        "RW": not mount["read_only"], "Propagation": mount["propagation"] if mount["kind"] == "bind" else "",
    }  # fmt: skip
    if mount["kind"] == "volume":
        shown |= {"Name": mount["name"], "Driver": "local"}
    return shown


def _host_config(container: Container) -> dict[str, Any]:
    asked = container.request
    open_ = asked["privileged"] or "systempaths=unconfined" in asked["security_opt"]
    return {
        "Binds": [text for text in asked["volumes"] if ":" in text] or None,
        "ContainerIDFile": "",
        "LogConfig": logdriver.shown(asked),
        "NetworkMode": asked["network"],
        "PortBindings": _bindings(asked),
        "PublishAllPorts": bool(asked.get("publish_all")),
        "RestartPolicy": restarts.shown(container),
        "AutoRemove": asked["remove"],
        "CapAdd": list(asked["cap_add"]) or None,
        "CapDrop": list(asked["cap_drop"]) or None,
        "CgroupnsMode": asked.get("cgroupns") or "private",
        "Dns": list(asked.get("dns", ())),
        "DnsOptions": list(asked.get("dns_options", ())),
        "DnsSearch": list(asked.get("dns_search", ())),
        "ExtraHosts": list(asked.get("extra_hosts", ())) or None,
        "GroupAdd": list(asked.get("group_add", ())) or None,
        "IpcMode": asked.get("ipc") or "private",
        "OomScoreAdj": asked.get("oom_score_adj", 0),
        "PidMode": asked.get("pid", ""),
        "UTSMode": asked.get("uts", ""),
        "Annotations": dict(word.partition("=")[::2] for word in asked.get("annotations", ())) or None,
        "Sysctls": dict(word.partition("=")[::2] for word in asked.get("sysctls", ())) or None,
        "Devices": [_device(word) for word in asked.get("devices", ())],
        "DeviceCgroupRules": list(asked.get("device_rules", ())) or None,
        "Ulimits": [_ulimit(word) for word in asked.get("ulimits", ())],
        "UsernsMode": "",
        "Privileged": asked["privileged"],
        "ReadonlyRootfs": asked["read_only"],
        "SecurityOpt": list(asked["security_opt"]) or None,
        "ShmSize": asked["shm_size"],
        "Runtime": "tuidock",
        "Init": asked["init"],
        "Tmpfs": dict(text.partition(":")[::2] for text in asked["tmpfs"]) or None,
        "Memory": asked["memory"],
        "MemorySwap": asked["memory_swap"] or asked["memory"] * 2,
        "MemoryReservation": asked.get("memory_reservation", 0),
        "NanoCpus": round(asked["cpus"] * 1e9),
        "CpuShares": asked.get("cpu_shares", 0),
        "CpuPeriod": asked.get("cpu_period", 0),
        "CpuQuota": asked.get("cpu_quota", 0),
        "CpusetCpus": asked.get("cpuset_cpus", ""),
        "CpusetMems": asked.get("cpuset_mems", ""),
        "PidsLimit": asked["pids_limit"] or None,
        "MaskedPaths": None if open_ else list(MASKED),
        "ReadonlyPaths": None if open_ else list(READ_ONLY),
    }
