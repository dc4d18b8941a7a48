"""The container's config + RunRequest to config.json of its bundle.  Pure: everything that it needs is handed in.

runtime-spec 1.2, config.md and config-linux.md; the defaults are docker's (ENTRYPOINT to masked paths).
"""

from __future__ import annotations

import os

from tuidock.runtime.rootfs import COPY_UP

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tuidock.engine.requests import RunRequest
    from tuidock.volume import Mount

MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/sched_debug", "/proc/scsi", "/proc/timer_list", "/proc/timer_stats", "/sys/devices/virtual/powercap",
    "/sys/firmware",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
SYSCTLS = {"net.ipv4.ip_unprivileged_port_start": "0", "net.ipv4.ping_group_range": "0 2147483647"}
SHARED = ("/dev/mqueue", "/dev/shm")
"""the host's, with --ipc host"""
FILES = ("resolv.conf", "hostname", "hosts")


def spec(
    config: Mapping[str, Any], request: RunRequest, mounts: Sequence[Mount], *,
    rootfs: str, etc: str, capabilities: Sequence[str], resources: Mapping[str, Any], network: str,
    pid: str = "", devices: Sequence[Mapping[str, Any]] = (), thermal: Sequence[str] = (), size: tuple[int, int] = (0, 0),
) -> dict[str, Any]:  # fmt: skip
    """The OCI configuration.

    rootfs: where the stack is mounted.  etc: the folder with resolv.conf, hostname and hosts.  network: empty for a
    namespace of its own, `host`, or the path of one to join.  pid: the path of a pid namespace to join, if --pid names a
    container.  thermal: this machine's thermal_throttle folders, masked too.  size: rows and columns of the terminal.
    """
    privileged = request.privileged
    return {
        "ociVersion": "1.2.0",
        "root": {"path": rootfs, "readonly": request.read_only},
        **_names(config, request, network),
        "process": process(
            config["Env"], [*(config["Entrypoint"] or ()), *config["Cmd"]], user=config["User"], workdir=config["WorkingDir"],
            terminal=config["Tty"], capabilities=capabilities, security=request.security_opt, size=size,
            hostname=config["Hostname"], request=request,
        ),
        "mounts": [*_engine_mounts(request, mounts), *_files(etc, mounts), *(_user_mount(mount) for mount in mounts)],
        "linux": {
            "namespaces": _namespaces(request, network, pid),
            "resources": dict(resources),
            "devices": list(devices),
            "sysctl": _sysctls(request, network),
            "maskedPaths": [] if open_paths(request) else [*MASKED, *thermal],
            "readonlyPaths": [] if open_paths(request) else list(READ_ONLY),
            "rootfsPropagation": "private",
        },
        "annotations": {
            "org.opencontainers.image.ref.name": request.image, "tuidock.privileged": str(privileged).lower(),
            **dict(word.partition("=")[::2] for word in request.annotations),
        },
    }  # fmt: skip


def process(
    env: Sequence[str], args: Sequence[str], *, user: str, workdir: str, terminal: bool, capabilities: Sequence[str],
    security: Sequence[str] = (), size: tuple[int, int] = (0, 0), hostname: str = "", request: RunRequest | None = None,
) -> dict[str, Any]:  # fmt: skip
    """runtime-spec's `process`; for the container's own and for an exec.

    request: the container's, for its --group-add, --ulimit and --oom-score-adj.
    user: as `-u` takes it.  It stands in `username`, since only the container's own files know what it means.
    """
    given = {word.partition("=")[0] for word in env}
    more = [f"HOSTNAME={hostname}"] if hostname and "HOSTNAME" not in given else []
    if terminal and "TERM" not in given:
        more.append("TERM=xterm")
    sets = list(capabilities)
    groups = {"groups": list(request.group_add)} if request is not None and request.group_add else {}
    return {
        "terminal": terminal,
        "consoleSize": {"height": size[0], "width": size[1]},
        "user": {"uid": 0, "gid": 0, "umask": 0o022, "username": user, **groups},
        "args": list(args),
        "env": [*env, *more],
        "cwd": workdir or "/",
        "capabilities": {"bounding": sets, "effective": sets, "permitted": sets, "inheritable": [], "ambient": []},
        "noNewPrivileges": any(
            word in security for word in ("no-new-privileges", "no-new-privileges=true", "no-new-privileges:true")
        ),
        "rlimits": [],
        **_limits(request),
    }


