"""One lock per subject, held by an open file and so gone with the process that held it.

Lock order, to be taken from left to right and never back: `store` (shared for use, exclusive for garbage collection)
→ `container-ID` → `names` or `network` → the machine's network namespace (`network/networks.py`) → the database's write lock.
"""

from __future__ import annotations

import fcntl
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType


class Lock:
    """flock(2) on `path`, as a context manager; an open file description of its own, so threads exclude each other too."""

    def __init__(self, path: str, *, shared: bool = False) -> None:
        self.path = path
        self.mode = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
        self.descriptor = -1
        self.spent = False
        """Set it when the subject is gone: the file goes with the lock."""

    def __enter__(self) -> Lock:
        self.take()
        return self

    def take(self, *, wait: bool = True) -> bool:
        """Take it; False if somebody else has it and `wait` is false."""
        while True:
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, self.mode | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                os.close(descriptor)
                return False
            try:
                same = os.fstat(descriptor).st_ino == os.stat(self.path).st_ino
            except FileNotFoundError:
                same = False
            if same:
                self.descriptor = descriptor
                return True
            os.close(descriptor)  # the holder removed the file while we waited: ours is nobody's lock any more

    def release(self) -> None:
        """Give it back."""
        if self.descriptor >= 0:
            if self.spent:
                os.unlink(self.path)
            os.close(self.descriptor)
            self.descriptor = -1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release()
