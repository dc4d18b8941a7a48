"""The fields of a tar's headers: bytes to numbers, times, names.  Whatever is no such thing is Refused.

Sources: pax(1) of POSIX.1-2024, "ustar Interchange Format" and "pax Extended Header"; GNU tar manual, "Basic Tar Format".
"""

from __future__ import annotations

from tuidock.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn


def clean(name: bytes) -> list[bytes]:
    """The parts of a name, as docker takes it: from the layer's root, without `.`, with `..` worked out.

    Raises Refused if it leads out of the root.

    >>> clean(b"/./usr/../etc/passwd")
    [b'etc', b'passwd']
    """
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if not parts:
                raise Refused(f"{shown(name)} leads out of the layer")
            parts.pop()
        elif part not in (b"", b"."):
            parts.append(part)
    return parts


def shown(name: bytes) -> str:
    """A name for a message."""
    return repr(name[:200].decode("utf-8", "backslashreplace"))


def number(field: bytes, what: str) -> int:
    """A header's number: octal digits, or binary if the first bit is set (GNU and star).  Raises Refused if negative."""
    if field[0] & 0x80:
        if field[0] & 0x40:
            raise Refused(f"a header with a negative {what}")
        return int.from_bytes(field, "big") & ~(1 << (8 * len(field) - 1))
    digits = field.strip(b" \0").partition(b"\0")[0]
    if not digits:
        return 0
    try:
        return int(digits, 8) if digits.isdigit() else wrong(digits, what)
    except ValueError:
        return wrong(digits, what)


def nanoseconds(text: bytes) -> int:
    """A pax time, seconds with any number of decimals, to ns; 0 for what is before 1970 or after 2262, as docker does."""
    whole, _, fraction = text.partition(b".")
    if text.startswith(b"-"):
        return 0
    if not whole.isdigit() or len(whole) > 20 or (fraction and not fraction.isdigit()):
        raise Refused(f"an extended header with {text[:40]!r} as a time")
    value = int(whole) * 1_000_000_000 + int(fraction[:9].ljust(9, b"0"))
    return value if value < 1 << 63 else 0


def pax_values(content: bytes) -> dict[bytes, bytes]:
    """An extended header: lines of `LENGTH KEY=VALUE`, where a value may hold anything, newlines too.  Raises Refused.

    The pieces of a sparse file in its oldest form, which are lines of the same keys, come back as one GNU.sparse.map.
    """
    values: dict[bytes, bytes] = {}
    pieces: list[bytes] = []
    at = 0
    while at < len(content):
        space = content.find(b" ", at, at + 12)
        digits = content[at:space] if space > at else b""
        end = at + int(digits) if digits.isdigit() else 0
        key, sign, value = content[space + 1 : end - 1].partition(b"=")
        if not digits.isdigit() or end <= space or end > len(content) or content[end - 1] != 10 or not sign or not key:
            raise Refused("a damaged extended header")
        if b"\0" in key or (key in (b"path", b"linkpath") and b"\0" in value):
            raise Refused("an extended header with a NUL in a name")
        if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
            pieces.append(value)
        values[key] = value
        at = end
    if pieces:
        values[b"GNU.sparse.map"] = b",".join(pieces)
    return values


def seconds(field: bytes) -> int:
    """The time of a plain header, in seconds; GNU writes those before 1970 as negative binary."""
    if field[0] & 0xC0 == 0xC0:
        return 0
    seconds = number(field, "time")
    return seconds if seconds < 1 << 33 else 0


def decimal(text: bytes, what: str) -> int:
    """A number of an extended header.  Raises Refused for what is none or too large to be one."""
    if not text.isdigit() or len(text) > 20:
        return wrong(text, what)
    value = int(text)
    if value >= 1 << 63:
        return wrong(text, what)
    return value


def wrong(text: bytes, what: str) -> NoReturn:
    """Refuses a field."""
    raise Refused(f"a header with {text[:40]!r} as {what}")


def sparse_pairs(block: bytes) -> list[tuple[int, int]]:
    """Offset and length by turns, as GNU puts them into headers; empty pairs are the rest of the block."""
    pairs = []
    for at in range(0, len(block), 24):
        if block[at : at + 24].strip(b"\0 "):
            pairs.append((number(block[at : at + 12], "offset"), number(block[at + 12 : at + 24], "length")))
    return pairs
