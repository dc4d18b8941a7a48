"""What has happened, in order, and waiting for more without asking again and again."""

from __future__ import annotations

import ctypes
import os
import select

from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

IN_MODIFY, IN_ATTRIB, IN_CREATE, IN_DELETE, IN_MOVED, IN_CLOSE_WRITE = (
    0x2,
    0x4,
    0x100,
    0x200,
    0xC0,
    0x8,
)  # sys/inotify.h


class Event(Value):
    """Something that happened.  docker events(1)."""

    seq: int
    time: int
    """ns since the epoch"""
    type: str
    """container, image or volume"""
    action: str
    """create, start, die, destroy, rename, tag, untag, delete, load, import …"""
    actor: str
    """id, or name of a volume"""
    attributes: dict[str, str]


class Events:
    def __init__(self, database: Database, roots: Roots) -> None:
        self.database = database
        self.roots = roots

    def latest(self) -> int:
        """The number of the newest event; 0 if there was none."""
        row = self.database.row("SELECT max(seq) FROM events")
        return int(row[0] or 0) if row else 0

    def since(self, seq: int) -> list[Event]:
        """Those after `seq`, oldest first."""
        query = "SELECT seq, time, type, action, actor, attributes FROM events WHERE seq > ? ORDER BY seq"
        return [
            Event(number, time, kind, action, actor, loads(attributes))
            for number, time, kind, action, actor, attributes in self.database.rows(query, (seq,))
        ]

    def watch(self, seq: int, stop_fd: int = -1) -> Iterator[Event]:
        """Those after `seq`, and then each that comes, until descriptor `stop_fd` is readable.

        Sleeps in between: the bell's change wakes it (inotify(7)).
        """
        inotify = watch_paths([self.roots.bell], IN_ATTRIB)
        try:
            poll = select.poll()
            poll.register(inotify, select.POLLIN)
            if stop_fd >= 0:
                poll.register(stop_fd, select.POLLIN)
            while True:
                for event in self.since(seq):
                    seq = event.seq
                    yield event
                happened = [descriptor for descriptor, _ in poll.poll()]
                if stop_fd in happened:
                    return
                os.read(inotify, 4096)
        finally:
            os.close(inotify)


def watch_paths(paths: list[str], mask: int) -> int:
    """inotify(7): a descriptor that is readable when something of `mask` happened to one of `paths`."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor: int = libc.inotify_init1(os.O_CLOEXEC | os.O_NONBLOCK)
    if descriptor < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), "inotify_init1")
    for path in paths:
        if libc.inotify_add_watch(descriptor, os.fsencode(path), mask) < 0:
            error = ctypes.get_errno()
            os.close(descriptor)
            raise OSError(error, os.strerror(error), path)
    return descriptor
