"""pause and unpause: a container's processes stand still, all at once, by the freezer of its control group.

kernel: admin-guide/cgroup-v1/freezer-subsystem; admin-guide/cgroup-v2, "cgroup.freeze".
"""

from __future__ import annotations

from tuidock.engine import reconcile
from tuidock.engine.held import Held
from tuidock.errors import Conflict, NotRunning, TuidockError
from tuidock.runtime import cgroups

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine.containers import Containers
    from tuidock.engine.reconcile import Container
    from tuidock.runtime.cgroups import Cgroup


def pause(containers: Containers, name: str) -> None:
    """Raises NotRunning; Conflict for one that is paused already or about to start again."""
    with Held(containers.engine, containers.get(name).id) as container:
        refuse_restarting(container, name)
        if not container.running:
            raise NotRunning(name, container.status)
        if container.paused:
            raise Conflict(f"container {name} is already paused", f"`tuidock unpause {name}` lets it go on")
        cgroup = _cgroup(containers, container)
        try:
            cgroup.freeze()
        except TuidockError:
            cgroup.thaw()
            raise
        _write(containers, container, "paused", "pause")


def unpause(containers: Containers, name: str) -> None:
    """Raises Conflict for one that is not paused."""
    with Held(containers.engine, containers.get(name).id) as container:
        if not container.paused:
            raise Conflict(f"container {name} is not paused", "`tuidock ps` says what it is")
        _cgroup(containers, container).thaw()
        _write(containers, container, "running", "unpause")


def thaw(containers: Containers, container: Container) -> None:
    """Let it go on after a signal that is to end it, as docker does; nothing to do for one that is not paused."""
    if container.paused:
        cgroup = cgroups.existing(f"{containers.roots.cgroup}/{container.id}")
        try:
            if cgroup is not None:
                cgroup.thaw()
        except TuidockError:
            if cgroup is not None and cgroup.exists():  # else SIGKILL was faster: some kernels let it through
                raise
        _write(containers, container, "running", "unpause")


def refuse_restarting(container: Container, name: str) -> None:
    """Raises Conflict for one that waits for its next start."""
    if container.restarting:
        raise Conflict(
            f"container {name} is restarting, wait until the container is running", f"`tuidock stop {name}` ends that"
        )


def _cgroup(containers: Containers, container: Container) -> Cgroup:
    cgroup = cgroups.existing(f"{containers.roots.cgroup}/{container.id}")
    if cgroup is None:
        raise NotRunning(container.name, container.status)
    return cgroup


def _write(containers: Containers, container: Container, status: str, action: str) -> None:
    """Unless it has ended meanwhile and that is written down already."""
    before = "running" if status == "paused" else "paused"
    with containers.database.transaction() as transaction:
        changed = transaction.execute(
            "UPDATE containers SET status = ? WHERE id = ? AND status = ?", (status, container.id, before)
        )
        if changed.rowcount:
            transaction.tell("container", action, container.id, reconcile.attributes(container))
