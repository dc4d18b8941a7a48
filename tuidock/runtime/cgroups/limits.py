"""Docker's flags to runtime-spec's `linux.resources`.  Pure but for the number of processors."""

from __future__ import annotations

import os

from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Protocol

    class Limits(Protocol):
        """The fields of a RunRequest that limit something; 0 and empty are no limit."""

        @property
        def memory(self) -> int:
            """bytes"""

        @property
        def memory_swap(self) -> int:
            """bytes of memory and swap together; -1 is any amount, 0 twice the memory"""

        @property
        def memory_reservation(self) -> int:
            """bytes that it keeps when memory is short"""

        @property
        def cpus(self) -> float: ...
        @property
        def cpu_shares(self) -> int: ...
        @property
        def cpu_period(self) -> int:
            """microseconds"""

        @property
        def cpu_quota(self) -> int:
            """microseconds of each period"""

        @property
        def cpuset_cpus(self) -> str: ...
        @property
        def cpuset_mems(self) -> str: ...
        @property
        def pids_limit(self) -> int:
            """-1 is no limit, too"""


PERIOD = 100_000
"""Microseconds: the time of which `--cpus` is a share (docker's)."""
LEAST_MEMORY = 6 << 20
LEAST_SHARES, MOST_SHARES = 2, 262144


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


def resources(asked: Limits, *, privileged: bool = False) -> dict[str, Any]:
    """Raises UsageError in docker's words (moby, daemon/daemon_unix.go, verifyPlatformContainerResources)."""
    found: dict[str, Any] = {"devices": [rule(True, "a")] if privileged else DEVICES}
    for group, values in (("memory", _memory(asked)), ("cpu", _cpu(asked))):
        if values:
            found[group] = values
    if asked.pids_limit > 0:
        found["pids"] = {"limit": asked.pids_limit}
    return found


def _memory(asked: Limits) -> dict[str, int]:
    memory, swap, reservation = asked.memory, asked.memory_swap, asked.memory_reservation
    found = {}
    if memory:
        if memory < LEAST_MEMORY:
            raise UsageError("Minimum memory limit allowed is 6MB", "give -m more, with a unit: 64m, 1g")
        if 0 < swap < memory:
            raise UsageError(
                "Minimum memoryswap limit should be larger than memory limit, see usage",
                "--memory-swap is memory and swap together",
            )
        found = {"limit": memory, "swap": swap or 2 * memory}
    elif swap > 0:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage", "add -m")
    if reservation:
        if reservation < LEAST_MEMORY:
            raise UsageError("Minimum memory reservation allowed is 6MB", "give it a unit: 64m, 1g")
        if 0 < memory < reservation:
            raise UsageError(
                "Minimum memory limit can not be less than memory reservation limit, see usage",
                "-m is the most, --memory-reservation what is left to it when memory is short",
            )
        found["reservation"] = reservation
    return found


def _cpu(asked: Limits) -> dict[str, int | str]:
    found: dict[str, int | str] = {}
    there = os.cpu_count() or 1
    if asked.cpu_shares:
        found["shares"] = min(max(asked.cpu_shares, LEAST_SHARES), MOST_SHARES)
    if asked.cpus:
        for name, value in (("Period", asked.cpu_period), ("Quota", asked.cpu_quota)):
            if value:
                raise UsageError(f"Conflicting options: Nano CPUs and CPU {name} cannot both be set.", "--cpus alone says both")
        if not 0.01 <= asked.cpus <= there:
            raise UsageError(
                f"range of CPUs is from 0.01 to {there}.00, as there are only {there} CPUs available", "give --cpus less"
            )
        found |= {"quota": round(asked.cpus * PERIOD), "period": PERIOD}
    if asked.cpu_period:
        if not 1000 <= asked.cpu_period <= 1_000_000:
            raise UsageError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
        found["period"] = asked.cpu_period
    if asked.cpu_quota:
        if 0 < asked.cpu_quota < 1000:
            raise UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
        found["quota"] = asked.cpu_quota
    for key, text, what, path in (
        ("cpus", asked.cpuset_cpus, "CPUs", "/sys/devices/system/cpu/online"),
        ("mems", asked.cpuset_mems, "memory nodes", "/sys/devices/system/node/online"),
    ):
        if text:
            _among(text, what, path)
            found[key] = text
    return found


def _among(text: str, what: str, path: str) -> None:
    """Whether all numbers of `0-2,4` are among those of a file of the same form."""
    try:
        with open(path) as file:
            there = file.read().strip()
    except OSError:
        there = "0"  # one node, and a kernel that does not speak of nodes
    try:
        missing = numbers(text) - numbers(there)
    except ValueError:
        raise UsageError(f"Invalid value {text} for cpuset {'cpus' if what == 'CPUs' else 'mems'}", "as in 0-2,4") from None
    if missing:
        raise UsageError(f"Requested {what} are not available - requested {text}, available: {there}")


def numbers(text: str) -> set[int]:
    """Raises ValueError.

    >>> sorted(numbers("0-2,4"))
    [0, 1, 2, 4]
    """
    found: set[int] = set()
    for word in text.split(","):
        first, _, last = word.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal()) or int(last or first) > 8191:
            raise ValueError(text)
        found.update(range(int(first), int(last or first) + 1))
    return found
