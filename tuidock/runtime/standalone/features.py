"""What `features` tells an engine, and the configuration that `spec` writes to begin with.  runtime-spec, features.md."""

from __future__ import annotations

import os

from tuidock import __version__
from tuidock.runtime import identity, seccomp
from tuidock.runtime.mounts import OPTION_WORDS
from tuidock.runtime.standalone import configuration, hooks
from tuidock.runtime.standalone.state import VERSION

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MASKED = (
    "/proc/acpi", "/proc/asound", "/proc/interrupts", "/proc/kcore", "/proc/keys", "/proc/latency_stats",
    "/proc/timer_list", "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi",
)  # fmt: skip
READ_ONLY = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
ARCHITECTURES = tuple(f"SCMP_ARCH_{name}" for name in (
    "X86", "X86_64", "X32", "ARM", "AARCH64", "MIPS", "MIPS64", "MIPS64N32", "MIPSEL", "MIPSEL64", "MIPSEL64N32", "PPC",
    "PPC64", "PPC64LE", "S390", "S390X", "PARISC", "PARISC64", "RISCV64",
))  # fmt: skip
"""runtime-spec, config-linux.md; the library says which of them it can do."""
SPEC_CAPABILITIES = ("CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE")


def features() -> dict[str, Any]:
    """runtime-spec's Features."""
    return {
        "ociVersionMin": "1.0.0",
        "ociVersionMax": VERSION,
        "hooks": list(hooks.NAMES),
        "mountOptions": sorted(OPTION_WORDS),
        "linux": {
            "namespaces": sorted(configuration.KINDS),
            "capabilities": [f"CAP_{name}" for name in identity.CAPABILITIES],
            "cgroup": {"v1": True, "v2": True, "systemd": False, "systemdUser": False, "rdma": True},
            "seccomp": {
                "enabled": True,
                "actions": sorted(seccomp.ACTIONS),
                "operators": sorted(seccomp.OPERATORS),
                "archs": sorted(ARCHITECTURES),
                "knownFlags": sorted(seccomp.FLAGS),
                "supportedFlags": sorted(seccomp.FLAGS),
            },
            "apparmor": {"enabled": False},
            "selinux": {"enabled": False},
            "intelRdt": {"enabled": False},
            "mountExtensions": {"idmap": {"enabled": True}},
        },
        "annotations": {"org.tuidock.version": __version__},
        "potentiallyUnsafeConfigAnnotations": [],
    }


def specification(*, rootless: bool = False) -> dict[str, Any]:
    """A config.json that runs `sh` in a root called rootfs, as `runc spec` has it.

    rootless: in a user namespace in which this process's user is root, and with no limits.
    """

    def mount(destination: str, kind: str, *options: str, source: str = "") -> dict[str, Any]:
        return {"destination": destination, "type": kind, "source": source or kind, "options": list(options)}

    still = ("nosuid", "noexec", "nodev")
    sets = list(SPEC_CAPABILITIES)
    config: dict[str, Any] = {
        "ociVersion": VERSION,
        "process": {
            "terminal": True,
            "user": {"uid": 0, "gid": 0},
            "args": ["sh"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
            "cwd": "/",
            "capabilities": {"bounding": sets, "effective": sets, "permitted": sets},
            "rlimits": [{"type": "RLIMIT_NOFILE", "hard": 1024, "soft": 1024}],
            "noNewPrivileges": True,
        },
        "root": {"path": "rootfs", "readonly": True},
        "hostname": "tuidock",
        "mounts": [
            mount("/proc", "proc"),
            mount("/dev", "tmpfs", "nosuid", "strictatime", "mode=755", "size=65536k"),
            mount("/dev/pts", "devpts", "nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"),
            mount("/dev/shm", "tmpfs", *still, "mode=1777", "size=65536k", source="shm"),
            mount("/dev/mqueue", "mqueue", *still),
            mount("/sys", "sysfs", *still, "ro"),
            mount("/sys/fs/cgroup", "cgroup", *still, "relatime", "ro"),
        ],
        "linux": {
            "resources": {"devices": [{"allow": False, "access": "rwm"}]},
            "namespaces": [{"type": kind} for kind in ("pid", "network", "ipc", "uts", "mount", "cgroup")],
            "maskedPaths": list(MASKED),
            "readonlyPaths": list(READ_ONLY),
        },
    }
    if rootless:
        linux = config["linux"]
        del linux["resources"]
        linux["namespaces"].append({"type": "user"})
        for field, number in (("uidMappings", os.getuid()), ("gidMappings", os.getgid())):
            linux[field] = [{"containerID": 0, "hostID": number, "size": 1}]
    return config
