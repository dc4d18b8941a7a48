"""What docker's columns say and how they stand: durations, sizes, truncated words, aligned tables.

docker/go-units duration.go and size.go, docker/cli formatter, and Go's text/tabwriter.
"""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuidock.engine.reconcile import Container

SHORT_ID = 12
NANO = 1_000_000_000
_DECIMAL = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
_BINARY = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")


def human_duration(seconds: float) -> str:
    """About how long: `5 seconds`, `About a minute`, `3 weeks`."""
    whole = int(seconds)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    minutes = whole // 60
    if minutes < 60:
        return "About a minute" if minutes == 1 else f"{minutes} minutes"
    hours = int(seconds / 3600 + 0.5)
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(nanoseconds: int, now: int = 0) -> str:
    """`5 minutes ago`, from a time in ns since the epoch; now: the same, 0 for the present."""
    return f"{human_duration(((now or time.time_ns()) - nanoseconds) / NANO)} ago"


def human_size(size: float, precision: int = 4) -> str:
    """Bytes with a decimal unit: 1.984MB; docker's listings use three digits, 1.98MB."""
    return _size(size, 1000, _DECIMAL, precision)


def binary_size(size: float) -> str:
    """Bytes with a binary unit: 23.54GiB."""
    return _size(size, 1024, _BINARY, 4)


def _size(size: float, base: int, units: tuple[str, ...], precision: int) -> str:
    place = 0
    while size >= base and place < len(units) - 1:
        size /= base
        place += 1
    return f"{size:.{precision}g}{units[place]}"


def status_text(container: Container, now: int = 0, health: str = "none") -> str:
    """Docker's STATUS: `Up 5 minutes`, `Exited (137) 3 seconds ago`, `Created`.

    now: ns since the epoch.  health: of a container with a check: starting, healthy, unhealthy.
    """
    now = now or time.time_ns()
    if container.status == "running":
        checked = {"none": "", "starting": " (health: starting)"}.get(health, f" ({health})")
        return f"Up {human_duration((now - container.started_at) / NANO)}{checked}"
    if container.status == "paused":
        return f"Up {human_duration((now - container.started_at) / NANO)} (Paused)"
    if container.status == "restarting":
        return f"Restarting ({container.exit_code}) {ago(container.finished_at, now)}"
    if container.status == "removing":
        return "Removal In Progress"
    if container.status == "exited":
        return f"Exited ({container.exit_code}) {ago(container.finished_at, now)}"
    return "Created"


def short_id(name: str) -> str:
    """Twelve digits, without the algorithm."""
    return name.partition(":")[2][:SHORT_ID] if ":" in name else name[:SHORT_ID]


def ellipsis(text: str, width: int) -> str:
    """The text, or its beginning and `…`, in at most `width` columns; wide characters take two."""
    if text.isascii():
        return text if len(text) <= width else f"{text[: width - 1]}…"
    columns = [_columns(character) for character in text]
    if sum(columns) <= width:
        return text
    used, kept = 0, 0
    while used + columns[kept] < width:
        used += columns[kept]
        kept += 1
    return f"{text[:kept]}…"


def _columns(character: str) -> int:
    from unicodedata import combining, east_asian_width

    return 0 if combining(character) else 2 if east_asian_width(character) in "WF" else 1


def local_time(nanoseconds: int) -> str:
    """2026-11-23 21:01:39 +0000 UTC, as Go prints a time."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z %Z", time.localtime(nanoseconds // NANO))


def rfc3339(nanoseconds: int, *, fraction: bool = True, local: bool = True) -> str:
    """2026-11-23T20:57:11.685959638Z; nine digits after the point, or none."""
    seconds, rest = divmod(nanoseconds, NANO)
    parts = time.localtime(seconds) if local else time.gmtime(seconds)
    offset = time.strftime("%z", parts) if local else ""
    zone = f"{offset[:3]}:{offset[3:]}" if offset.strip("+-0") else "Z"
    return time.strftime("%Y-%m-%dT%H:%M:%S", parts) + (f".{rest:09d}" if fraction else "") + zone


def table(text: str, least: int = 10, padding: int = 3) -> str:
    """Lines with tab-separated cells, aligned as Go's tabwriter does it: a column is a run of lines that have it.

    least: columns of the narrowest cell.
    """
    lines = [line.split("\t") for line in text.split("\n")]
    _align(lines, 0, 0, len(lines), least, padding)
    return "\n".join("".join(cells) for cells in lines)


def _align(lines: Sequence[list[str]], start: int, column: int, end: int, least: int, padding: int) -> None:
    """Pad the cells of `column` in each run of lines that have one after it; then what stands to its right."""
    at = start
    while at < end:
        if len(lines[at]) <= column + 1:
            at += 1
            continue
        last = at
        while last < end and len(lines[last]) > column + 1:
            last += 1
        _align(lines, at, column + 1, last, least, padding)
        width = max(least, *(len(line[column]) + padding for line in lines[at:last]))
        for line in lines[at:last]:
            line[column] = line[column].ljust(width)
        at = last
