"""What the processes of the runtime say to each other: a kind, a length, and so many bytes, over a stream socket.

Between a front end and the monitor (attach.py, monitor.py) and between the monitor and a container's init (init.py).
A message that opens a conversation or reports on it is a JSON object; streams are plain bytes.  CVE-2021-43784 is why the
length is checked before anything is believed.
"""

from __future__ import annotations

import struct

from tuidock.oci.jsontext import dumps, loads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Iterator
    from typing import Any

HEADER = struct.Struct("!cI")
LENGTH = struct.Struct("!I")
LONGEST = 64 << 20

# to the monitor
START, ATTACH, WATCH, EXEC = b"S", b"A", b"W", b"E"
"""Open a conversation: start the container (the first one only), attach to it, wait for its end, run another process."""
INPUT, INPUT_END, RESIZE, SIGNAL, CLEANED = b"i", b"e", b"w", b"s", b"c"
# from the monitor
READY, FAILED, OUTPUT, ERROR_OUTPUT, EXITED = b"R", b"F", b"o", b"x", b"Q"
# between the monitor and init
GO, CONSOLE, DONE = b"G", b"C", b"D"


class Broken(Exception):
    """The other side said something that cannot be understood."""


def pack(kind: bytes, payload: bytes = b"") -> bytes:
    """One message."""
    return HEADER.pack(kind, len(payload)) + payload


def pack_json(kind: bytes, value: dict[str, Any]) -> bytes:
    """One message with an object."""
    return pack(kind, dumps(value).encode())


class Unpacker:
    """Bytes as they come to messages as they are whole."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, content: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(kind, payload) of each message that is whole now.  Raises Broken."""
        pending = self._pending
        pending += content
        position = 0
        while len(pending) - position >= HEADER.size:
            kind, length = HEADER.unpack_from(pending, position)
            if length > LONGEST:
                raise Broken(f"a message of {length} bytes")
            end = position + HEADER.size + length
            if len(pending) < end:
                break
            yield kind, bytes(pending[position + HEADER.size : end])
            position = end
        del pending[:position]


def read(channel: socket) -> tuple[bytes, bytes] | None:
    """The next message of a blocking socket, or None at its end.  Raises Broken."""
    kind = _exactly(channel, 1)
    return (kind, rest(channel)) if kind else None


def rest(channel: socket) -> bytes:
    """The payload of a message whose kind has been read.  Raises Broken."""
    (length,) = LENGTH.unpack(_exactly(channel, LENGTH.size) or bytes(LENGTH.size))
    if length > LONGEST:
        raise Broken(f"a message of {length} bytes")
    return _exactly(channel, length) if length else b""


def read_json(payload: bytes) -> dict[str, Any]:
    """The object of a message."""
    value = loads(payload)
    if not isinstance(value, dict):
        raise Broken("not an object")
    return value


def _exactly(channel: socket, count: int) -> bytes:
    parts = bytearray()
    while len(parts) < count:
        part = channel.recv(min(count - len(parts), 1 << 20))
        if not part:
            if parts:
                raise Broken("cut off")
            return b""
        parts += part
    return bytes(parts)
