"""What is written after an option, read as its kind: true, 64m, 1.5, 10s.  Refusals are worded as Go's libraries word them.

docker/go-units size.go, strconv and time of Go: people compare the messages, and scripts match them.
"""

from __future__ import annotations

from tuidock.engine.options import BOOL, BYTES, DECIMAL, DURATION, INTEGER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_BINARY = {"k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40, "p": 1 << 50}
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "μs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
INTEGER_LIMIT = 1 << 63


def read(kind: str, text: str, name: str = "") -> Any:
    """Text to the value of a kind.  name: the option's, for the one whose kind has an exception.  Raises ValueError."""
    if kind == BOOL:
        return boolean(text)
    if kind == INTEGER:
        return integer(text)
    if kind == BYTES:
        return -1 if name == "memory-swap" and text == "-1" else size(text)
    if kind == DECIMAL:
        return decimal(text)
    if kind == DURATION:
        return round(duration(text) * 1e9)
    return text


def boolean(text: str) -> bool:
    """strconv.ParseBool."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def integer(text: str) -> int:
    """strconv.ParseInt with base 0: 10, 0x1f, 0o17, 017, 0b1."""
    wrong = f"strconv.ParseInt: parsing {quote(text)}: "
    digits = text.lstrip("+-")
    if len(text) - len(digits) > 1 or text != text.strip():
        raise ValueError(f"{wrong}invalid syntax")
    try:
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        value = int(digits, 8 if octal else 0)
    except ValueError:
        raise ValueError(f"{wrong}invalid syntax") from None
    value = -value if text[0] == "-" else value
    if not -INTEGER_LIMIT <= value < INTEGER_LIMIT:
        raise ValueError(f"{wrong}value out of range")
    return value


def size(text: str) -> int:
    """64m, 1.5g, 1024, 10MiB to bytes: units.RAMInBytes, where k is 1024."""
    end = max(text.rfind(character) for character in "01234567890. ")
    if end < 0:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = text[: end if text[end] == " " else end + 1], text[end + 1 :].lower()
    try:
        value = _float(number)
    except ValueError:
        raise ValueError(f"strconv.ParseFloat: parsing {quote(number)}: invalid syntax") from None
    if value < 0:
        raise ValueError(f"invalid size: '{text}'")
    if suffix in ("", "b"):
        factor = 1
    elif suffix[0] in _BINARY and suffix[1:] in ("", "b", "ib"):
        factor = _BINARY[suffix[0]]
    else:
        raise ValueError(f"invalid suffix: '{suffix}'")
    if value * factor >= INTEGER_LIMIT:
        raise ValueError(f"invalid size: '{text}'")
    return int(value * factor)


def decimal(text: str) -> float:
    """Docker's --cpus: 1.5, 2e-1, 1/3; at most nine digits after the point."""
    try:
        above, slash, below = text.partition("/")
        value = _float(above) / _float(below) if slash else _float(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if not slash and len(text.rstrip("0").partition(".")[2]) > 9:
        raise ValueError("value is too precise")
    return value


def duration(text: str) -> float:
    """time.ParseDuration: 1h30m, 1.5s, 300ms, -2m to seconds."""
    wrong = f"time: invalid duration {quote(text)}"
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0.0
    if not rest:
        raise ValueError(wrong)
    seconds = 0.0
    while rest:
        number = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(number) :]
        unit = rest[: len(rest) - len(rest.lstrip("abcdefghijklmnopqrstuvwxyzµμ"))]
        rest = rest[len(unit) :]
        if not number or number.count(".") > 1 or number == ".":
            raise ValueError(wrong)
        if not unit:
            raise ValueError(f"time: missing unit in duration {quote(text)}")
        if unit not in _SECONDS:
            raise ValueError(f"time: unknown unit {quote(unit)} in duration {quote(text)}")
        seconds += float(number) * _SECONDS[unit]
    return -seconds if text[0] == "-" else seconds


def quote(text: str) -> str:
    """Go's %q, for the characters that a shell lets through."""
    shown = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t").replace("\r", "\\r")
    if not shown.isprintable():
        shown = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" if ord(c) < 128 else f"\\u{ord(c):04x}" for c in shown)
    return f'"{shown}"'


def _float(text: str) -> float:
    """float(), without what Go's ParseFloat refuses: spaces, and numbers that are none."""
    if not text or text != text.strip() or text.lower().lstrip("+-")[:1] in ("n", "i"):
        raise ValueError(text)
    return float(text)
