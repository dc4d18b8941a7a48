"""Signals by name or number, as `kill`, `--stop-signal` and STOPSIGNAL take them.  signal(7)."""

from __future__ import annotations

import _signal

from tuidock.errors import UsageError

NAMES: dict[str, int] = {
    name[3:]: int(value)
    for name, value in vars(_signal).items()
    if name.startswith("SIG") and not name.startswith("SIG_") and isinstance(value, int)
}
"""TERM, KILL …: without SIG."""


def number(text: str) -> int:
    """TERM, SIGTERM, sigterm, 15, RTMIN+1 to a number.  Raises UsageError."""
    name = text.upper().removeprefix("SIG")
    if name.isdecimal() and len(name) < 4 and 0 < int(name) < _signal.NSIG:
        return int(name)
    base, sign, offset = name.partition("+") if "+" in name else name.partition("-")
    if base in ("RTMIN", "RTMAX") and sign and offset.isdecimal() and len(offset) < 4:
        value = NAMES[base] + (int(offset) if sign == "+" else -int(offset))
        if NAMES["RTMIN"] <= value <= NAMES["RTMAX"]:
            return value
    if name in NAMES:
        return NAMES[name]
    raise UsageError(f"invalid signal: {text}", "a name such as TERM or SIGTERM, or a number from 1 to 64")


def name(value: int) -> str:
    """15 to SIGTERM."""
    for word, known in NAMES.items():
        if known == value and word not in ("CLD", "POLL"):
            return f"SIG{word}"
    return f"signal {value}"
