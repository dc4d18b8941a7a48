"""Give back what an idle interpreter does not need: the monitor lives as long as its container, and there are many."""

from __future__ import annotations

import ctypes

MADV_DONTNEED = 4  # asm-generic/mman-common.h


def release() -> None:
    """Drop the resident pages of mapped programs and libraries, and the allocator's free memory.

    Only mappings without a page of this process's own (smaps: Anonymous 0): those are as the file is, and the page cache
    has them when they are needed again (madvise(2), MADV_DONTNEED).  Of what start-up touched, waiting in poll(2) needs
    little.
    """
    libc = ctypes.PyDLL(None)
    libc.malloc_trim(0)
    for start, end in _clean_mappings():
        libc.madvise(ctypes.c_void_p(start), ctypes.c_size_t(end - start), MADV_DONTNEED)


def _clean_mappings() -> list[tuple[int, int]]:
    """Read-only private mappings of files in which no page was written.  proc(5), /proc/PID/smaps."""
    found = []
    span = ""
    with open("/proc/self/smaps") as file:
        for line in file:
            fields = line.split(None, 5)
            if not fields[0].endswith(":"):
                mapped = len(fields) == 6 and fields[5].startswith("/") and fields[1] in ("r--p", "r-xp")
                span = fields[0] if mapped else ""
            elif span and fields[0] == "Anonymous:" and fields[1] == "0":
                start, _, end = span.partition("-")
                found.append((int(start, 16), int(end, 16)))
    return found
