"""`tuidock version` and `tuidock info`: this program and this machine."""

from __future__ import annotations

import os
import platform
import sqlite3
import sys

from tuidock import __version__
from tuidock.cli.flags import Command, Words
from tuidock.cli.formats import OBJECT_FORMAT, one
from tuidock.cli.output import binary_size
from tuidock.cli.templates.values import Struct
from tuidock.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tuidock.storage.paths import Roots

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "i686": "386", "armv7l": "arm"}


def versions() -> dict[str, Any]:
    """Docker's object; the engine is in the same process, so client and server are one."""
    kernel = os.uname()
    common = {
        "Version": __version__,
        "PythonVersion": platform.python_version(),
        "Os": "linux",
        "Arch": ARCHITECTURES.get(kernel.machine, kernel.machine),
    }
    parts = [
        {"Name": "Engine", "Version": __version__, "Details": {"KernelVersion": kernel.release}},
        {"Name": "sqlite", "Version": sqlite3.sqlite_version, "Details": {}},
    ]
    return {
        "Client": Struct(common, "*system.clientVersion"),
        "Server": Struct(
            {"Components": [Struct(part, "system.component") for part in parts], **common, "KernelVersion": kernel.release},
            "*types.Version",
        ),
    }


def version(words: Words, _place: Roots) -> int:
    found = versions()
    if form := words.text("format"):
        sys.stdout.write(one(Struct(found, "system.versionInfo"), form))
        return 0
    client, server = found["Client"], found["Server"]
    print("Client:")
    for title, key in (("Version", "Version"), ("Python version", "PythonVersion")):
        print(f" {title + ':':<18} {client[key]}")
    print(f" {'OS/Arch:':<18} {client['Os']}/{client['Arch']}\n\nServer: embedded, there is no daemon\n Engine:")
    print(f"  {'Version:':<17} {server['Version']}")
    print(f"  {'Kernel version:':<17} {server['KernelVersion']}")
    print(f"  {'SQLite version:':<17} {sqlite3.sqlite_version}")
    return 0


def facts(engine: Engine) -> dict[str, Any]:
    """Docker's names for what tuidock knows of itself and of the machine."""
    import psutil

    from tuidock.runtime import cgroups

    containers = engine.containers.list(all=True)
    states = [container.status for container in containers]
    kernel = os.uname()
    hierarchy = cgroups.hierarchy()
    return {
        "Containers": len(containers),
        "ContainersRunning": states.count("running"),
        "ContainersPaused": states.count("paused"),
        "ContainersStopped": len(states) - states.count("running") - states.count("paused"),
        "Images": len({image.id for image in engine.images.list(all=True)}),
        "Volumes": len(engine.volumes.list()),
        "Driver": "overlay",
        "LoggingDriver": "tuidock",
        "CgroupDriver": "cgroupfs",
        "CgroupVersion": str(getattr(hierarchy, "version", "")),
        "KernelVersion": kernel.release,
        "OperatingSystem": platform.freedesktop_os_release().get("PRETTY_NAME", "Linux"),
        "OSType": "linux",
        "Architecture": kernel.machine,
        "NCPU": os.cpu_count() or 1,
        "MemTotal": psutil.virtual_memory().total,
        "DockerRootDir": engine.roots.data,
        "RunRoot": engine.roots.run,
        "Name": kernel.nodename,
        "ServerVersion": __version__,
        "SecurityOptions": ["name=seccomp,profile=default"],
        "Warnings": None,
    }


def info(words: Words, place: Roots) -> int:
    found = facts(Engine(place))
    if form := words.text("format"):
        sys.stdout.write(one(Struct(found, "system.dockerInfo"), form))
        return 0
    print(f"Client:\n Version:    {__version__}\n\nServer: embedded, there is no daemon")
    for title, value in (
        ("Containers", found["Containers"]),
        (" Running", found["ContainersRunning"]),
        (" Paused", found["ContainersPaused"]),
        (" Stopped", found["ContainersStopped"]),
        ("Images", found["Images"]),
        ("Volumes", found["Volumes"]),
        ("Server Version", found["ServerVersion"]),
        ("Storage Driver", found["Driver"]),
        ("Logging Driver", found["LoggingDriver"]),
        ("Cgroup Driver", found["CgroupDriver"]),
        ("Cgroup Version", found["CgroupVersion"]),
        ("Kernel Version", found["KernelVersion"]),
        ("Operating System", found["OperatingSystem"]),
        ("OSType", found["OSType"]),
        ("Architecture", found["Architecture"]),
        ("CPUs", found["NCPU"]),
        ("Total Memory", binary_size(found["MemTotal"])),
        ("Name", found["Name"]),
        ("Data Root", found["DockerRootDir"]),
        ("Run Root", found["RunRoot"]),
    ):
        print(f" {title}: {value}")
    return 0


COMMANDS = {
    "version": Command(version, options=(OBJECT_FORMAT,)),
    "info": Command(info, options=(OBJECT_FORMAT,)),
}
