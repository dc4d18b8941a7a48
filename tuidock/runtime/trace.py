"""The record of the calls that mean something: which, with what, what came back, and how long it took.

Always on: a call costs a microsecond here and a tuple.  What is kept is as the kernel got it (numbers, strings); names of
flags are put in by who shows it.  Each process has its own list; the init child sends its one to the monitor before execve.
"""

from __future__ import annotations

import time

now = time.perf_counter_ns

calls: list[tuple[str, list[object], int, int, int]] = []
"""name, arguments (numbers and strings), result (-1 failed), errno (0 none), nanoseconds; in order of their ends."""

KEPT = 2000
"""A monitor lives for months and enters the container for every exec; more than this is never of one start."""


def add(name: str, arguments: tuple[object, ...], result: int, error: int, nanoseconds: int) -> None:
    """Write one call down."""
    if len(calls) < KEPT:
        calls.append((name, list(arguments), result, error, nanoseconds))


def take() -> list[tuple[str, list[object], int, int, int]]:
    """All that was written down since the last time, and forget it."""
    taken = calls[:]
    calls.clear()
    return taken
