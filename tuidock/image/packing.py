"""A plain layer to its gzip blob, on all processors: zlib lets go of the interpreter's lock.

The blob is a row of gzip members of one block each, which every reader takes for one file.  The blocks have always the same
length, so the same layer always gives the same blob, whatever the machine.
"""

from __future__ import annotations

import os
import zlib
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from tuidock.storage.blobs import Ingest

LEVEL = 1
"""A debian of 126 MB becomes 44 MB in 1.6 s of one processor; level 6 would save 4 MB more and take 5 s."""
STORED = 0
PAGE = 4096
BLOCK = 1 << 20
"""Plain bytes in a member: the blob is 0.3 % longer than in one piece."""
THREADS = 4


class Packing:
    """Writes what it gets into `ingest`, compressed."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._threads = min(THREADS, len(os.sched_getaffinity(0)))
        self._pool = ThreadPoolExecutor(self._threads, "packing")
        self._members: deque[Future[bytes]] = deque()
        self._block = bytearray()
        self._begun = False

    def write(self, piece: bytes) -> None:
        """Some more.  Raises OSError of the disk."""
        self._block += piece
        while len(self._block) >= BLOCK:
            self._pack(bytes(self._block[:BLOCK]))
            del self._block[:BLOCK]

    def _pack(self, block: bytes) -> None:
        self._begun = True
        self._members.append(self._pool.submit(member, block))
        while len(self._members) > 2 * self._threads:
            self._ingest.write(self._members.popleft().result())

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for the end of the work."""
        with self._pool:
            if error is None:
                if self._block or not self._begun:
                    self._pack(bytes(self._block))
                while self._members:
                    self._ingest.write(self._members.popleft().result())


def member(block: bytes) -> bytes:
    """A gzip member without name and time.  RFC 1952.

    What is packed already (pictures, archives, keys) is stored as it is: level 1 would take twelve times as long to make it
    longer.  Four pages of the block decide, so it is always the same for the same block.
    """
    return zlib.compress(block, STORED if _is_packed(block) else LEVEL, zlib.MAX_WBITS | 16)


def _is_packed(block: bytes) -> bool:
    step = len(block) // 4
    if step < PAGE:
        return False
    sample = b"".join(block[place : place + PAGE] for place in range(0, 4 * step, step))
    return len(zlib.compress(sample, LEVEL)) * 100 > len(sample) * 98
