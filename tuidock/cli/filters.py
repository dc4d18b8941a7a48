"""--filter KEY=VALUE: values of one key are alternatives, different keys must all hold.  moby api/types/filters."""

from __future__ import annotations

import re

from tuidock.engine.options import LIST, Option
from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

FILTER = Option("filter", "f", LIST, "Filter output based on conditions provided", shown_kind="filter")


class BadFilter(UsageError):
    exit_status = 1


class Filters:
    """The filters that were given, by key."""

    def __init__(self, words: Iterable[str], known: Collection[str]) -> None:
        """Raises BadFilter for a key that is not known here."""
        self.values: dict[str, list[str]] = {}
        for word in words:
            key, _, value = word.partition("=")
            key = key.strip().lower()
            if key not in known:
                raise BadFilter(f"invalid filter '{key}'", f"known here: {', '.join(sorted(known))}")
            self.values.setdefault(key, []).append(value.strip())

    def __contains__(self, key: str) -> bool:
        return key in self.values

    def exact(self, key: str, *candidates: str) -> bool:
        """Whether one of the candidates was asked for, or nothing was."""
        wanted = self.values.get(key)
        return wanted is None or any(candidate in wanted for candidate in candidates)

    def matching(self, key: str, *candidates: str) -> bool:
        """The same, where values are regular expressions."""
        wanted = self.values.get(key)
        if wanted is None:
            return True
        try:
            return any(value in candidates or any(re.search(value, text) for text in candidates) for value in wanted)
        except re.error as error:
            raise BadFilter(f"invalid filter '{key}={error.pattern!s}': {error.msg}") from None

    def labels(self, labels: Mapping[str, str]) -> bool:
        """Labels are the exception: all that were asked for must be there."""
        for word in self.values.get("label", ()):
            key, sign, value = word.partition("=")
            if key not in labels or (sign and labels[key] != value):
                return False
        return True

    def truth(self, key: str) -> bool | None:
        """A yes or no; None if it was not asked for."""
        if key not in self.values:
            return None
        value = self.values[key][-1].lower()
        if value in ("1", "t", "true"):
            return True
        if value in ("0", "f", "false"):
            return False
        raise BadFilter(f"invalid filter '{key}={self.values[key][-1]}'", "true or false")
