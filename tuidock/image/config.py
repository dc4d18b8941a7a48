"""What a Dockerfile's instruction does to an image's config: `import -c`, and later commit and build.

The text is split by the parser that Docker has (the package `dockerfile`), which leaves quotes and variables as they are.
Sources: moby, builder/dockerfile/dispatchers.go; image-spec, config.md, "config".
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from tuidock.errors import UsageError
from tuidock.image.words import expand
from tuidock.runtime import signals

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Config = dict[str, Any]

DEFAULT_SHELL = ["/bin/sh", "-c"]
NANOSECONDS = {"ns": 1, "us": 1_000, "µs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
SHORTEST_PAUSE = 1_000_000
"""ns: docker refuses a health check more often than every millisecond."""


class Instruction:
    """One instruction as the parser gives it: name in capitals, words with their quotes, flags, whether it was JSON."""

    def __init__(self, name: str, words: tuple[str, ...], flags: tuple[str, ...], *, is_json: bool, text: str) -> None:
        self.name = name
        self.words = words
        self.flags = flags
        self.is_json = is_json
        self.text = text


def parse(text: str) -> list[Instruction]:
    """The instructions of a text, with docker's parser.  Raises UsageError."""
    import dockerfile

    try:
        commands = dockerfile.parse_string(text)
    except (dockerfile.GoParseError, UnicodeDecodeError) as error:  # it cuts some words in the middle of a letter
        raise UsageError(f"{text!r} is not an instruction: {error}", "as in a Dockerfile: -c 'CMD [\"/bin/sh\"]'") from error
    return [
        Instruction(command.cmd.upper(), command.value, command.flags, is_json=command.json, text=command.original)
        for command in commands
    ]


def changed(config: Config, changes: Sequence[str]) -> Config:
    """A config with changes made to it, in order.  config: the inner object, with Env, Cmd and so on; it stays as it is.

    changes: texts of instructions.  Raises UsageError for what is no instruction, or one that makes no sense here.
    """
    result = dict(config)
    command_set = False
    for text in changes:
        for instruction in parse(text):
            act = CHANGES.get(instruction.name)
            if act is None:
                allowed = ", ".join(sorted(CHANGES))
                raise UsageError(f"{instruction.name} is not a valid change command", f"allowed are {allowed}")
            if instruction.name == "ENTRYPOINT" and not command_set:
                result["Cmd"] = None  # an inherited one belonged to the old entrypoint
            command_set |= instruction.name == "CMD"
            act(result, instruction)
    return result


def environment(config: Config) -> dict[str, str]:
    """A config's variables by name."""
    return {name: value for name, _, value in (word.partition("=") for word in config.get("Env") or ())}


def _words(config: Config, instruction: Instruction) -> list[str]:
    variables = environment(config)
    words = [expand(word, variables) for word in instruction.words]
    if not words or not all(word.strip() for word in words):
        raise UsageError(f"{instruction.text}: {instruction.name} needs a value", "an empty one says nothing")
    return words


def _pairs(config: Config, instruction: Instruction) -> list[tuple[str, str]]:
    """Name and value by turns; all values see the variables as they were before the instruction."""
    variables = environment(config)
    words = [expand(word, variables) for word in instruction.words]
    pairs = list(zip(words[::2], words[1::2], strict=True))
    if not pairs or not all(name for name, _ in pairs):
        raise UsageError(f"{instruction.text}: {instruction.name} needs NAME=VALUE", "a name may not be empty")
    return pairs


def _process(config: Config, instruction: Instruction) -> list[str]:
    """The words of CMD and its kin: exec form as it is, shell form behind the shell."""
    if instruction.is_json:
        return list(instruction.words)
    return [*(config.get("Shell") or DEFAULT_SHELL), *instruction.words]


def _cmd(config: Config, instruction: Instruction) -> None:
    config["Cmd"] = _process(config, instruction)


def _entrypoint(config: Config, instruction: Instruction) -> None:
    config["Entrypoint"] = (_process(config, instruction) or None) if instruction.words else None


def _env(config: Config, instruction: Instruction) -> None:
    merged = environment(config)
    merged.update(_pairs(config, instruction))
    config["Env"] = [f"{name}={value}" for name, value in merged.items()]


def _label(config: Config, instruction: Instruction) -> None:
    config["Labels"] = {**(config.get("Labels") or {}), **dict(_pairs(config, instruction))}


def _expose(config: Config, instruction: Instruction) -> None:
    ports = dict(config.get("ExposedPorts") or {})
    for word in _words(config, instruction):
        for one in word.split():
            ports.update({port: {} for port in exposed(one)})
    config["ExposedPorts"] = dict(sorted(ports.items()))


