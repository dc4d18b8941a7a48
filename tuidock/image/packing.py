"""A plain layer to its gzip blob, in a thread beside the unpacking: zlib lets go of the interpreter's lock."""

from __future__ import annotations

import zlib
from queue import Queue
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import TracebackType

    from tuidock.storage.blobs import Ingest

LEVEL = 1
"""A debian of 126 MB becomes 44 MB in 1.6 s; level 6 would save 4 MB more and take 5 s."""
WAITING = 16
"""Pieces that may wait; with those of 256 KiB, 4 MiB of memory."""


class Packing:
    """Writes what it gets into `ingest`, compressed.  The same bytes always give the same blob: no name, no time."""

    def __init__(self, ingest: Ingest) -> None:
        self._ingest = ingest
        self._pieces: Queue[bytes | None] = Queue(WAITING)
        self._error: BaseException | None = None
        self._thread = Thread(target=self._work, name="packing", daemon=True)
        self._thread.start()

    def write(self, piece: bytes) -> None:
        """Some more.  Raises what went wrong with what came before."""
        if self._error is not None:
            raise self._error
        self._pieces.put(piece)

    def _work(self) -> None:
        squeeze = zlib.compressobj(LEVEL, zlib.DEFLATED, zlib.MAX_WBITS | 16)
        while (piece := self._pieces.get()) is not None:
            if self._error is None:
                try:
                    self._ingest.write(squeeze.compress(piece))
                except OSError as error:
                    self._error = error  # and go on taking, so that nobody waits at a full queue
        if self._error is None:
            try:
                self._ingest.write(squeeze.flush())
            except OSError as error:
                self._error = error

    def __enter__(self) -> Packing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """Wait for the end of the work.  Raises what went wrong with it."""
        self._pieces.put(None)
        self._thread.join()
        if self._error is not None and error is None:
            raise self._error
