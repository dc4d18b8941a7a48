"""Words to options and arguments, by docker's rules.

Docker's command line follows spf13/pflag: `-it`, `-e A=b`, `-eA=b`, `-e=A=b`, `--env A=b`, `--env=A=b`, `--rm=false`,
`--` ends the options, and for run, create and exec so does the first argument.  The words of refusals are pflag's.
Written by hand, since argparse costs 8 ms and knows half of these.
"""

from __future__ import annotations

from tuidock.engine.options import BOOL, LIST, SYNONYMS, Option
from tuidock.engine.quantities import quote, read
from tuidock.errors import UsageError
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any

    from tuidock.storage.paths import Roots

UNLIMITED = -1
_ZERO: dict[str, Any] = {BOOL: False, LIST: (), "string": "", "int": None, "bytes": 0, "decimal": 0.0, "duration": 0}


class Command(Value):
    """A command of tuidock: what it takes and what does it."""

    run: Callable[[Words, Roots], int]
    """Returns the exit status."""
    arguments: str = ""
    """as help shows them: `IMAGE [COMMAND] [ARG...]`"""
    options: tuple[Option, ...] = ()
    least: int = 0
    most: int = 0
    """how many arguments; UNLIMITED"""
    stops: bool = False
    """whether the first argument ends the options"""
    last: str = ""
    """an option after which there is none: `--run`"""
    later: str = ""
    """docker's options that are not there yet, by name, with a space between"""
    later_short: Mapping[str, str] = {}


class WrongFlag(UsageError):
    """An option that is not there, lacks its value, or has a wrong one.  Exit status 125, as docker's."""


class WrongArguments(UsageError):
    """Too few arguments or too many.  Exit status 1, as docker's."""

    exit_status = 1


class HelpAsked(Exception):
    """--help was among the options."""


class Words:
    """A command's options, by their long names, and its arguments."""

    def __init__(self, command: Command) -> None:
        self.path = ""
        """the command as it was called: `container ls`"""
        self.arguments: list[str] = []
        self.given: dict[str, Any] = {}
        """Only what was written; of a list all of it, in order."""
        self._options = {option.name: option for option in command.options}

    def __getitem__(self, name: str) -> Any:
        """An option's value, or its default.  KeyError is a mistake of the program."""
        option = self._options[name]
        if name in self.given:
            return self.given[name]
        return _ZERO[option.kind] if option.default is None else option.default

    def flag(self, name: str) -> bool:
        return bool(self[name])

    def text(self, name: str) -> str:
        return str(self[name])

    def many(self, name: str) -> tuple[str, ...]:
        return tuple(self[name])


