"""Images from outside: `load`, `import` and `image starter`."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import Command, Words
from tuidock.cli.progress import Meter
from tuidock.engine import Engine
from tuidock.engine.options import LIST, TEXT, Option
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import BinaryIO

    from tuidock.storage.paths import Roots


class NoArchive(UsageError):
    exit_status = 1


def load(words: Words, place: Roots) -> int:
    path = words.text("input")
    if not path and os.isatty(0):
        raise NoArchive("requested load from stdin, but stdin is empty", "`-i FILE`, or `< FILE`")
    with _opened(path) as stream, Meter(quiet=words.flag("quiet")) as meter:
        lines = Engine(place).images.load(stream, meter.tell)
    for line in lines:
        print(line)
    return 0


def import_(words: Words, place: Roots) -> int:
    source, *reference = words.arguments
    if source.startswith(("http://", "https://")):
        raise NoArchive("import from a URL is not there yet", f"`curl -L {source} | tuidock import -`")
    try:
        with _opened("" if source == "-" else source) as stream, Meter(quiet=not sys.stderr.isatty()) as meter:
            changes, message = words.many("change"), words.text("message")
            name = reference[0] if reference else ""
            image = Engine(place).images.import_(stream, name, changes, message, meter.tell)
    except TuidockError as error:
        error.exit_status = 1
        raise
    print(image)
    return 0


def _opened(path: str) -> BinaryIO:
    """A file, or this process's stdin for an empty path."""
    return open(path, "rb") if path else os.fdopen(os.dup(0), "rb")


def starter(words: Words, place: Roots) -> int:
    with Meter(quiet=words.flag("quiet")) as meter:
        image = Engine(place).images.starter(meter.tell)
    print(image)
    return 0


QUIET = Option("quiet", "q", meaning="Suppress the load output")

COMMANDS = {
    "load": Command(
        load,
        "",
        (Option("input", "i", TEXT, "Read from tar archive file, instead of STDIN"), QUIET),
        later="platform",
    ),
    "import": Command(
        import_,
        "file|- [REPOSITORY[:TAG]]",
        (
            Option("change", "c", LIST, "Apply Dockerfile instruction to the created image"),
            Option("message", "m", TEXT, "Set commit message for imported image"),
        ),
        1,
        2,
        later="platform",
    ),
    "image starter": Command(starter, "", (QUIET.replace(meaning="Suppress the progress output"),)),
}
