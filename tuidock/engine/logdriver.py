"""Where a container's output is kept: --log-driver and --log-opt."""

from __future__ import annotations

from tuidock.errors import UsageError
from tuidock.runtime import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.engine.reconcile import Container

DEFAULT = "local"
DRIVERS: dict[str, tuple[str, ...]] = {
    "local": ("max-size", "max-file", "compress", "labels", "env"),
    "json-file": ("max-size", "max-file", "compress", "labels", "env", "tag"),
    "none": (),
}
"""Name to the options that it takes; nothing is compressed yet."""
ELSEWHERE = ("journald", "syslog", "gelf", "fluentd", "awslogs", "splunk", "gcplogs", "etwlogs")
"""Docker's drivers that send it away."""
LIMITS = {"local": (log.SIZE, log.FILES), "json-file": (0, 1)}
"""Bytes of a file, 0 for no end, and how many files: docker's defaults."""
UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12}


class Unread(UsageError):
    exit_status = 1


def options(driver: str, words: tuple[str, ...]) -> dict[str, str]:
    """KEY=VALUE words of --log-opt as docker's LogConfig has them.  Raises UsageError."""
    found = dict(word.partition("=")[::2] for word in words)
    driver = driver or DEFAULT
    if driver in ELSEWHERE:
        raise UsageError(f"log driver {driver} is not there", f"{', '.join(DRIVERS)} are")
    if driver not in DRIVERS:
        raise UsageError(f"logger: no log driver named '{driver}' is registered", f"one of {', '.join(DRIVERS)}")
    if driver == "none" and found:
        raise UsageError("invalid logging opts for driver none", "it keeps nothing")
    for name in found:
        if name not in DRIVERS[driver]:
            raise UsageError(f"unknown log opt '{name}' for {driver} log driver", f"it has {', '.join(DRIVERS[driver])}")
    limits(driver, found)
    return found


def limits(driver: str, given: Mapping[str, str]) -> tuple[int, int]:
    """(bytes of a file, number of files).  Raises UsageError."""
    size, files = LIMITS.get(driver or DEFAULT, (0, 1))
    if "max-size" in given:
        size = _size(given["max-size"])
    if "max-file" in given:
        try:
            files = int(given["max-file"])
        except ValueError:
            raise UsageError(f"invalid max-file: {given['max-file']!r} is no number", "--log-opt max-file=3") from None
        if files < 1:
            raise UsageError("max-file cannot be less than 1", "--log-opt max-file=3")
    return size, files


def _size(text: str) -> int:
    """10m is ten million bytes (go-units, FromHumanSize); -1 has no end."""
    if text == "-1":
        return 0
    number = text.lower().removesuffix("b")
    unit = number[-1:] if number[-1:] in UNITS else ""
    try:
        size = int(float(number.removesuffix(unit)) * UNITS[unit])
    except ValueError:
        size = 0
    if size <= 0:
        raise UsageError(f"invalid size: '{text}'", "--log-opt max-size=10m")
    return size


def told(request: Mapping[str, Any]) -> dict[str, Any]:
    """What the monitor hears of it: driver, max_size, max_files."""
    driver = request.get("log_driver") or DEFAULT
    size, files = limits(driver, options(driver, tuple(request.get("log_opts", ()))))
    return {"driver": driver, "max_size": size, "max_files": files}


def shown(request: Mapping[str, Any]) -> dict[str, Any]:
    """Docker's LogConfig."""
    driver = request.get("log_driver") or DEFAULT
    return {"Type": driver, "Config": options(driver, tuple(request.get("log_opts", ())))}


def details(container: Container) -> str:
    """What `logs --details` puts before each line: the labels and variables that --log-opt labels= and env= name."""
    from urllib.parse import quote_plus

    given = shown(container.request)["Config"]
    config = container.config["Config"]
    variables = dict(word.partition("=")[::2] for word in config["Env"])
    pairs = {name: config["Labels"][name] for name in given.get("labels", "").split(",") if name in config["Labels"]}
    pairs |= {name: variables[name] for name in given.get("env", "").split(",") if name in variables}
    return ",".join(f"{quote_plus(name)}={quote_plus(value)}" for name, value in sorted(pairs.items()))


def refuse_unread(container: Container) -> None:
    """Raises Unread for one that keeps no log."""
    if container.request.get("log_driver") == "none":
        raise Unread("configured logging driver does not support reading", "--log-driver none keeps nothing")
