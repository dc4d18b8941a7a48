"""What the database says against what runs.

A container's row says `running` from its start until somebody has looked after its end: the clean-up command, a front end
that waited, or whoever comes next.  Each of them ends up in `settle`, under the container's lock; it may run any number
of times and by any number of processes.
"""

from __future__ import annotations

import os

from tuidock.engine.requests import on_networks
from tuidock.errors import AmbiguousName, DiskFull, NoSuchContainer
from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value
from tuidock.runtime import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

COLUMNS = (
    "id", "name", "image_name", "image", "chain_ids", "request", "config", "created_at", "status", "pid", "monitor_pid",
    "start_time", "boot_id", "started_at", "finished_at", "exit_code", "oom_killed", "error", "restart_count",
    "restart_pause", "restart_at", "stopped_by",
)  # fmt: skip
ON_NETWORKS = (
    "(SELECT group_concat(name) FROM (SELECT networks.name FROM endpoints JOIN networks ON networks.id = endpoints.network"
    " WHERE endpoints.container = containers.id ORDER BY position))"
)
ON_PORTS = (
    "(SELECT group_concat(protocol || ' ' || inside || ' ' || hex(address) || ' ' || port) FROM ports"
    " WHERE ports.container = containers.id)"
)
QUERY = f"SELECT {', '.join(COLUMNS)}, {ON_NETWORKS}, {ON_PORTS} FROM containers"

SWEEP_AFTER = 60.0
"""Seconds after which a folder without a row is nobody's."""

LOST = 255
"""Exit status of a container whose end nobody saw: its monitor was killed, or the machine went down."""


class Container(Value):
    """A container as the database has it, checked against what runs."""

    id: str
    name: str
    image: str
    """as the user wrote it"""
    image_id: str
    chain_ids: tuple[str, ...]
    """of its image's layers, lowest first"""
    request: dict[str, Any]
    """the RunRequest that made it"""
    config: dict[str, Any]
    """{"Config": docker's Config, "Mounts": [volume.Mount as objects], "Network": container joined or mode}"""
    created_at: int
    """ns since the epoch, here and below; 0 for never"""
    status: str
    """created, starting, running, paused, restarting, exited or removing"""
    pid: int
    """of its pid 1, in this pid namespace; 0 when it does not run"""
    monitor_pid: int
    start_time: int
    boot_id: str
    started_at: int
    finished_at: int
    exit_code: int
    oom_killed: bool
    error: str
    restart_count: int = 0
    """how often its policy has started it again since somebody did"""
    restart_pause: int = 0
    """ms before the last of these starts"""
    restart_at: int = 0
    """when it is to start again, while it is `restarting`"""
    stopped_by: str = ""
    """empty, or who ended it: `user`, `system`"""
    endpoints: tuple[str, ...] = ()
    """names of the networks that it is on, eth0's first"""
    published: tuple[tuple[str, int, bytes, int], ...] = ()
    """while it runs: protocol, port inside, address of this machine (zeros: all of the family), port there"""

    @property
    def running(self) -> bool:
        """Whether it has processes, paused or not."""
        return self.status in ("running", "paused")

    @property
    def paused(self) -> bool:
        return self.status == "paused"

    @property
    def restarting(self) -> bool:
        """Its process has ended, and the next one is due."""
        return self.status == "restarting"

    @property
    def command(self) -> list[str]:
        """The whole process: entrypoint and command."""
        config = self.config["Config"]
        return [*(config["Entrypoint"] or ()), *config["Cmd"]]

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.config["Config"]["Labels"])

    @property
    def mounts(self) -> tuple[str, ...]:
        """Volume names and host paths, as docker's Mounts column shows them."""
        return tuple(mount["name"] or mount["source"] for mount in self.config["Mounts"] if mount["kind"] != "tmpfs")

    @property
    def networks(self) -> tuple[str, ...]:
        """Docker's NETWORKS column: networks, or none, host, container:NAME."""
        mode = str(self.request["network"])
        return self.endpoints if on_networks(mode) else (mode,)

    @property
    def ports(self) -> str:
        """Docker's PORTS column: `0.0.0.0:4000->80/tcp, 443/tcp`."""
        exposed = self.config["Config"]["ExposedPorts"]
        if not exposed and not self.published:
            return ""
        from tuidock.network import ports

        return ports.column(self.published, exposed)

    @property
    def removes_itself(self) -> bool:
        return bool(self.request.get("remove"))


