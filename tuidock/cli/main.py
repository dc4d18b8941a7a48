"""The `tuidock` command: global options, the first words to a command, errors to messages and exit statuses.

Nothing is imported here that `run` does not need; help, hints and tracebacks bring theirs along.
"""

from __future__ import annotations

import os
import sys

from tuidock import __version__
from tuidock.cli.commands import COMMANDS, GROUPS, HIDDEN
from tuidock.cli.flags import Command, HelpAsked, Words, WrongArguments, WrongFlag, count, parse
from tuidock.engine.options import TEXT, Option
from tuidock.errors import Conflict, DiskFull, NotFound, TuidockError, UsageError
from tuidock.storage.paths import Roots, roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

BROKEN_PIPE, INTERRUPTED = 128 + 13, 128 + 2
"""Exit statuses of a process that SIGPIPE or SIGINT ended, as a shell shows them."""
UNFORESEEN = 125


class UnknownCommand(UsageError):
    exit_status = 1


def main(words: Sequence[str] | None = None) -> int:
    """The process's exit status.  words: without the program's name; None takes the process's own."""
    given = list(sys.argv[1:] if words is None else words)
    try:
        status = Call(given).run()
        if sys.stdout is not None:
            sys.stdout.flush()  # a pipe whose reader has gone is noticed here, and not by the interpreter's last words
        return status
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return BROKEN_PIPE
    except KeyboardInterrupt:
        return INTERRUPTED


class Call:
    """One call of tuidock: what its words mean, and what becomes of it."""

    def __init__(self, words: Sequence[str]) -> None:
        self.words = words
        self.path = ""
        """the command as it was called; empty until it is known"""
        self.command = TOP
        self.debug = False

    def run(self) -> int:
        try:
            return self._run()
        except HelpAsked:
            self._help(sys.stdout)
            return 0
        except BrokenPipeError:
            raise
        except Exception as error:
            if self.debug:
                import traceback

                traceback.print_exc()
            return self._complain(error)

    def _run(self) -> int:
        given = parse(TOP, self.words)
        self.debug = given.flag("debug")
        if given.flag("version"):
            print(f"tuidock version {__version__}")
            return 0
        place = roots(given.text("root"), given.text("run-root"))
        if given.flag("run"):
            given.arguments.insert(0, "run")
        if not given.arguments:
            return self._open(place)
        if given.arguments[0] == "help":
            return self._help_on(given.arguments[1:])
        words = self._find(given.arguments)
        self.path = words.path
        count(self.command, words)
        return self.command.run(words, place)

    def _find(self, words: list[str]) -> Words:
        """The command that the first word, or the first two, name; and the rest by its options."""
        first, left = words[0], words[1:]
        name, self.path = first, first
        if first in GROUPS:
            second = left.pop(0) if left else ""
            if second in ("", "--help", "-h", "help"):
                raise HelpAsked
            name = GROUPS[first][1].get(HIDDEN[first].get(second, second), "")
            if not name:
                raise self._unknown(f"{first} {second}")
            self.path = f"{first} {second}"
        elif first not in COMMANDS or " " in first:
            self.path = ""
            raise self._unknown(first)
        module = __import__(f"tuidock.cli.{COMMANDS[name][0]}", fromlist=["COMMANDS"])
        self.command = module.COMMANDS[name]
        parsed = parse(self.command, left)
        parsed.path = self.path
        return parsed

    def _unknown(self, called: str) -> TuidockError:
        from tuidock.cli.help import unknown

        message, hint = unknown(called)
        return UnknownCommand(message, hint)

    def _open(self, place: Roots) -> int:
        """tuidock alone: the screen, or the help where there is no terminal."""
        if not (os.isatty(0) and os.isatty(1)):
            raise HelpAsked
        from tuidock.tui.app import run

        return run(place) or 0

    def _help_on(self, words: list[str]) -> int:
        if words:
            try:
                self._find([*words, "--help"])
            except UnknownCommand:
                raise UnknownCommand(f"unknown help topic: {' '.join(words)}") from None
        raise HelpAsked

    def _help(self, file: object) -> None:
        from tuidock.cli import help

        print(help.text(self.path, self.command), end="", file=file)  # type: ignore[call-overload]

    def _complain(self, error: Exception) -> int:
        """Say what went wrong on stderr, in docker's shape.  Returns the exit status."""
        status = 1
        if isinstance(error, (WrongFlag, WrongArguments, UnknownCommand)):
            from tuidock.cli.help import refusal

            text = refusal(error, self.path, self.command)
        elif isinstance(error, OSError) and error.errno == 28:  # ENOSPC; of the roots, if no file is named
            full = DiskFull(error.filename or "tuidock's root")
            text, status = message(full), full.exit_status
        elif isinstance(error, OSError):
            text = f"tuidock: {os_error(error)}\n"
        elif isinstance(error, TuidockError):
            text = message(error)
        else:
            text = f"tuidock: this is a mistake of tuidock's own: {type(error).__name__}: {error}\n"
            text += "tuidock -D … shows where; please report it\n"
            status = UNFORESEEN
        if sys.stdout is not None:
            sys.stdout.flush()
        print(text, end="", file=sys.stderr)
        return error.exit_status if isinstance(error, TuidockError) else status


def message(error: TuidockError) -> str:
    """An error as lines: what is wrong, then what to do."""
    said = error.message
    if isinstance(error, (NotFound, Conflict)):
        said = said[:1].upper() + said[1:]  # "No such container: x" is what scripts look for
    lines = f"tuidock: {said}\n{error.hint}\n" if error.hint else f"tuidock: {said}\n"
    if "\x1b" in lines:
        return lines.replace("\x1b", "\\x1b")  # from an archive or a config, which would tell the terminal what to do
    return lines


def os_error(error: OSError) -> str:
    """`open /nosuch: no such file or directory`, as Go words it."""
    reason = (error.strerror or str(error)).lower()
    return f"open {error.filename}: {reason}" if error.filename else reason


def _nothing(_words: Words, _place: Roots) -> int:
    raise HelpAsked


TOP = Command(
    run=_nothing,
    arguments="COMMAND [ARG...]",
    options=(
        Option("debug", "D", meaning="Show the traceback of an error"),
        Option("root", "", TEXT, "Where images, containers and volumes are kept (TUIDOCK_ROOT; default /var/lib/tuidock)"),
        Option("run", meaning="tuidock --run [OPTIONS] IMAGE is tuidock run"),
        Option("run-root", "", TEXT, "Where running containers are kept track of (TUIDOCK_RUN_ROOT)"),
        Option("version", "v", meaning="Print version information and quit"),
    ),
    most=-1,
    stops=True,
    last="run",
)
