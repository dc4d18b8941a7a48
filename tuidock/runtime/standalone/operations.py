"""What is done to a container that is there: start, kill, delete, pause, resume, update, and what it uses."""

from __future__ import annotations

import _signal as signal
import errno
import os
import select

from tuidock.errors import Conflict, RuntimeFailure, TuidockError
from tuidock.runtime import attach, wire
from tuidock.runtime.standalone import configuration, hooks, resources
from tuidock.runtime.standalone.state import (
    CREATED,
    CREATING,
    PAUSED,
    RUNNING,
    STOPPED,
    Container,
    NoContainer,
    NotRunning,
    identifiers,
    text,
)  # fmt: skip

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PATIENCE = 10_000
"""Milliseconds that a process is given to end after SIGKILL."""


def start(container: Container) -> None:
    """Let a created container run its command.

    Raises Conflict for one that is not created, what its init says if the command cannot be run after all, and
    RuntimeFailure if a poststart hook fails; the container is ended and deleted then, as by crun.
    """
    _start(container)
    try:
        hooks.run(container.config, hooks.POSTSTART, text(container.state(RUNNING)))
    except RuntimeFailure:
        delete(os.path.dirname(container.folder), container.identifier, force=True)
        raise


def _start(container: Container) -> None:
    with container:
        status = container.status()
        if status == STOPPED:
            raise Conflict("cannot start a container that has stopped")
        if status != CREATED:
            raise Conflict(f"cannot start a container that is {status}" if status != RUNNING else
                           "cannot start an already running container")  # fmt: skip
        try:
            fifo = os.open(container.start_fifo, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            if error.errno != errno.ENXIO:
                raise
            raise Conflict("cannot start a container that has stopped") from error
        try:
            os.write(fifo, b"1")
            os.unlink(container.start_fifo)
            poll = select.poll()
            poll.register(fifo, 0)
            poll.poll()  # nobody reads there any more: it is executed, or it has ended
        finally:
            os.close(fifo)
        _raise_failure(container)


def _raise_failure(container: Container) -> None:
    with open(container.failure, "rb") as file:
        told = list(wire.Unpacker().feed(file.read()))
    if told:
        raise attach.failure(wire.read_json(told[0][1]))


def kill(container: Container, number: int, *, everything: bool = False) -> None:
    """Send a signal.  everything: to all its processes; then one that has stopped is no error.  Raises NotRunning."""
    cgroup = container.cgroup
    shared = number == signal.SIGKILL and not configuration.has(container.config, "pid")
    if everything or shared:
        for pid in cgroup.pids() if cgroup is not None else ():
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass
        if not everything and container.status() == STOPPED:
            raise NotRunning
    else:
        pidfd = container.pidfd()
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            raise NotRunning from None
        finally:
            os.close(pidfd)
    if number == signal.SIGKILL and cgroup is not None and container.frozen():
        cgroup.thaw()  # a frozen process does not end


def delete(root: str, identifier: str, *, force: bool = False) -> list[str]:
    """Remove what is left of a container, its poststop hooks last.  Returns their warnings.

    force: end it first, and no container is no error.  Raises Conflict for one that runs.
    """
    try:
        container = Container.find(root, identifier)
        with container:
            status = container.status()
            if status in (RUNNING, PAUSED, CREATING) and not force:
                raise Conflict(f"cannot delete container {identifier} that is not stopped: {status}", "kill it, or use --force")
            if status != STOPPED:
                _end(container)
            cgroup = container.cgroup
            if cgroup is not None:
                cgroup.kill()
                cgroup.remove()
            warnings = hooks.run_all(container.config, hooks.POSTSTOP, text(container.state(STOPPED)))
            container.remove()
            return warnings
    except NoContainer:
        if force:
            return []
        raise


def _end(container: Container) -> None:
    try:
        pidfd = container.pidfd()
    except NotRunning:
        return
    try:
        signal.pidfd_send_signal(pidfd, signal.SIGKILL)
        if container.frozen() and (cgroup := container.cgroup) is not None:
            cgroup.thaw()
        poll = select.poll()
        poll.register(pidfd, select.POLLIN)
        if not poll.poll(PATIENCE):
            raise RuntimeFailure(f"process {container.pid} does not end", "dmesg may say why")
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def pause(container: Container) -> None:
    """Raises Conflict for one that neither runs nor waits for `start`."""
    with container:
        _must_be(container, "pause", RUNNING, CREATED)
        cgroup = container.cgroup
        assert cgroup is not None
        cgroup.freeze()


def resume(container: Container) -> None:
    """Raises Conflict for one that is not paused."""
    with container:
        if not container.frozen():
            raise Conflict("container not paused")
        cgroup = container.cgroup
        assert cgroup is not None
        cgroup.thaw()


def update(container: Container, wanted: Mapping[str, Any]) -> None:
    """Other limits from now on.  wanted: runtime-spec's linux.resources; device rules stay as they are."""
    with container:
        if container.status() == STOPPED:
            raise NotRunning
        cgroup = container.cgroup
        if cgroup is None:
            raise TuidockError(f"container {container.identifier} has no cgroup")
        cgroup.limit(resources.common(wanted, devices=False))
        resources.further(cgroup, wanted)


def processes(container: Container) -> list[int]:
    """Pids of all its processes, as the host sees them."""
    cgroup = container.cgroup
    return sorted(cgroup.pids()) if cgroup is not None else []


def listed(root: str) -> list[dict[str, Any]]:
    """All containers, as `state` shows one."""
    found = []
    for identifier in identifiers(root):
        try:
            found.append(Container.find(root, identifier).shown())
        except NoContainer:
            continue  # deleted meanwhile
    return found


def statistics(container: Container) -> dict[str, Any]:
    """What it uses, with runc's names: `events --stats`."""
    cgroup = container.cgroup
    if cgroup is None or container.status() == STOPPED:
        raise NotRunning
    used = cgroup.read()
    data = {
        "cpu": {"usage": {"total": used["cpu_ns"], "kernel": 0, "user": 0}, "throttling": {}},
        "memory": {
            "usage": {"limit": used["memory_limit"] or (1 << 63) - 4096, "usage": used["memory"]},
            "oom_kill": cgroup.oom_kills(),
        },
        "pids": {"current": used["pids"], "limit": used["pids_limit"]},
        "blkio": {"ioServiceBytesRecursive": [
            {"op": "Read", "value": used["read_bytes"]}, {"op": "Write", "value": used["write_bytes"]},
        ]},
        "hugetlb": {}, "intel_rdt": {}, "network_interfaces": None,
    }  # fmt: skip
    return {"type": "stats", "id": container.identifier, "data": data}


def must_run(container: Container) -> None:
    """Raises NotRunning, or Conflict for one that is paused."""
    status = container.status()
    if status == PAUSED:
        raise Conflict("cannot exec in a paused container", "resume it first")
    if status not in (RUNNING, CREATED):
        raise NotRunning


def _must_be(container: Container, what: str, *statuses: str) -> None:
    status = container.status()
    if status not in statuses:
        raise NotRunning if status == STOPPED else Conflict(f"cannot {what} a container that is {status}")
