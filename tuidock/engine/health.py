"""Health checks: what the image and the user ask for, what the monitor is told, and what it has found out.

moby: daemon/health.go; docker/cli: container/opts.go.
"""

from __future__ import annotations

from tuidock.engine import spec
from tuidock.errors import UsageError
from tuidock.runtime import bundle
from tuidock.runtime.spawn import interpreter_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import RunRequest
    from tuidock.storage.paths import Roots

NANO = 1_000_000_000
FIELDS = {
    "Interval": "health_interval",
    "Timeout": "health_timeout",
    "StartPeriod": "health_start_period",
    "StartInterval": "health_start_interval",
    "Retries": "health_retries",
}
"""Docker's names of a check's numbers to the fields of a RunRequest."""
DEFAULTS = {"Interval": 30 * NANO, "Timeout": 30 * NANO, "StartPeriod": 0, "StartInterval": 5 * NANO, "Retries": 3}
ORDER = ("Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries")
"""as docker shows them"""
SHORTEST = 1_000_000
"""ns"""


def merged(image: Mapping[str, Any] | None, request: RunRequest) -> dict[str, Any] | None:
    """Docker's `Healthcheck`: what the user says, and the image's where that says nothing; None if neither does.

    Raises UsageError in docker's words.
    """
    own: dict[str, Any] = {name: getattr(request, field) for name, field in FIELDS.items() if getattr(request, field)}
    if request.health_cmd:
        own["Test"] = ["CMD-SHELL", request.health_cmd]
    if request.no_healthcheck:
        if own:
            raise UsageError("--no-healthcheck conflicts with --health-* options", "leave one of them out")
        return {"Test": ["NONE"]}
    for name, value in own.items():
        if name != "Test" and value < 0:
            raise UsageError(f"--{FIELDS[name].replace('_', '-')} cannot be negative", "0 is docker's default")
        if name not in ("Test", "Retries") and value < SHORTEST:
            raise UsageError(f"{name} in Healthcheck cannot be less than one millisecond", "as in 30s, 500ms")
    both = {**(image or {}), **own}
    return {name: both[name] for name in ORDER if name in both} or None


def words(check: Mapping[str, Any] | None) -> list[str]:
    """The command of a check; empty if there is none."""
    test = list((check or {}).get("Test") or ())
    if test[:1] == ["CMD"]:
        return test[1:]
    return ["/bin/sh", "-c", *test[1:]] if test[:1] == ["CMD-SHELL"] else []


def asked(
    container: Container, request: RunRequest, roots: Roots, *, capabilities: Sequence[str], seccomp: str
) -> dict[str, Any] | None:
    """What the monitor is told (runtime/health.py), or None where nothing is to be checked."""
    config = container.config["Config"]
    check = config.get("Healthcheck")
    command = words(check)
    if not command:
        return None
    numbers = {name: check.get(name) or default for name, default in DEFAULTS.items()}
    return {
        "process": spec.process(
            config["Env"], command, user=config["User"], workdir=config["WorkingDir"], terminal=False,
            capabilities=capabilities, security=request.security_opt, hostname=config["Hostname"], request=request,
        ),
        "seccomp": seccomp,
        "interval": numbers["Interval"] / NANO,
        "timeout": numbers["Timeout"] / NANO,
        "start_period": numbers["StartPeriod"] / NANO,
        "start_interval": numbers["StartInterval"] / NANO,
        "retries": numbers["Retries"],
        "file": roots.container(container.id).health,
        "tell": [*interpreter_command("tuidock.engine.tell", "sys.argv[2:]"), roots.data, roots.run, container.id],
    }  # fmt: skip


def found(container: Container, roots: Roots) -> dict[str, Any] | None:
    """status (starting, healthy, unhealthy), streak, and log: the last results with start and end (ns), exit and output.

    None for a container without a check, and for one that was never started.
    """
    if not words(container.config["Config"].get("Healthcheck")):
        return None
    return bundle.read_json(roots.container(container.id).health)


def status(container: Container, roots: Roots) -> str:
    """starting, healthy, unhealthy; none for a container without a check."""
    state = found(container, roots)
    return str(state["status"]) if state else "none"
