"""What follows a boot and precedes a shutdown: `system unit`, `system start`, `system stop`."""

from __future__ import annotations

import os
import sys

from tuidock.cli.each import each
from tuidock.cli.flags import Command, Words
from tuidock.cli.main import message
from tuidock.engine import Engine, restarts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


def unit(_words: Words, place: Roots) -> int:
    sys.stdout.write(restarts.unit(place, command()))
    return 0


def command() -> list[str]:
    """The words that run this tuidock from anywhere."""
    script = os.path.abspath(sys.argv[0])
    if os.path.basename(script) == "tuidock" and os.access(script, os.X_OK):
        return [script]
    return [sys.executable, "-m", "tuidock"]


def start(_words: Words, place: Roots) -> int:
    status = 0
    for name, error in restarts.start_all(Engine(place).containers):
        if error is None:
            print(name)
        else:
            sys.stdout.flush()
            sys.stderr.write(message(error))
            status = 1
    return status


def stop(_words: Words, place: Roots) -> int:
    containers = Engine(place).containers
    names = [container.name for container in containers.list()]
    return each(names, lambda name: containers.stop(name, by="system")) if names else 0


COMMANDS = {
    "system unit": Command(unit),
    "system start": Command(start),
    "system stop": Command(stop),
}
