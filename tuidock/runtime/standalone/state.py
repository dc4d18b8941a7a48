"""What is known of a container without a monitor: a folder below --root, and what the kernel says of its process.

ROOT/ID/state.json   the container: pid, start time, bundle, cgroup …
ROOT/ID/config.json  the configuration as it was read: what happens to the bundle's file later is without effect
ROOT/ID/start        a fifo, for as long as the container waits for `start`
ROOT/ID/failure      what went wrong between `start` and the command, from the container's init
ROOT/ID/seccomp.bpf  the compiled filter
ROOT/ID/devices/     nodes for a container in a user namespace, which cannot make them itself
"""

from __future__ import annotations

import fcntl
import os
import time

from tuidock.errors import Conflict, NotFound, UsageError
from tuidock.oci.jsontext import dumps
from tuidock.runtime import bundle, cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

VERSION = "1.2.0"
DEFAULT_ROOT = "/run/tuidock-oci"
CREATING, CREATED, RUNNING, PAUSED, STOPPED = "creating", "created", "running", "paused", "stopped"
LONGEST_ID = 1024
LETTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.")


class NoContainer(NotFound):
    """The words are those that containerd and podman look for."""

    def __init__(self, identifier: str) -> None:
        super().__init__(f"container {identifier!r} does not exist", "`tuidock oci list` lists them; is --root the same?")


class NotRunning(Conflict):
    def __init__(self) -> None:
        super().__init__("container not running")


class Container:
    """One container's folder.  Made by `make`, or one that is there by `find`."""

    def __init__(self, root: str, identifier: str) -> None:
        self.identifier = identifier
        self.folder = f"{root}/{identifier}"
        self.start_fifo = f"{self.folder}/start"
        self.failure = f"{self.folder}/failure"
        self.filter = f"{self.folder}/seccomp.bpf"
        self.devices = f"{self.folder}/devices"
        self.record: dict[str, Any] = {}
        self.config: dict[str, Any] = {}
        self._lock = -1

    @classmethod
    def make(cls, root: str, identifier: str, config: dict[str, Any], folder: str) -> Container:
        """folder: of the bundle.  Raises UsageError for a bad id, Conflict where there is one already."""
        check(identifier)
        os.makedirs(root, 0o700, exist_ok=True)
        container = cls(root, identifier)
        try:
            os.mkdir(container.folder, 0o700)
        except FileExistsError:
            raise Conflict(f"container with id exists: {identifier}", "`tuidock oci delete` removes it") from None
        container.config = config
        container.record = {
            "id": identifier, "bundle": folder, "rootfs": config["root"]["path"], "created": now(), "pid": 0, "start_time": 0,
            "boot_id": bundle.boot_id(), "cgroup": "", "annotations": config.get("annotations") or {},
        }  # fmt: skip
        bundle.write_json(f"{container.folder}/config.json", config)
        container.save()
        return container

    @classmethod
    def find(cls, root: str, identifier: str) -> Container:
        """Raises NoContainer."""
        check(identifier)
        container = cls(root, identifier)
        record = bundle.read_json(f"{container.folder}/state.json")
        config = bundle.read_json(f"{container.folder}/config.json")
        if record is None or config is None:
            raise NoContainer(identifier)
        container.record, container.config = record, config
        return container

    def save(self) -> None:
        bundle.write_json(f"{self.folder}/state.json", self.record)

    @property
    def pid(self) -> int:
        """Of its first process; 0 before there is one."""
        return int(self.record["pid"])

    @property
    def cgroup(self) -> cgroups.Cgroup | None:
        return cgroups.existing(self.record["cgroup"]) if self.record["cgroup"] else None

    def status(self) -> str:
        """As runtime-spec has it, and runc's `paused`."""
        record = self.record
        if not record["pid"]:
            return CREATING
        if not bundle.alive(record["pid"], record["start_time"], record["boot_id"]):
            return STOPPED
        if not record.get("ready"):
            return CREATING
        if os.path.exists(self.start_fifo):
            return CREATED
        return PAUSED if self.frozen() else RUNNING

    def frozen(self) -> bool:
        cgroup = self.cgroup
        return cgroup is not None and is_frozen(cgroup)

    def pidfd(self) -> int:
        """Of its first process.  Raises NotRunning."""
        descriptor = bundle.open_pidfd(self.pid, self.record["start_time"]) if self.pid else -1
        if descriptor < 0:
            raise NotRunning
        return descriptor

    def state(self, status: str = "") -> dict[str, Any]:
        """runtime-spec's state, as hooks get it.  status: instead of what it is by the look of it."""
        shown = status or self.status()
        state: dict[str, Any] = {"ociVersion": VERSION, "id": self.identifier, "status": shown}
        if shown != STOPPED:
            state["pid"] = self.pid
        return {**state, "bundle": self.record["bundle"], "annotations": self.record["annotations"]}

    def shown(self) -> dict[str, Any]:
        """What `state` and `list` print: runc's fields beside the specification's."""
        state = self.state()
        return {
            "ociVersion": VERSION, "id": self.identifier, "pid": state.get("pid", 0), "status": state["status"],
            "bundle": state["bundle"], "rootfs": self.record["rootfs"], "created": self.record["created"], "owner": "",
            "annotations": state["annotations"],
        }  # fmt: skip

    def remove(self) -> None:
        """Forget it."""
        for folder in (self.devices, self.folder):
            for entry in os.listdir(folder) if os.path.isdir(folder) else ():
                os.unlink(f"{folder}/{entry}")
            if os.path.isdir(folder):
                os.rmdir(folder)

    def __enter__(self) -> Container:
        """One command at a time on one container."""
        try:
            self._lock = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise NoContainer(self.identifier) from None
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        fcntl.flock(self._lock, fcntl.LOCK_UN)  # a child may have a copy of the descriptor
        os.close(self._lock)


def check(identifier: str) -> None:
    """Raises UsageError for what is no id: it becomes the name of a folder."""
    if not identifier or identifier in (".", "..") or len(identifier) > LONGEST_ID or not LETTERS.issuperset(identifier):
        raise UsageError(f"invalid container id format: {identifier!r}", "letters, digits and _ + - .")


def identifiers(root: str) -> list[str]:
    """Of all containers, sorted."""
    try:
        return sorted(entry for entry in os.listdir(root) if os.path.exists(f"{root}/{entry}/state.json"))
    except FileNotFoundError:
        return []


def is_frozen(cgroup: cgroups.Cgroup) -> bool:
    from tuidock.runtime.cgroups import files

    where = cgroup.hierarchy
    if where.version == 2:
        return files.keyed(f"{where.unified[0]}/{cgroup.path}/cgroup.events").get("frozen") == 1
    if "freezer" not in where.trees:
        return False
    return files.read(f"{where.trees['freezer'][0]}/{cgroup.path}/freezer.state") in ("FROZEN", "FREEZING")


def now() -> str:
    """RFC 3339 with nanoseconds, in UTC."""
    seconds, rest = divmod(time.time_ns(), 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def text(value: Any) -> bytes:
    """What a hook reads."""
    return dumps(value).encode()