def _limits(request: RunRequest | None) -> dict[str, Any]:
    if request is None or not (request.ulimits or request.oom_score_adj):
        return {}
    from tuidock.engine import words

    return words.limits(request)


def _names(config: Mapping[str, Any], request: RunRequest, network: str) -> dict[str, str]:
    """hostname and domainname; none with the host's own uts namespace, which they would change."""
    if request.uts == "host":
        return {}
    own = config["Hostname"] if network != "host" or request.hostname else os.uname().nodename
    return {"hostname": own, **({"domainname": config["Domainname"]} if config["Domainname"] else {})}


def _sysctls(request: RunRequest, network: str) -> dict[str, str]:
    found = {} if network == "host" else dict(SYSCTLS)
    if request.sysctls:
        from tuidock.engine import words

        found.update(map(words.sysctl, request.sysctls))
    return found


def open_paths(request: RunRequest) -> bool:
    """Whether nothing of /proc and /sys is masked."""
    return request.privileged or "systempaths=unconfined" in request.security_opt


def _namespaces(request: RunRequest, network: str, pid: str) -> list[dict[str, str]]:
    hosts = {kind for kind in ("pid", "ipc", "uts") if getattr(request, kind) == "host"}
    if request.cgroupns == "host":
        hosts.add("cgroup")
    spaces = [{"type": kind} for kind in ("mount", "pid", "ipc", "uts", "cgroup") if kind not in hosts]
    if pid:
        spaces[1]["path"] = pid
    if network != "host":
        spaces.append({"type": "network", **({"path": network} if network else {})})
    return spaces


def _engine_mounts(request: RunRequest, mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    access = "rw" if request.privileged else "ro"
    own = [
        _mount("/proc", "proc", "nosuid", "noexec", "nodev"),
        _mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
        _mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
        _mount("/sys", "sysfs", "nosuid", "noexec", "nodev", access),
        _mount("/sys/fs/cgroup", "cgroup", access, "nosuid", "noexec", "nodev"),
        _mount("/dev/mqueue", "mqueue", "nosuid", "noexec", "nodev"),
        _mount("/dev/shm", "tmpfs", "nosuid", "noexec", "nodev", "mode=1777", f"size={request.shm_size}"),
    ]
    taken = {mount.destination for mount in mounts}
    if request.ipc == "none":
        taken.add("/dev/shm")
    if request.ipc == "host":
        own = [mount for mount in own if mount["destination"] not in SHARED]
        own += [
            {"destination": path, "type": "bind", "source": path, "options": ["rbind", "rprivate", "nosuid", "nodev", "noexec"]}
            for path in SHARED
            if os.path.isdir(path)
        ]
    return [mount for mount in own if mount["destination"] not in taken]


def _mount(destination: str, kind: str, *options: str) -> dict[str, Any]:
    return {
        "destination": destination,
        "type": kind,
        "source": "shm" if destination == "/dev/shm" else kind,
        "options": list(options),
    }


def _files(etc: str, mounts: Sequence[Mount]) -> list[dict[str, Any]]:
    taken = {mount.destination for mount in mounts}
    return [
        {"destination": f"/etc/{name}", "type": "bind", "source": f"{etc}/{name}", "options": ["rbind", "rprivate"]}
        for name in FILES
        if f"/etc/{name}" not in taken
    ]


def _user_mount(mount: Mount) -> dict[str, Any]:
    if mount.kind == "tmpfs":
        words = [word for word in mount.mode.split(",") if word]
        options = ["nosuid", "nodev", "noexec", *words]
        return {"destination": mount.destination, "type": "tmpfs", "source": "tmpfs", "options": options}
    options = ["rbind", mount.propagation, "rro" if mount.read_only else "rw"]
    if mount.kind == "volume" and mount.copy:
        options.append(COPY_UP)
    return {"destination": mount.destination, "type": "bind", "source": mount.source, "options": options}