def container(row: tuple[Any, ...]) -> Container:
    """A row of QUERY."""
    values = list(row)
    for place in (5, 6):
        values[place] = loads(values[place])
    values[4] = tuple(loads(values[4]))
    values[16] = bool(values[16])
    values[-2] = tuple(values[-2].split(",")) if values[-2] else ()
    ports = [text.split(" ") for text in values[-1].split(",")] if values[-1] else ()
    values[-1] = tuple((one[0], int(one[1]), bytes.fromhex(one[2]), int(one[3])) for one in ports)
    return Container(*values)


def find(database: Database, name: str) -> Container:
    """By name, id, or the beginning of an id that no other has; a name wins.  Raises NoSuchContainer, AmbiguousName."""
    name = name.removeprefix("/")
    row = database.row(f"{QUERY} WHERE name = ? OR id = ? ORDER BY name = ? DESC", (name, name, name))
    if row is not None:
        return container(row)
    rows: list[tuple[Any, ...]] = []
    if name and all(character in "0123456789abcdef" for character in name):
        rows = database.rows(f"{QUERY} WHERE substr(id, 1, ?) = ? LIMIT 6", (len(name), name))
    if not rows:
        raise NoSuchContainer(name, _nearest(database, name))
    if len(rows) > 1:
        raise AmbiguousName(name, [row[0] for row in rows])
    return container(rows[0])


def _nearest(database: Database, name: str) -> str:
    from difflib import get_close_matches

    return next(iter(get_close_matches(name, [row[0] for row in database.rows("SELECT name FROM containers")], 1)), "")


def alive(container: Container) -> bool:
    """Whether its pid 1 runs."""
    return bundle.alive(container.pid, container.start_time, container.boot_id)


def ended(container: Container, roots: Roots) -> bool:
    """Whether the row says running and it is not so: to be settled.  Takes no lock and writes nothing."""
    if container.running:
        return not alive(container) and not _being_written(container, roots)
    return container.status == "starting"


def _being_written(container: Container, roots: Roots) -> bool:
    """The process has ended a moment ago and its monitor has not written that down yet."""
    if container.boot_id != bundle.boot_id() or os.path.exists(roots.container(container.id).exit):
        return False
    try:
        with open(f"/proc/{container.monitor_pid}/comm") as file:
            return file.read().strip() == "tuidock-monitor" and bundle.start_time(container.monitor_pid) > 0
    except OSError:
        return False


def settle(database: Database, roots: Roots, container: Container) -> Container:
    """Write down what has become of it.  To be called under its lock, with the row as it is now.

    Returns the container as it is now, also if the disk has no room to write that down: whoever looks next tries again.
    What is left of a process without a monitor (cgroup, run folder) goes.
    """
    paths = roots.container(container.id)
    if container.status == "starting":
        return _settle_start(database, roots, container)
    if not container.running or alive(container):
        return container
    end = bundle.read_json(paths.exit)
    if end is None:
        if _being_written(container, roots):
            return container
        end = {"status": LOST, "oom_killed": False, "finished_at": 0, "lost": True}
        from tuidock.runtime import cgroups

        cgroup = cgroups.existing(f"{roots.cgroup}/{container.id}")
        if cgroup is not None:
            cgroup.kill()
            cgroup.remove()
    return _write_end(database, roots, container, end)


