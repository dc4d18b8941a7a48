"""Times as images have them, RFC 3339 with nanoseconds in UTC, and as numbers."""

from __future__ import annotations

import time
from datetime import datetime


def rfc3339(nanoseconds: int) -> str:
    """ns since the epoch to text.

    >>> rfc3339(1_500_000_000_000_000_001)
    '2017-07-14T02:40:00.000000001Z'
    """
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(seconds))}.{rest:09d}Z"


def now() -> str:
    """This moment as text."""
    return rfc3339(time.time_ns())


def nanoseconds(text: str) -> int:
    """Text to ns since the epoch; 0 for what is no time, as an image without one has it.

    >>> nanoseconds("2017-07-14T02:40:00.000000001Z") == 1_500_000_000_000_000_001
    True
    """
    body, _, tail = text.partition(".")
    digits = tail[: len(tail) - len(tail.lstrip("0123456789"))]
    try:
        moment = datetime.fromisoformat(body + tail[len(digits) :].replace("Z", "+00:00") if tail else body)
    except ValueError:
        return 0
    return max(0, int(moment.timestamp()) * 1_000_000_000 + int(digits[:9].ljust(9, "0")))
