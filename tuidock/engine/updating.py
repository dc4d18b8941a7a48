"""update: other limits and another restart policy for a container that is there, at once if it runs."""

from __future__ import annotations

from tuidock.engine import reconcile
from tuidock.engine.held import Held
from tuidock.errors import Conflict
from tuidock.oci.jsontext import dumps
from tuidock.runtime import cgroups
from tuidock.runtime.cgroups import limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.engine.containers import Containers

GROUPS = {
    "memory": ("memory", "memory_swap", "memory_reservation"),
    "cpu": ("cpus", "cpu_shares", "cpu_period", "cpu_quota", "cpuset_cpus", "cpuset_mems"),
    "pids": ("pids_limit",),
}
"""Groups of runtime-spec's `linux.resources` to the fields of a RunRequest that they come from."""


def update(containers: Containers, name: str, changes: Mapping[str, Any]) -> None:
    """changes: fields of RunRequest to new values; 0 and empty change nothing, as in docker, but for pids_limit.

    Raises UsageError for what a container could not be made with, Conflict for what contradicts what it has; nothing is
    changed then.
    """
    from tuidock.engine.containers import run_request

    with Held(containers.engine, containers.get(name).id) as container:
        before = run_request(container.request)
        given = {field: value for field, value in changes.items() if value or field == "pids_limit"}
        if "restart" in given:
            from tuidock.engine import restarts

            if not restarts.policy(given["restart"]).never and container.removes_itself:
                raise Conflict(
                    "Restart policy cannot be updated because AutoRemove is enabled for the container",
                    "a container of `run --rm` ends once",
                )
        swap = before.memory_swap or 2 * before.memory
        if "memory" in given and given["memory"] > swap >= 0 and "memory_swap" not in given:
            raise Conflict(
                "Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time",
                "add --memory-swap, -1 for any amount",
            )
        after = before.replace(**{"memory_swap": swap, **given} if "memory" in given else given)
        resources = limits.resources(after)
        if given.get("pids_limit", 1) <= 0:
            resources["pids"] = {"limit": -1}
        if container.running:
            touched = [group for group, fields in GROUPS.items() if given.keys() & set(fields)]
            cgroup = cgroups.existing(f"{containers.roots.cgroup}/{container.id}")
            if cgroup is not None and touched:
                cgroup.limit({group: resources[group] for group in touched if group in resources})
        with containers.database.transaction() as transaction:
            transaction.execute(
                "UPDATE containers SET request = ? WHERE id = ?",
                (dumps({**container.request, **after.as_dict()}), container.id),
            )
            transaction.tell("container", "update", container.id, reconcile.attributes(container))
