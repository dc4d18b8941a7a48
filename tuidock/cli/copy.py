"""`cp`: files out of a container and into it."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import Command, Words
from tuidock.cli.output import human_size
from tuidock.engine import Engine
from tuidock.engine.options import Option
from tuidock.engine.requests import CopyRequest
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine.copying import Copied
    from tuidock.storage.paths import Roots


class WrongCopy(UsageError):
    exit_status = 1


def copy(words: Words, place: Roots) -> int:
    source, destination = words.arguments
    from_container, source_path = split(source)
    to_container, destination_path = split(destination)
    if not source or not destination:
        raise WrongCopy(f"{'source' if not source else 'destination'} can not be empty")
    if from_container and to_container:
        raise WrongCopy("copying between containers is not supported", f"`tuidock cp {source} - | tuidock cp - {destination}`")
    if not from_container and not to_container:
        raise WrongCopy("must specify at least one container source", "CONTAINER:PATH")
    follow, archive = words.flag("follow-link"), words.flag("archive")
    try:
        containers = Engine(place).containers
        if from_container:
            outside = "" if destination == "-" else absolute(destination_path)
            request = CopyRequest(from_container, source_path, outside, destination, follow, archive)
            copied = containers.copy_out(request, 1 if destination == "-" else -1)
        else:
            outside = "" if source == "-" else absolute(source_path)
            request = CopyRequest(to_container, destination_path, outside, destination, follow, archive)
            copied = containers.copy_in(request, 0 if source == "-" else -1)
    except TuidockError as error:
        error.exit_status = 1
        raise
    _say(copied, destination, quiet=words.flag("quiet"))
    return 0


def _say(copied: Copied, destination: str, *, quiet: bool) -> None:
    """What was left out is always told."""
    for path in copied.skipped:
        print(f"tuidock: {path} is a device and was left out (-a takes it)", file=sys.stderr)
    if not quiet and copied.size and sys.stderr.isatty():
        print(f"Successfully copied {human_size(copied.size, 3)} to {destination}", file=sys.stderr)


def split(argument: str) -> tuple[str, str]:
    """CONTAINER:PATH to both; a path of the host has no container.  `./a:b` and `/a:b` are such.

    >>> split("a:/etc"), split("./a:b"), split("/a:b"), split("-")
    (('a', '/etc'), ('', './a:b'), ('', '/a:b'), ('', '-'))
    """
    container, colon, path = argument.partition(":")
    if argument.startswith("/") or not colon or container.startswith("."):
        return "", argument
    return container, path


def absolute(path: str) -> str:
    """From the root, with the `/` or `/.` at its end that it had."""
    clean = os.path.abspath(path)
    if path == "." or path.endswith("/."):
        return f"{clean.rstrip('/')}/."
    return f"{clean.rstrip('/')}/" if path.endswith("/") else clean


COMMANDS = {
    "cp": Command(
        copy,
        "CONTAINER:SRC_PATH DEST_PATH|- | SRC_PATH|- CONTAINER:DEST_PATH",
        (
            Option("archive", "a", meaning="Archive mode (copy all uid/gid information)"),
            Option("follow-link", "L", meaning="Always follow symbol link in SRC_PATH"),
            Option("quiet", "q", meaning="Suppress progress output during copy"),
        ),
        2,
        2,
    ),
}
