"""What state a container is in: as a sign, as a colour's role, short for a list, and as a sentence."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

from tuidock.tui.words import ago, binary_size, since

if TYPE_CHECKING:
    from tuidock.engine.reconcile import Container

_LOOKS = {
    "running": ("●", "running"),
    "starting": ("◐", "created"),
    "created": ("◌", "created"),
    "paused": ("◫", "paused"),
    "exited": ("○", "stopped"),
    "removing": ("◌", "removed"),
}


def look(container: Container) -> tuple[str, str]:
    """A sign and a role (`$running` …): never the colour alone."""
    if container.status == "exited" and container.exit_code:
        return "✗", "$failed"
    if container.status == "created" and container.error:
        return "✗", "$failed"
    sign, role = _LOOKS.get(container.status, ("?", "stopped"))
    return sign, f"${role}"


def short(container: Container) -> str:
    """At most eleven cells: `up 3 min`, `exit 137`, `created`."""
    if container.status == "running":
        return f"up {since(container.started_at)}"
    if container.status == "exited":
        return f"exit {container.exit_code}"
    return "failed" if container.status == "created" and container.error else container.status


def sentence(container: Container) -> str:
    """How it is, or how it ended and why."""
    if container.status == "running":
        return f"running, started {ago(container.started_at)}"
    if container.status == "created":
        return (
            f"could not start: {container.error}" if container.error else f"created {ago(container.created_at)}, never started"
        )
    if container.status == "exited":
        return f"{ending(container)}, {ago(container.finished_at)}"
    return container.status


def ending(container: Container) -> str:
    """Why it ended, in words.  128 + N is signal N (wait(2))."""
    code = container.exit_code
    if container.oom_killed and code == 137:
        limit = container.request.get("memory", 0)
        return "killed by the kernel: out of memory" + (f" at {binary_size(limit)}" if limit else "")
    if container.error:
        return f"failed: {container.error}"
    if code == 0:
        return "ended well"
    if code > 128:
        try:
            return f"ended by {signal.Signals(code - 128).name} (status {code})"
        except ValueError:
            pass
    return f"ended with status {code}"
