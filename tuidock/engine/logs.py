"""A container's log as lines: all of it, its last ones, those of a time, and those to come."""

from __future__ import annotations

import os
import select
from collections import deque

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


def lines(container: Container, request: LogRequest, roots: Roots, stop_fd: int) -> Iterator[LogLine]:
    """Oldest first.  Following ends with the container, or when `stop_fd` is readable."""
    paths = roots.container(container.id)
    session = _end_of(paths.socket) if request.follow and container.running else None
    try:
        reader = Reader(paths.log)
    except FileNotFoundError:  # it has never been started
        return
    try:
        whole = Lines()
        there: Iterator[LogLine] = (line for frame in reader.frames() for line in whole.feed(*frame))
        if session is None:
            there = _chain(there, whole)
        yield from _last(_between(there, request), request.tail)
        if session is not None:
            yield from _between(_follow(reader, whole, paths.log, session, stop_fd), request)
    finally:
        reader.close()
        if session is not None:
            session.close()


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


def _follow(reader: Reader, whole: Lines, path: str, session: Session, stop_fd: int) -> Iterator[LogLine]:
    inotify = watch_paths([path], IN_MODIFY)
    try:
        poll = select.poll()
        for descriptor in (inotify, session.descriptor, *((stop_fd,) if stop_fd >= 0 else ())):
            poll.register(descriptor, select.POLLIN)
        running = True
        while running:
            for frame in reader.frames():
                yield from whole.feed(*frame)
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
        os.close(inotify)
