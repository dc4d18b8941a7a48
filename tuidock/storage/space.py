"""How much may still be written: some of a disk always stays free, so that what removes has room to work in."""

from __future__ import annotations

import errno
import os

CHECK_EVERY = 32 << 20
"""Bytes written between two looks at the free space, or fewer where there is less."""
RESERVE = 256 << 20
"""Bytes that stay free on the disk, or a fiftieth of a smaller one: `rmi` needs some to be able to work."""


def allowance(where: str | int) -> int:
    """How many bytes may be written until the next look.  where: a path or a descriptor on the file system.

    Raises OSError, ENOSPC, while there is still some space left.
    """
    found = os.statvfs(where)
    reserve = min(RESERVE, found.f_blocks * found.f_frsize // 50)
    usable = found.f_bavail * found.f_frsize - reserve
    if usable < 0 or (found.f_files and found.f_favail < found.f_files // 100):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    return min(usable, CHECK_EVERY)
