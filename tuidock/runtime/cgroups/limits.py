"""Docker's flags to runtime-spec's `linux.resources`.  Pure but for the number of processors."""

from __future__ import annotations

import os

from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

PERIOD = 100_000
"""Microseconds: the time of which `--cpus` is a share (docker's)."""
LEAST_MEMORY = 6 << 20


def rule(allow: bool, kind: str, major: int | None = None, minor: int | None = None, access: str = "rwm") -> dict[str, Any]:
    """An entry of `linux.resources.devices`."""
    numbers = {name: value for name, value in (("major", major), ("minor", minor)) if value is not None}
    return {"allow": allow, "type": kind, "access": access, **numbers}


DEVICES = [
    rule(False, "a"),
    rule(True, "c", access="m"), rule(True, "b", access="m"),  # a node may be made of anything, and used only if it is below
    rule(True, "c", 1, 3), rule(True, "c", 1, 5), rule(True, "c", 1, 7), rule(True, "c", 1, 8), rule(True, "c", 1, 9),
    rule(True, "c", 5, 0), rule(True, "c", 5, 1), rule(True, "c", 5, 2), rule(True, "c", 136),
]  # fmt: skip
"""null zero full random urandom, tty console ptmx pts: moby's default and what runc adds."""


def resources(
    *, memory: int = 0, memory_swap: int = 0, cpus: float = 0.0, pids_limit: int = 0, privileged: bool = False
) -> dict[str, Any]:
    """memory, memory_swap: bytes; 0 is no limit, a memory_swap of -1 is any amount of swap, 0 twice the memory.

    cpus: processors; 0 is no limit.  pids_limit: 0 and -1 are no limit.  Raises UsageError in docker's words.
    """
    found: dict[str, Any] = {"devices": [rule(True, "a")] if privileged else DEVICES}
    if memory:
        if memory < LEAST_MEMORY:
            raise UsageError("Minimum memory limit allowed is 6MB", "give -m more, with a unit: 64m, 1g")
        if 0 < memory_swap < memory:
            raise UsageError(
                "Minimum memoryswap limit should be larger than memory limit, see usage",
                "--memory-swap is memory and swap together",
            )
        found["memory"] = {"limit": memory, "swap": memory_swap or 2 * memory}
    elif memory_swap > 0:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage", "add -m")
    if cpus:
        there = os.cpu_count() or 1
        if not 0.01 <= cpus <= there:
            raise UsageError(
                f"range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available", "give --cpus less"
            )
        found["cpu"] = {"quota": round(cpus * PERIOD), "period": PERIOD}
    if pids_limit > 0:
        found["pids"] = {"limit": pids_limit}
    return found
