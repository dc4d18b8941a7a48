"""What there is to see of a container: its processes, its namespaces, its layers, what is mounted where."""

from __future__ import annotations

import os

from tuidock.errors import RuntimeFailure
from tuidock.image import changes as layer
from tuidock.oci.value import Value
from tuidock.runtime import cgroups
from tuidock.runtime import namespaces as ns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.image.changes import Change
    from tuidock.storage.paths import Roots

SHELLS = ("/bin/bash", "/usr/bin/bash", "/bin/ash", "/bin/sh", "/usr/bin/sh")
TITLES = ["UID", "PID", "PPID", "C", "STIME", "TTY", "TIME", "CMD"]


class Namespace(Value):
    """One namespace of a container."""

    kind: str
    """as in /proc/PID/ns: mnt, net …"""
    inode: int
    host: bool
    """it is this process's own, so the host's"""
    containers: tuple[str, ...]
    """names of other containers that hold the same one"""


class Layer(Value):
    """A layer of the image, or an instruction that changed no file."""

    chain_id: str
    """empty for an empty one"""
    created_by: str
    size: int
    """bytes"""
    empty: bool


class MountPoint(Value):
    """What is mounted over a place of the read-write layer."""

    destination: str
    source: str
    kind: str
    """volume or bind"""
    name: str
    inode_outside: int
    """of the directory on the host; 0 if it is gone"""
    inode_inside: int
    """of the same place seen from inside; 0 when the container does not run"""


class Stack(Value):
    """The panorama: what a container's root is made of."""

    layers: tuple[Layer, ...]
    """of the image, lowest first"""
    init: tuple[Change, ...]
    rw: tuple[Change, ...]
    """newest first"""
    mount_points: tuple[MountPoint, ...]


def processes(container: Container, roots: Roots) -> list[int]:
    """Pids on the host of all processes in its cgroup."""
    cgroup = cgroups.existing(f"{roots.cgroup}/{container.id}") if container.running else None
    return sorted(cgroup.pids()) if cgroup is not None else []


def top(container: Container, roots: Roots) -> tuple[list[str], list[list[str]]]:
    """Titles and rows of ps -ef, read from the host's /proc alone: nothing of the image is run (CVE-2022-1227)."""
    import time

    import psutil

    rows = []
    now = time.time()
    for pid in processes(container, roots):
        try:
            process = psutil.Process(pid)
            with process.oneshot():
                spent = process.cpu_times()
                began = process.create_time()
                user = str(process.uids().effective)
                command = " ".join(process.cmdline()) or f"[{process.name()}]"
                terminal = (process.terminal() or "?").removeprefix("/dev/")
                parent = process.ppid()
        except psutil.NoSuchProcess:
            continue
        used = int(spent.user + spent.system)
        share = int(100 * (spent.user + spent.system) / max(now - began, 1))
        clock = time.strftime("%H:%M" if now - began < 86400 else "%b%d", time.localtime(began))
        shown = f"{used // 3600:02d}:{used // 60 % 60:02d}:{used % 60:02d}"
        try:
            import pwd

            user = pwd.getpwuid(int(user)).pw_name
        except KeyError:
            pass
        rows.append([user, str(pid), str(parent), str(share), clock, terminal, shown, command])
    return TITLES, rows


def namespaces(container: Container, others: Sequence[Container]) -> list[Namespace]:
    """Of its pid 1; empty if it does not run."""
    if not container.running:
        return []
    host = ns.inodes("self")
    held = {other.name: ns.inodes(other.pid) for other in others if other.running and other.id != container.id}
    return [
        Namespace(kind, inode, host.get(kind) == inode, tuple(name for name, its in held.items() if its.get(kind) == inode))
        for kind, inode in ns.inodes(container.pid).items()
    ]


def stack(engine: Engine, container: Container) -> Stack:
    """The layers as they are now."""
    changed = sorted(changes(engine.roots, container), key=lambda change: (-change.mtime, change.path))
    init = layer.changes(engine.roots.container(container.id).init, ())
    init = [change for change in init if not change.is_dir]
    return Stack(_image_layers(engine, container), tuple(init), tuple(changed), tuple(_mount_points(container)))


def changes(roots: Roots, container: Container, *, touched: bool = False) -> list[Change]:
    """What its read-write layer changes, in docker diff's order.  touched: also what lies there and is as it was."""
    paths = roots.container(container.id)
    lower = [paths.init, *(roots.layer(chain_id) for chain_id in reversed(container.chain_ids))]
    return layer.changes(paths.rw, lower, touched=touched)


def _image_layers(engine: Engine, container: Container) -> tuple[Layer, ...]:
    from json import loads

    row = engine.database.row("SELECT config FROM images WHERE id = ?", (container.image_id,))
    history = (loads(row[0]).get("history") or []) if row else []
    sizes = dict(engine.database.rows("SELECT chain_id, size FROM layers"))
    waiting = list(container.chain_ids)
    layers = []
    for step in history:
        empty = bool(step.get("empty_layer"))
        chain_id = "" if empty or not waiting else waiting.pop(0)
        layers.append(Layer(chain_id, step.get("created_by", ""), sizes.get(chain_id, 0), not chain_id))
    layers += [Layer(chain_id, "", sizes.get(chain_id, 0), False) for chain_id in waiting]
    return tuple(layers)


def _mount_points(container: Container) -> Iterator[MountPoint]:
    for mount in container.config["Mounts"]:
        if mount["kind"] != "tmpfs":
            inside = f"/proc/{container.pid}/root{mount['destination']}" if container.running else ""
            yield MountPoint(
                mount["destination"], mount["source"], mount["kind"], mount["name"],
                _inode(mount["source"]), _inode(inside) if inside else 0,
            )  # fmt: skip


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino
    except OSError:
        return 0


def shell(container: Container) -> tuple[str, ...]:
    """The first shell that is there, looked for in the container's own root."""
    from tuidock.runtime import syscalls as sys

    root = os.open(f"/proc/{container.pid}/root", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for path in SHELLS:
            try:
                os.close(sys.openat2(root, path, os.O_PATH, sys.RESOLVE_IN_ROOT))
            except OSError:
                continue
            return (path,)
    finally:
        os.close(root)
    raise RuntimeFailure(f"{container.name} has no shell", "`tuidock exec` runs any other command that its image has")