def _settle_start(database: Database, roots: Roots, container: Container) -> Container:
    """A front end went away between its request and the answer: the monitor's state file knows how it went on."""
    paths = roots.container(container.id)
    state = bundle.read_json(paths.state)
    if state is not None and state["boot_id"] == bundle.boot_id():
        container = container.replace(
            status="running", pid=state["pid"], start_time=state["start_time"], boot_id=state["boot_id"],
            monitor_pid=state["monitor"], started_at=state["started_at"],
        )  # fmt: skip
        try:
            with database.transaction() as transaction:
                set_running(transaction, container)
                transaction.tell("container", "start", container.id, attributes(container))
        except DiskFull:
            pass
        return settle(database, roots, container)
    end = bundle.read_json(paths.exit)
    if end is not None:
        return _write_end(database, roots, container, end)
    container = container.replace(status="created", error="the start was interrupted")
    try:
        _free(database, roots, container)
        with database.transaction() as transaction:
            transaction.execute(
                "UPDATE containers SET status = 'created', error = ? WHERE id = ?", (container.error, container.id)
            )
    except DiskFull:
        pass
    return container


def sweep(database: Database, roots: Roots) -> None:
    """Remove the folders of containers that are in no row: a front end was killed between the two.

    Rows come last when a container is made, so only folders that are older than any `create` takes.
    """
    from time import time

    try:
        there = os.listdir(roots.containers)
    except FileNotFoundError:
        return
    known = {row[0] for row in database.rows("SELECT id FROM containers")}
    for container_id in set(there) - known:
        paths = roots.container(container_id)
        try:
            old = os.stat(paths.data).st_ctime < time() - SWEEP_AFTER
        except FileNotFoundError:
            continue
        if old:
            from tuidock.storage.remove import remove_tree

            remove_tree(paths.run)
            remove_tree(paths.data)


def set_running(transaction: Any, container: Container) -> None:
    """The row of a container that runs now."""
    transaction.execute(
        "UPDATE containers SET status = 'running', pid = ?, monitor_pid = ?, start_time = ?, boot_id = ?, started_at = ?,"
        " exit_code = 0, oom_killed = 0, error = '' WHERE id = ?",
        (
            container.pid, container.monitor_pid, container.start_time, container.boot_id, container.started_at,
            container.id,
        ),
    )  # fmt: skip


def _free(database: Database, roots: Roots, container: Container) -> None:
    """Its addresses and ports are anybody's again."""
    if on_networks(container.request["network"]):
        from tuidock.engine import wiring

        wiring.free(database, roots, container.id)


def _write_end(database: Database, roots: Roots, container: Container, end: dict[str, Any]) -> Container:
    error = "its monitor was killed or the machine went down: how it ended is not known" if end.get("lost") else ""
    container = container.replace(
        status="exited", pid=0, exit_code=int(end["status"]), oom_killed=bool(end["oom_killed"]),
        finished_at=int(end["finished_at"]) or container.started_at, error=error,
    )  # fmt: skip
    if container.request.get("restart", "no") != "no":
        from tuidock.engine import restarts

        container = restarts.after_end(container.replace(stopped_by=container.stopped_by or end.get("stopped_by", "")))
    try:
        _free(database, roots, container)
        _write_row(database, container)
    except DiskFull:
        pass
    return container


def _write_row(database: Database, container: Container) -> None:
    """The row and the events of a container that has ended."""
    with database.transaction() as transaction:
        transaction.execute(
            "UPDATE containers SET status = ?, pid = 0, exit_code = ?, oom_killed = ?, finished_at = ?, error = ?,"
            " monitor_pid = 0, restart_count = ?, restart_pause = ?, restart_at = ?, stopped_by = ? WHERE id = ?",
            (
                container.status, container.exit_code, int(container.oom_killed), container.finished_at,
                container.error, container.restart_count, container.restart_pause, container.restart_at, container.stopped_by,
                container.id,
            ),
        )  # fmt: skip
        told = attributes(container)
        if container.oom_killed:
            transaction.tell("container", "oom", container.id, told)
        transaction.tell("container", "die", container.id, {**told, "exitCode": str(container.exit_code)})


def attributes(container: Container) -> dict[str, str]:
    """What an event says of a container: image, name, labels (docker events)."""
    return {"image": container.image, "name": container.name, **container.labels}
