"""What a container has written: `diff`."""

from __future__ import annotations

from tuidock.cli.flags import Command, Words
from tuidock.engine import Engine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


def diff(words: Words, place: Roots) -> int:
    import sys

    for change in Engine(place).containers.diff(words.arguments[0]):
        line = f"{change.kind} {change.path}\n"
        sys.stdout.buffer.write(line.encode("utf-8", "surrogateescape"))
    return 0


COMMANDS = {
    "diff": Command(diff, "CONTAINER", (), 1, 1),
}