def exposed(text: str) -> list[str]:
    """`80`, `53/udp` or `8000-8002` to docker's `PORT/PROTOCOL`.  Raises UsageError.

    >>> exposed("80-81/udp")
    ['80/udp', '81/udp']
    """
    span, _, protocol = text.partition("/")
    first, _, last = span.rpartition(":")[2].partition("-")
    protocol = protocol.lower() or "tcp"
    if not (first.isdecimal() and (last or first).isdecimal() and len(first + last) <= 10) or protocol not in (
        "tcp",
        "udp",
        "sctp",
    ):
        raise UsageError(f"invalid containerPort: {text}", "a port is NUMBER[-NUMBER][/tcp|/udp|/sctp]")
    low, high = int(first), int(last or first)
    if not 0 < low <= high <= 65535:
        raise UsageError(f"invalid containerPort: {text}", "ports go from 1 to 65535, the lower one first")
    return [f"{number}/{protocol}" for number in range(low, high + 1)]


def _onbuild(config: Config, instruction: Instruction) -> None:
    trigger = instruction.text.strip()[len("ONBUILD") :].strip()
    name = trigger.partition(" ")[0].upper()
    if name in ("", "ONBUILD", "FROM", "MAINTAINER"):
        raise UsageError(f"{name or 'nothing'} isn't allowed as an ONBUILD trigger", "any other instruction is")
    config["OnBuild"] = [*(config.get("OnBuild") or ()), trigger]


def _stopsignal(config: Config, instruction: Instruction) -> None:
    (word, *_) = _words(config, instruction)
    signals.number(word)
    config["StopSignal"] = word


def _user(config: Config, instruction: Instruction) -> None:
    if not instruction.words:
        raise UsageError(f"{instruction.text}: USER needs a value", "an empty one says nothing")
    config["User"] = expand(instruction.words[0], environment(config))  # one that turns out empty is root, as with docker


def _volume(config: Config, instruction: Instruction) -> None:
    config["Volumes"] = {**(config.get("Volumes") or {}), **{word: {} for word in _words(config, instruction)}}


def _workdir(config: Config, instruction: Instruction) -> None:
    (word, *_) = _words(config, instruction)
    config["WorkingDir"] = posixpath.normpath(posixpath.join("/", config.get("WorkingDir") or "/", word))


def _healthcheck(config: Config, instruction: Instruction) -> None:
    kind, *words = instruction.words or ("",)
    check: Config = {}
    for flag in instruction.flags:
        name, _, value = flag.removeprefix("--").partition("=")
        if name == "retries":
            if not value.isdecimal() or not 0 < int(value[:10]) < 1 << 31:
                raise UsageError(f"{flag}: retries is a number from 1", "--retries=3")
            check["Retries"] = int(value)
        elif name in HEALTH_TIMES:
            check[HEALTH_TIMES[name]] = duration(value)
        else:
            raise UsageError(f"HEALTHCHECK has no flag --{name}", "it has " + ", ".join(f"--{word}" for word in HEALTH_TIMES))
    if kind.upper() == "NONE" and not words:
        config["Healthcheck"] = {"Test": ["NONE"]}
    elif kind.upper() == "CMD" and words:
        config["Healthcheck"] = {"Test": ["CMD" if instruction.is_json else "CMD-SHELL", *words], **check}
    else:
        raise UsageError(f"{instruction.text}: HEALTHCHECK is followed by CMD or NONE", "HEALTHCHECK CMD test -e /ready")


def duration(text: str) -> int:
    """Go's form of a time (`1m30s`, `1.5h`) to ns.  Raises UsageError, also for less than a millisecond that is not 0.

    >>> duration("1m30s")
    90000000000
    """
    total = 0.0
    rest = text
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        unit = next((unit for unit in ("ns", "us", "µs", "ms", "s", "m", "h") if rest[digits:].startswith(unit)), "")
        try:
            total += float(rest[:digits]) * NANOSECONDS[unit]
        except (ValueError, KeyError):
            raise UsageError(f"{text!r} is not a duration", "as in 30s, 1m30s, 500ms") from None
        rest = rest[digits + len(unit) :]
    if not text or 0 < total < SHORTEST_PAUSE:
        raise UsageError(f"{text!r} is not a duration of a millisecond or more", "as in 30s, 1m30s, 500ms")
    return int(total)


HEALTH_TIMES = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}
CHANGES: dict[str, Callable[[Config, Instruction], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
