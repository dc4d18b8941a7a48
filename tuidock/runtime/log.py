"""A container's log: what one read from the pipe gave is one frame of time, stream, length and bytes.

Written for speed: no text is looked at while the container writes.  Lines are the reader's work.  The file is append-only;
a frame that was cut off by a crash is the end of the log.
"""

from __future__ import annotations

import os
import struct

from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

HEADER = struct.Struct("<QBI")
STDOUT, STDERR = 1, 2
STREAMS = {STDOUT: "stdout", STDERR: "stderr"}
SIZE, FILES = 20_000_000, 5
"""Of a log without options: bytes of a file, and how many (docker's driver `local`)."""
LINE_LIMIT = 16 << 10
"""A longer line is given in parts, as docker's json-file log does."""


class LogLine(Value):
    """One line, or a part of one."""

    time: int
    """ns since the epoch, of the read that brought its first byte"""
    stream: str
    """stdout or stderr; a terminal has stdout only"""
    text: bytes
    """without the newline"""
    complete: bool = True
    """False: it had no newline (yet), or it is longer than LINE_LIMIT and goes on in the next one"""


class Writer:
    """The monitor's end.

    A file of max_size bytes becomes `path.1`, that one `path.2` and so on, max_files in all; a max_size of 0 has no end.
    """

    def __init__(self, path: str, *, max_size: int = 0, max_files: int = 1) -> None:
        self.path = path
        self.max_size = max_size
        self.max_files = max_files
        self._open()

    def _open(self) -> None:
        self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        self.size = os.fstat(self.descriptor).st_size

    def write(self, time: int, stream: int, content: bytes) -> None:
        """Append one frame.  Raises OSError (ENOSPC): what fits of it is taken back, so the file stays readable."""
        self._append(HEADER.pack(time, stream, len(content)) + content)

    def _append(self, frame: bytes) -> None:
        if self.descriptor < 0:
            self._open()
        if self.max_size and self.size >= self.max_size:
            self._rotate()
        written = os.write(self.descriptor, frame)
        if written != len(frame):
            os.ftruncate(self.descriptor, os.fstat(self.descriptor).st_size - written)
            raise OSError(28, "no space left for the log")
        self.size += written

    def _rotate(self) -> None:
        """Who follows sees by the file's inode that another one goes on."""
        os.close(self.descriptor)
        self.descriptor = -1  # until there is room for the next one
        if self.max_files == 1:
            os.unlink(self.path)
        for number in range(self.max_files - 1, 0, -1):
            older = f"{self.path}.{number - 1}" if number > 1 else self.path
            try:
                os.rename(older, f"{self.path}.{number}")
            except FileNotFoundError:
                continue
        self._open()

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)


class Reader:
    """Frames from the beginning, as far as they are there; call `frames` again for what has come since."""

    def __init__(self, path: str) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.position = 0

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """(time, stream, bytes) of each whole frame not given before."""
        size = os.fstat(self.descriptor).st_size
        while self.position + HEADER.size <= size:
            header = os.pread(self.descriptor, HEADER.size, self.position)
            time, stream, length = HEADER.unpack(header)
            if stream not in STREAMS or self.position + HEADER.size + length > size:
                return
            content = os.pread(self.descriptor, length, self.position + HEADER.size)
            self.position += HEADER.size + length
            yield time, stream, content

    def close(self) -> None:
        os.close(self.descriptor)


class Nowhere(Writer):
    """Keeps nothing (docker's driver `none`)."""

    def _open(self) -> None:
        self.descriptor = os.open("/dev/null", os.O_WRONLY | os.O_CLOEXEC)
        self.size = 0


def writer(path: str, driver: str = "local", max_size: int = SIZE, max_files: int = FILES) -> Writer:
    """The one for a driver: local, json-file, none."""
    if driver == "none":
        return Nowhere(path)
    if driver == "json-file":
        from tuidock.runtime.jsonlog import JsonWriter

        return JsonWriter(path, max_size=max_size, max_files=max_files)
    return Writer(path, max_size=max_size, max_files=max_files)


class Lines:
    """Frames to lines, each stream on its own: a line that came in several reads is one again."""

    def __init__(self) -> None:
        self._begun: dict[int, tuple[int, bytes]] = {}

    def feed(self, time: int, stream: int, content: bytes) -> Iterator[LogLine]:
        """The lines that this frame completes."""
        since, before = self._begun.pop(stream, (time, b""))
        *lines, rest = (before + content).split(b"\n")
        name = STREAMS[stream]
        for text in lines:
            while len(text) > LINE_LIMIT:
                yield LogLine(since, name, text[:LINE_LIMIT], False)
                text = text[LINE_LIMIT:]
            yield LogLine(since, name, text)
            since = time
        while len(rest) > LINE_LIMIT:
            yield LogLine(since, name, rest[:LINE_LIMIT], False)
            rest = rest[LINE_LIMIT:]
        if rest:
            self._begun[stream] = (since, rest)

    def rest(self) -> Iterator[LogLine]:
        """What has no newline yet, at the end."""
        for stream, (time, text) in self._begun.items():
            yield LogLine(time, STREAMS[stream], text, False)
        self._begun = {}
