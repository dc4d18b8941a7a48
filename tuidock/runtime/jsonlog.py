"""A log as docker's json-file driver writes it: a line of JSON for each line, for programs that read such files.

{"log":"text\\n","stream":"stdout","time":"2026-11-25T10:00:00.123456789Z"}; moby, daemon/logger/jsonfilelog.
"""

from __future__ import annotations

import os
import time as clock

from tuidock.oci.jsontext import dumps, loads
from tuidock.runtime.log import STREAMS, Lines, Reader, Writer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuidock.runtime.log import LogLine

CHUNK = 64 << 10
NUMBERS = {name: number for number, name in STREAMS.items()}


class JsonWriter(Writer):
    """Lines are written when they are whole, or longer than LINE_LIMIT; what has no newline at the end, then."""

    def __init__(self, path: str, *, max_size: int = 0, max_files: int = 1) -> None:
        super().__init__(path, max_size=max_size, max_files=max_files)
        self._lines = Lines()

    def write(self, time: int, stream: int, content: bytes) -> None:
        for line in self._lines.feed(time, stream, content):
            self._line(line)

    def _line(self, line: LogLine) -> None:
        text = line.text.decode("utf-8", "replace") + ("\n" if line.complete else "")
        seconds, rest = divmod(line.time, 1_000_000_000)
        stamp = f"{clock.strftime('%Y-%m-%dT%H:%M:%S', clock.gmtime(seconds))}.{rest:09d}".rstrip("0").rstrip(".") + "Z"
        self._append(dumps({"log": text, "stream": line.stream, "time": stamp}).encode() + b"\n")

    def close(self) -> None:
        for line in self._lines.rest():
            self._line(line)
        super().close()


class JsonReader(Reader):
    """The same frames as Reader's, from such a file."""

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        pending = b""
        while content := os.pread(self.descriptor, CHUNK, self.position + len(pending)):
            *lines, pending = (pending + content).split(b"\n")
            for line in lines:
                self.position += len(line) + 1
                frame = _frame(line)
                if frame is not None:
                    yield frame


def _frame(line: bytes) -> tuple[int, int, bytes] | None:
    """One line of the file; None for one that is none."""
    try:
        found = loads(line)
        return _nanoseconds(found["time"]), NUMBERS[found["stream"]], found["log"].encode()
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _nanoseconds(stamp: str) -> int:
    whole, _, fraction = stamp.rstrip("Z").partition(".")
    year, month, day = (int(part) for part in whole[:10].split("-"))
    hour, minute, second = (int(part) for part in whole[11:].split(":"))
    before = year - (month <= 2)  # days since the epoch, Howard Hinnant's days_from_civil
    days = 365 * before + before // 4 - before // 100 + before // 400 + (153 * ((month + 9) % 12) + 2) // 5 + day - 719469
    return (days * 86400 + hour * 3600 + minute * 60 + second) * 1_000_000_000 + int(fraction[:9].ljust(9, "0") or 0)