class _Parser:
    def __init__(self, command: Command) -> None:
        self.command = command
        self.words = Words(command)
        self.long = {option.name: option for option in command.options}
        self.short = {option.short: option for option in command.options if option.short}

    def parse(self, words: Sequence[str]) -> Words:
        left = list(words)
        left.reverse()  # the next word is the last: pop() takes it
        while left:
            word = left.pop()
            if word == "--":
                break
            if len(word) < 2 or word[0] != "-":
                self.words.arguments.append(word)
                if self.command.stops:
                    break
            elif word[1] == "-":
                self.take_long(word, left)
                if self.command.last in self.words.given:
                    break
            else:
                self.take_short(word[1:], left)
        self.words.arguments += reversed(left)
        return self.words

    def take_long(self, word: str, left: list[str]) -> None:
        name, has_value, value = word[2:].partition("=")
        if not name or name[0] == "-":
            raise WrongFlag(f"bad flag syntax: {word}")
        option = self.long.get(SYNONYMS.get(name, name)) or self.long.get(name)
        if option is None:
            if name == "help":
                raise HelpAsked
            raise self.unknown(name, f"unknown flag: --{name}")
        if not has_value:
            if option.kind == BOOL:
                value = "true"
            elif left:
                value = left.pop()
            else:
                raise WrongFlag(f"flag needs an argument: --{name}")
        self.set(option, value)

    def take_short(self, letters: str, left: list[str]) -> None:
        """-it, -eA=b, -e A=b: letters until one takes the rest, or the next word, as its value."""
        while letters:
            letter, rest = letters[0], letters[1:]
            option = self.short.get(letter)
            if option is None:
                if letter == "h":
                    raise HelpAsked
                known = self.command.later_short.get(letter, "")
                raise self.unknown(known, f"unknown shorthand flag: '{letter}' in -{letters}")
            if rest[:1] == "=" and len(rest) > 1:
                value, letters = rest[1:], ""
            elif option.kind == BOOL:
                value, letters = "true", rest
            elif rest:
                value, letters = rest, ""
            elif left:
                value, letters = left.pop(), ""
            else:
                raise WrongFlag(f"flag needs an argument: '{letter}' in -{letters}")
            self.set(option, value)

    def set(self, option: Option, value: str) -> None:
        try:
            read_value = read(option.kind, value, option.name)
            if option.kind == LIST and (check := CHECKS.get(option.name)):
                check(value)
        except ValueError as error:
            shown = f"-{option.short}, --{option.name}" if option.short else f"--{option.name}"
            raise WrongFlag(f'invalid argument {quote(value)} for "{shown}" flag: {error}') from None
        if option.kind == LIST:
            self.words.given.setdefault(option.name, []).append(read_value)
        else:
            self.words.given[option.name] = read_value

    def unknown(self, name: str, message: str) -> WrongFlag:
        """Nothing here is called so: perhaps docker has it, perhaps it is a slip of the pen."""
        if name and SYNONYMS.get(name, name) in self.command.later.split():
            return WrongFlag(f"--{name} is not there yet", "docker has it and tuidock will")
        from difflib import get_close_matches

        nearest = get_close_matches(name, self.long, 1) if len(name) > 1 else ()
        return WrongFlag(message, f"Did you mean --{nearest[0]}?" if nearest else "")


def parse(command: Command, words: Sequence[str]) -> Words:
    """Raises WrongFlag, HelpAsked; the number of arguments is looked at by `count`."""
    return _Parser(command).parse(words)


def count(command: Command, words: Words) -> None:
    """Raises WrongArguments where there are fewer or more arguments than the command takes."""
    given, least, most = len(words.arguments), command.least, command.most
    if least <= given and (most == UNLIMITED or given <= most):
        return
    if most == 0:
        raise WrongArguments(f"'tuidock {words.path}' accepts no arguments")
    number, bound = (least, "at least ") if given < least else (most, "at most ")
    if least == most:
        bound = ""
    raise WrongArguments(f"'tuidock {words.path}' requires {bound}{number} argument{'s' if number != 1 else ''}")


# What is looked at while a flag is read, so that the refusal names it; the rest waits for the engine.


def _env(text: str) -> None:
    if not text or text[0] == "=":
        raise ValueError(f"invalid environment variable: {text}")


def _label(text: str) -> None:
    if not text or text[0] == "=":
        raise ValueError(f"invalid label '{text}': empty name" if text else "invalid label: empty name")


def _stream(text: str) -> None:
    if text.lower() not in ("stdin", "stdout", "stderr"):
        raise ValueError("valid streams are STDIN, STDOUT and STDERR")


def _filter(text: str) -> None:
    if text and "=" not in text:
        raise ValueError("bad format of filter (expected name=value)")


def _by_engine(reader: str) -> Callable[[str], None]:
    """What the engine would refuse is refused while it is read."""

    def check(text: str) -> None:
        from tuidock.engine import words

        try:
            getattr(words, reader)(text)
        except UsageError as error:
            raise ValueError(error.message) from None

    return check


CHECKS: dict[str, Callable[[str], None]] = {
    "env": _env, "label": _label, "attach": _stream, "filter": _filter, "ulimit": _by_engine("ulimit"),
    "sysctl": _by_engine("sysctl"), "add-host": _by_engine("host"), "dns": _by_engine("server"),
    "device-cgroup-rule": _by_engine("device_rule"),
}  # fmt: skip
