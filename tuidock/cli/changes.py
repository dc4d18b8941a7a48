"""What a container has written: `diff`, and `commit`, which makes an image of it."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import Command, Words
from tuidock.cli.output import human_size, table
from tuidock.cli.progress import Meter
from tuidock.engine import Engine
from tuidock.engine.options import COMMIT
from tuidock.engine.requests import CommitRequest
from tuidock.errors import TuidockError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine.commit import Preview
    from tuidock.image.changes import Change
    from tuidock.storage.paths import Roots


def diff(words: Words, place: Roots) -> int:
    for change in Engine(place).containers.diff(words.arguments[0]):
        _write(f"{change.kind} {change.path}\n")
    return 0


def commit(words: Words, place: Roots) -> int:
    name, *reference = words.arguments
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    request = CommitRequest(
        name, reference[0] if reference else "", words.text("author"), words.text("message"), words.many("change"),
        pause=words.flag("pause") and not words.flag("no-pause"), epoch=int(epoch) if epoch.isdigit() else -1,
    )  # fmt: skip
    try:
        containers = Engine(place).containers
        if words.flag("preview"):
            _write(preview(containers.commit_preview(name)))
            return 0
        with Meter(quiet=not sys.stderr.isatty()) as meter:
            image = containers.commit(request, meter.tell)
    except TuidockError as error:
        error.exit_status = 1
        raise
    print(image)
    return 0


def preview(found: Preview) -> str:
    """What would go in, and what would not."""
    mounts = dict(found.mounts)
    lines = ["CHANGE\tSIZE\tPATH"]
    for change in found.changes:
        inside = f"   (empty: {mounts[change.path]} is mounted there and stays out)" if change.path in mounts else ""
        lines.append(f"{change.kind or '='}\t{_extent(change)}\t{change.path}{inside}")
    taken = {change.path for change in found.changes}
    notes = [f"not taken: {what}, mounted on {where}" for where, what in found.mounts if where not in taken]
    files = sum(not change.is_dir and change.kind != "D" for change in found.changes)
    total = f"{files} file{'' if files == 1 else 's'}, {human_size(found.size, 3)}"
    body = table("\n".join(lines)) if found.changes else "nothing was written: the layer would be empty"
    return "\n".join((body, total, *notes)) + "\n"


def _extent(change: Change) -> str:
    return "-" if change.is_dir or change.kind == "D" else human_size(change.size, 3)


def _write(text: str) -> None:
    """Names are bytes; what is no UTF-8 comes out as it is."""
    sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))


COMMANDS = {
    "diff": Command(diff, "CONTAINER", (), 1, 1),
    "commit": Command(commit, "CONTAINER [REPOSITORY[:TAG]]", COMMIT, 1, 2),
}
