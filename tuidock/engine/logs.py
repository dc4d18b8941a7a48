"""A container's log as lines: all of it, its last ones, those of a time, and those to come."""

from __future__ import annotations

import os
import select
import time
from collections import deque

from tuidock.engine import logdriver
from tuidock.engine.events import IN_MODIFY, watch_paths
from tuidock.runtime import lifecycle
from tuidock.runtime.log import Lines, Reader

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import LogRequest
    from tuidock.runtime.attach import Session
    from tuidock.runtime.log import LogLine
    from tuidock.storage.paths import Roots


TURNING = 500
"""How often to look, 1 ms apart, while a file is turned over; who wrote it may have been killed in between."""
IN_MOVE_SELF = 0x800 | 0x400  # IN_MOVE_SELF, IN_DELETE_SELF: sys/inotify.h


def lines(container: Container, request: LogRequest, roots: Roots, stop_fd: int) -> Iterator[LogLine]:
    """Oldest first.  Following ends with the container, or when `stop_fd` is readable."""
    logdriver.refuse_unread(container)
    paths = roots.container(container.id)
    session = _end_of(paths.socket) if request.follow and container.running else None
    kind = Reader
    if container.request.get("log_driver") == "json-file":
        from tuidock.runtime.jsonlog import JsonReader

        kind = JsonReader
    reader = None
    try:
        reader = Rotated(paths.log, kind, -1 if request.until else request.tail)
        whole = Lines()
        there: Iterator[LogLine] = (line for frame in reader.frames() for line in whole.feed(*frame))
        if session is None:
            there = _chain(there, whole)
        yield from _last(_between(there, request), request.tail)
        if session is not None:
            yield from _between(_follow(reader, whole, session, stop_fd), request)
    except FileNotFoundError:  # it has never been started
        return
    finally:
        if reader is not None:
            reader.close()
        if session is not None:
            session.close()


class Rotated:
    """A log over all its files: `log.2`, `log.1`, `log`, and those that follow while it is read."""

    def __init__(self, path: str, kind: type[Reader], tail: int) -> None:
        """tail: how many of the last lines are wanted at least; -1 for all.  Raises FileNotFoundError if there is no log."""
        self.path = path
        self.kind = kind
        self.moves = 0
        """How often another file went on."""
        names = self._names()
        if not names:
            raise FileNotFoundError(path)
        number = len(names) - 1
        if tail >= 0:
            number, wanted = 0, tail
            while number < len(names) - 1 and (wanted := wanted - self._count(names[number])) >= 0:
                number += 1
        self.reader = kind(names[number])

    def _names(self) -> list[str]:
        """Its files that are there, the newest first."""
        found = []
        for number in range(1 << 16):
            name = f"{self.path}.{number}" if number else self.path
            if os.path.exists(name):
                found.append(name)
            elif number:
                break
        return found

    def _count(self, name: str) -> int:
        """Lines of a file."""
        reader = self.kind(name)
        try:
            return sum(content.count(b"\n") for _, _, content in reader.frames())
        finally:
            reader.close()

    def frames(self) -> Iterator[tuple[int, int, bytes]]:
        """Those not given before, over the ends of files."""
        while True:
            yield from self.reader.frames()
            later = self._next()
            if later is None:
                return
            yield from self.reader.frames()  # what came in between the two; now nothing is added to it
            self.reader.close()
            self.reader = later
            self.moves += 1

    def _next(self) -> Reader | None:
        """The file that goes on where the present one ends; None while it is the newest."""
        own = os.fstat(self.reader.descriptor)
        for _ in range(TURNING):
            names = self._names()
            if names[:1] != [self.path]:  # it is being turned over: no event tells when the new one is there
                time.sleep(0.001)
                continue
            try:
                places = [number for number, name in enumerate(names) if os.path.samestat(os.stat(name), own)]
                if places == [0]:
                    return None
                number = places[0] - 1 if places else len(names) - 1
                reader = self.kind(names[number])
                if names == self._names() and os.path.samestat(os.stat(names[number]), os.fstat(reader.descriptor)):
                    return reader
                reader.close()  # it was turned over meanwhile: look again
            except FileNotFoundError:
                continue
        return None

    def close(self) -> None:
        self.reader.close()


def _end_of(socket: str) -> Session | None:
    """Somebody who tells of the container's end."""
    try:
        return lifecycle.watch(socket)
    except OSError:
        return None


def _chain(there: Iterable[LogLine], whole: Lines) -> Iterator[LogLine]:
    yield from there
    yield from whole.rest()


def _between(there: Iterable[LogLine], request: LogRequest) -> Iterator[LogLine]:
    for line in there:
        if line.time >= request.since and not (request.until and line.time > request.until):
            yield line


def _last(there: Iterator[LogLine], count: int) -> Iterable[LogLine]:
    return there if count < 0 else deque(there, count)


def _follow(reader: Rotated, whole: Lines, session: Session, stop_fd: int) -> Iterator[LogLine]:
    watched, inotify = -1, -1
    try:
        running = True
        while running:
            if watched != reader.moves:
                if inotify >= 0:
                    os.close(inotify)
                watched, inotify = (
                    reader.moves,
                    watch_paths([f"/proc/self/fd/{reader.reader.descriptor}"], IN_MODIFY | IN_MOVE_SELF),
                )
                poll = select.poll()
                for descriptor in (inotify, session.descriptor, *((stop_fd,) if stop_fd >= 0 else ())):
                    poll.register(descriptor, select.POLLIN)
            for frame in reader.frames():
                yield from whole.feed(*frame)
            if watched != reader.moves:
                continue
            for descriptor, _ in poll.poll():
                if descriptor == stop_fd:
                    return
                if descriptor == inotify:
                    os.read(inotify, 65536)
                else:
                    came = session.receive()
                    running = came is not None and not any(kind == "exit" for kind, _ in came)
        for frame in reader.frames():
            yield from whole.feed(*frame)
        yield from whole.rest()
    finally:
        if inotify >= 0:
            os.close(inotify)
