"""--since and --until: a duration before now, a date, or seconds since the epoch.  moby api/types/time/timestamp.go."""

from __future__ import annotations

import time
from datetime import datetime

from tuidock.cli.output import NANO
from tuidock.engine.quantities import duration, quote
from tuidock.errors import UsageError


class BadTime(UsageError):
    exit_status = 1


def moment(text: str, option: str) -> int:
    """ns since the epoch; 0 for an empty text.  `10m` is ten minutes ago, `2013-01-02T13:23:37Z` and parts of it are
    themselves (local time without a zone), and so is `1136073845.000000001`.  Raises BadTime.
    """
    if not text:
        return 0
    try:
        return time.time_ns() - int(duration(text) * NANO)
    except ValueError:
        pass
    whole, _, fraction = text.partition(".")
    if whole.isdecimal() and (not fraction or fraction.isdecimal()) and "-" not in text and len(whole) != 8:
        return int(whole) * NANO + int(fraction[:9].ljust(9, "0") or 0)
    digits = fraction[: len(fraction) - len(fraction.lstrip("0123456789"))]
    try:
        parsed = datetime.fromisoformat(whole + fraction[len(digits) :])
    except ValueError:
        raise BadTime(
            f'invalid value for "{option}": failed to parse value as time or duration: {quote(text)}',
            "10m, 2013-01-02T13:23:37Z or seconds since the epoch",
        ) from None
    return int(parsed.timestamp()) * NANO + int(digits[:9].ljust(9, "0"))
