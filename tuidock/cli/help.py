"""What --help prints, made from the declarations; and what is said to words that mean nothing."""

from __future__ import annotations

import shutil
import textwrap
from difflib import get_close_matches

from tuidock.cli.commands import COMMANDS, COMMON, GROUPS, LATER, NEVER, paths
from tuidock.cli.flags import Command, WrongArguments, WrongFlag
from tuidock.engine.options import BOOL, LIST, Option
from tuidock.engine.options import GROUPS as OPTION_GROUPS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.errors import UsageError

WIDEST = 100


def text(path: str, command: Command) -> str:
    """The help of a command, of a group (its name alone), or of tuidock itself (an empty path)."""
    if not path:
        return _top(command)
    if path in GROUPS:
        return _group(path)
    name = _name(path)
    parts = [usage(path, command), COMMANDS[name][1]]
    aliases = paths(name)
    if len(aliases) > 1:
        parts.append("Aliases:\n  " + ", ".join(f"tuidock {alias}" for alias in aliases))
    return "\n\n".join([*parts, *_options(command.options)]) + "\n"


def usage(path: str, command: Command) -> str:
    words = ["tuidock", path, "[OPTIONS]" if command.options else "", command.arguments]
    return f"Usage:  {' '.join(word for word in words if word)}"


def refusal(error: UsageError, path: str, command: Command) -> str:
    """What docker prints when words are wrong: the message, the usage, where there is more."""
    prefix = "" if isinstance(error, WrongFlag) or error.message.startswith("tuidock ") else "tuidock: "
    lines = [prefix + error.message, *([error.hint] if error.hint else []), ""]
    called = " ".join(("tuidock", path)).strip()
    if isinstance(error, (WrongFlag, WrongArguments)):
        lines += [usage(path, command), ""]
    return "\n".join([*lines, f"Run '{called} --help' for more information", ""])


def unknown(called: str) -> tuple[str, str]:
    """Message and hint for words that name no command: one that comes later, one that never will, a slip."""
    if called in LATER:
        return f"tuidock {called}: not there yet", "this command of docker's will come"
    if called in NEVER:
        return f"tuidock {called}: not supported", "it needs a daemon, a swarm or plugins, and tuidock has none of them"
    first, _, second = called.partition(" ")
    known = list(GROUPS[first][1]) if second else [*(name for name in COMMANDS if " " not in name), *GROUPS]
    nearest = get_close_matches(second or first, known, 1)
    meant = " ".join(("tuidock", first, nearest[0]) if second else ("tuidock", nearest[0])) if nearest else ""
    return f"unknown command: tuidock {called}", f"Did you mean `{meant}`?" if nearest else ""


def _name(path: str) -> str:
    return next(name for name in COMMANDS if path in paths(name))


def _top(command: Command) -> str:
    plain = sorted(name for name in COMMANDS if " " not in name and name not in COMMON)
    return (
        "Usage:  tuidock [OPTIONS] COMMAND\n\n"
        "A container manager for the terminal, with the engine inside.  Without a command it opens the screen.\n\n"
        + _table("Common Commands:", [(name, COMMANDS[name][1]) for name in COMMON])
        + _table("Management Commands:", [(name, meaning) for name, (meaning, _) in GROUPS.items()])
        + _table("Commands:", [(name, COMMANDS[name][1]) for name in plain])
        + "\n\n".join(_options(command.options, "Global Options:"))
        + "\n\nRun 'tuidock COMMAND --help' for more information on a command.\n"
    )


def _group(name: str) -> str:
    meaning, seconds = GROUPS[name]
    return (
        f"Usage:  tuidock {name} COMMAND\n\n{meaning}\n\n"
        + _table("Commands:", [(second, COMMANDS[full][1]) for second, full in sorted(seconds.items())])
        + f"Run 'tuidock {name} COMMAND --help' for more information on a command.\n"
    )


def _table(title: str, rows: list[tuple[str, str]]) -> str:
    return "\n".join([title, *(f"  {name:<11} {meaning}" for name, meaning in rows)]) + "\n\n"


def _options(options: tuple[Option, ...], title: str = "Options:") -> list[str]:
    """A block per group; one block if there are no groups."""
    groups = [group for group in OPTION_GROUPS if any(option.group == group for option in options)]
    if not groups:
        return [_block(title, options)] if options else []
    return [_block(f"{group} Options:", tuple(option for option in options if option.group == group)) for group in groups]


def _block(title: str, options: tuple[Option, ...]) -> str:
    rows = [(_left(option), _right(option)) for option in sorted(options, key=lambda option: option.name)]
    indent = max(len(left) for left, _ in rows) + 3
    wrapper = textwrap.TextWrapper(
        width=max(40, min(WIDEST, shutil.get_terminal_size().columns) - indent - 2), break_long_words=False
    )
    lines = [title]
    for left, right in rows:
        first, *more = [line for part in right.split("\n") for line in wrapper.wrap(part)]
        lines.append(f"  {left:<{indent}}{first}")
        lines += [" " * (indent + 2) + line for line in more]
    return "\n".join(lines)


def _left(option: Option) -> str:
    short = f"-{option.short}, " if option.short else "    "
    kind = option.shown_kind or option.kind
    return f"{short}--{option.name} {kind}".rstrip()


def _right(option: Option) -> str:
    if option.default in (None, False, "", ()) or "(default" in option.meaning:
        return option.meaning
    default = str(option.default).lower() if option.kind == BOOL else option.default
    shown = default if option.kind in (BOOL, "int", LIST) else f'"{default}"'
    return f"{option.meaning} (default {shown})"
