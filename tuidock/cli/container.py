"""What is done to containers by name: stop, kill, restart, pause, unpause, rm, rename, wait, top."""

from __future__ import annotations

from tuidock.cli.each import each
from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.output import table
from tuidock.engine import Engine
from tuidock.engine.options import INTEGER, TEXT, UPDATE, UPDATE_LATER, Option
from tuidock.errors import NotFound, TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots

TOP_WIDTH = 20


class NothingAsked(UsageError):
    exit_status = 1


def stop(words: Words, place: Roots) -> int:
    containers = Engine(place).containers
    timeout, signal = words["timeout"], words.text("signal")
    return each(words.arguments, lambda name: containers.stop(name, timeout=timeout, signal=signal))


def kill(words: Words, place: Roots) -> int:
    from tuidock.runtime import signals

    signal = words.text("signal") or "KILL"
    try:
        signals.number(signal)
    except UsageError as error:
        error.exit_status = 1
        raise
    containers = Engine(place).containers
    return each(words.arguments, lambda name: containers.kill(name, signal))


def restart(words: Words, place: Roots) -> int:
    containers = Engine(place).containers
    timeout, signal = words["timeout"], words.text("signal")
    return each(words.arguments, lambda name: containers.restart(name, timeout, signal))


def pause(words: Words, place: Roots) -> int:
    return each(words.arguments, Engine(place).containers.pause)


def unpause(words: Words, place: Roots) -> int:
    return each(words.arguments, Engine(place).containers.unpause)


def update(words: Words, place: Roots) -> int:
    changes = {option.field: words.given[option.name] for option in UPDATE if option.name in words.given}
    if not changes:
        raise NothingAsked("you must provide one or more flags when using this command", "such as --memory or --cpus")
    containers = Engine(place).containers
    return each(words.arguments, lambda name: containers.update(name, **changes))


def remove(words: Words, place: Roots) -> int:
    """-f of one that is not there is told and is no failure, as in docker."""
    containers = Engine(place).containers
    force, volumes = words.flag("force"), words.flag("volumes")
    missing: list[str] = []

    def act(name: str) -> None:
        try:
            containers.remove(name, force=force, volumes=volumes)
        except NotFound:
            missing.append(name)
            raise

    status = each(words.arguments, act)
    return 0 if force and len(missing) == len(words.arguments) else status


def rename(words: Words, place: Roots) -> int:
    old, new = words.arguments
    try:
        Engine(place).containers.rename(old, new)
    except TuidockError as error:
        error.exit_status = 1
        raise
    return 0


def wait(words: Words, place: Roots) -> int:
    containers = Engine(place).containers
    return each(words.arguments, containers.wait, results=True)


def top(words: Words, place: Roots) -> int:
    name, *options = words.arguments
    containers = Engine(place).containers
    titles, rows = containers.top(name)
    if options:
        titles, rows = _ps(options, containers.processes(name))
    print(table("\n".join("\t".join(cells) for cells in (titles, *rows)), TOP_WIDTH))
    return 0


def _ps(options: list[str], pids: list[int]) -> tuple[list[str], list[list[str]]]:
    """The host's ps with its options, and of its lines those of the container."""
    import subprocess

    shown = subprocess.run(["ps", *options], capture_output=True, text=True)
    lines = shown.stdout.splitlines()
    if shown.returncode or not lines:
        raise UsageError(f"ps {' '.join(options)}: {shown.stderr.strip() or 'says nothing'}")
    titles = lines[0].split()
    if "PID" not in titles:
        raise UsageError("couldn't find PID field in ps output", "the options must let ps show the column PID")
    place = titles.index("PID")
    rows = [line.split(None, len(titles) - 1) for line in lines[1:]]
    return titles, [cells for cells in rows if len(cells) > place and cells[place] in map(str, pids)]


SIGNAL = Option("signal", "s", TEXT, "Signal to send to the container")
TIMEOUT = Option("timeout", "t", INTEGER, "Seconds to wait before killing the container")
SEVERAL = "CONTAINER [CONTAINER...]"

COMMANDS = {
    "stop": Command(stop, SEVERAL, (SIGNAL, TIMEOUT), 1, UNLIMITED),
    "kill": Command(kill, SEVERAL, (SIGNAL,), 1, UNLIMITED),
    "restart": Command(restart, SEVERAL, (SIGNAL, TIMEOUT), 1, UNLIMITED),
    "pause": Command(pause, SEVERAL, (), 1, UNLIMITED),
    "unpause": Command(unpause, SEVERAL, (), 1, UNLIMITED),
    "update": Command(update, SEVERAL, UPDATE, 1, UNLIMITED, later=UPDATE_LATER),
    "rm": Command(
        remove,
        SEVERAL,
        (
            Option("force", "f", meaning="Force the removal of a running container (uses SIGKILL)"),
            Option("volumes", "v", meaning="Remove anonymous volumes associated with the container"),
        ),
        1,
        UNLIMITED,
        later="link",
        later_short={"l": "link"},
    ),
    "rename": Command(rename, "CONTAINER NEW_NAME", (), 2, 2),
    "wait": Command(wait, SEVERAL, (), 1, UNLIMITED),
    "top": Command(top, "CONTAINER [ps OPTIONS]", (), 1, UNLIMITED, stops=True),
}
