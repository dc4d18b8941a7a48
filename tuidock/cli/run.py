"""`tuidock run` and `tuidock create`: words to a RunRequest, a container of it, and this process's streams for its."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.engine.options import CREATE, RUN, RUN_LATER, RUN_LATER_SHORT
from tuidock.engine.requests import RunRequest
from tuidock.errors import Interrupted, TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tuidock.engine import Engine
    from tuidock.storage.paths import Roots

STREAMS = ("stdout", "stderr")
ENGINE_FAILED = 125


class NoTerminal(UsageError):
    exit_status = 1


class ConflictingOptions(UsageError):
    exit_status = 1


def request(words: Words, *, detach: bool = False) -> RunRequest:
    """What was asked for: env-files read, NAME alone resolved from this process's environment.

    Raises UsageError for options that contradict each other.
    """
    image, *command = words.arguments
    fields: dict[str, Any] = {}
    for option in CREATE:
        if option.field and option.name in words.given:
            value = words.given[option.name]
            fields[option.field] = tuple(value) if isinstance(value, list) else value
    if "entrypoint" in fields:
        fields["entrypoint"] = (fields["entrypoint"],) if fields["entrypoint"] else ()
    if networks := fields.pop("network", ()):
        first = "bridge" if networks[0] == "default" else networks[0]
        fields["network"], fields["networks"] = first, networks[1:]
    fields["env"] = environment(words)
    fields["labels"] = labels(words)
    attach = tuple(dict.fromkeys(stream.lower() for stream in words.many("attach")))
    if detach and attach:
        raise ConflictingOptions("conflicting options: cannot specify both --attach and --detach")
    fields["attach"] = attach
    pull = words.text("pull")
    if pull not in ("missing", "never"):
        if pull != "always":
            raise UsageError(f'invalid pull option: \'{pull}\': must be one of "always", "missing" or "never"')
        raise UsageError("--pull always is not there yet", "tuidock has no registry to pull from yet")
    return RunRequest(image, tuple(command), detach=detach, **fields)


def environment(words: Words) -> tuple[str, ...]:
    """--env-file in order, then -e.  NAME alone takes the caller's value; if there is none, it unsets the image's."""
    found: list[str] = []
    for path in words.many("env-file"):
        for line in key_values(path, "variable"):
            name, sign, _ = line.partition("=")
            if sign:
                found.append(line)
            elif name in os.environ:
                found.append(f"{name}={os.environ[name]}")
    for word in words.many("env"):
        alone = "=" not in word and word in os.environ
        found.append(f"{word}={os.environ[word]}" if alone else word)
    return tuple(found)


def labels(words: Words) -> tuple[str, ...]:
    found = [line for path in words.many("label-file") for line in key_values(path, "label")]
    found += words.many("label")
    return tuple(word if "=" in word else f"{word}=" for word in found)


def key_values(path: str, what: str) -> Iterable[str]:
    """The lines of an env-file or label-file: NAME=VALUE or NAME; nothing is unquoted or expanded.

    docker/cli pkg/kvfile: leading space goes, trailing space belongs to the value, `#` begins a comment line.
    """
    try:
        with open(path, "rb") as file:
            content = file.read().removeprefix(b"\xef\xbb\xbf")
    except OSError as error:
        raise UsageError(f"open {path}: {(error.strerror or '').lower()}") from error
    for number, raw in enumerate(content.split(b"\n"), 1):
        try:
            line = raw.removesuffix(b"\r").decode().lstrip()
        except UnicodeDecodeError:
            raise UsageError(f"invalid env file ({path}): invalid utf8 bytes at line {number}") from None
        if not line or line[0] == "#":
            continue
        name = line.partition("=")[0]
        if not name:
            raise UsageError(f"invalid env file ({path}): no variable name on line '{line}'")
        if any(character.isspace() for character in name):
            raise UsageError(f"invalid env file ({path}): {what} '{name}' contains whitespaces")
        yield line


def detach_keys(text: str) -> bytes:
    """`ctrl-p,ctrl-q`, `a`, `ctrl-@` to the bytes that a terminal sends.  moby/term ascii.go."""
    keys = bytearray()
    for word in text.split(",") if text else ("ctrl-p", "ctrl-q"):
        letter = word.removeprefix("ctrl-")
        if len(word) == 1 and word.isascii():
            keys.append(ord(word))
        elif letter != word and len(letter) == 1 and ("a" <= letter <= "z" or letter in "@[\\]^_"):
            keys.append(ord(letter.upper()) - 64)
        else:
            raise UsageError(f"invalid detach keys ({text}): unknown character: '{word}'", "a letter, or ctrl- and one")
    return bytes(keys)


def need_terminal(*, tty: bool, stdin: bool) -> None:
    """-t with a stdin that is attached and is none would garble what comes back."""
    if tty and stdin and not os.isatty(0):
        raise NoTerminal("the input device is not a TTY", "leave -t away, or -i")


class _IdFile:
    """--cidfile: taken before anything is made, so that two runs never share one; gone again if nothing was."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.descriptor = -1
        if not path:
            return
        try:
            self.descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        except FileExistsError:
            raise UsageError(f"container ID file found, make sure the other container isn't running or delete {path}") from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise UsageError(f"failed to create the container ID file: open {path}: {reason}") from error

    def write(self, container_id: str) -> None:
        if self.path:
            os.write(self.descriptor, container_id.encode())

    def close(self) -> None:
        """Without a word written, the file goes."""
        if self.path:
            if not os.fstat(self.descriptor).st_size:
                os.unlink(self.path)
            os.close(self.descriptor)


def make(engine: Engine, asked: RunRequest, cidfile: str) -> str:
    """The container's id; warnings are said."""
    file = _IdFile(cidfile)
    try:
        container_id = engine.containers.create(asked)
        file.write(container_id)
    finally:
        file.close()
    warn(engine)
    return container_id


def warn(engine: Engine) -> None:
    for warning in engine.warnings:
        print(f"WARNING: {warning}", file=sys.stderr)
    engine.warnings.clear()


def create(words: Words, place: Roots) -> int:
    asked = request(words)
    from tuidock.engine import Engine

    print(make(Engine(place), asked, words.text("cidfile")))
    return 0


def run(words: Words, place: Roots) -> int:
    """What goes wrong before the command runs is 125, 126 or 127; then the status is the command's."""
    detached = words.flag("detach")
    asked = request(words, detach=detached)
    keys = detach_keys(words.text("detach-keys"))
    if not detached:
        need_terminal(tty=asked.tty, stdin="stdin" in asked.attach or (asked.interactive and not asked.attach))
    try:
        return _run(words, place, asked, keys)
    except Interrupted:
        raise
    except TuidockError as error:
        if error.exit_status == 1:
            error.exit_status = ENGINE_FAILED
        raise


def _run(words: Words, place: Roots, asked: RunRequest, keys: bytes) -> int:
    from tuidock.runtime import spawn

    monitor = spawn.take()  # loads itself while the container is made
    try:
        from tuidock.engine import Engine
        from tuidock.runtime import attach, terminal

        engine = Engine(place)
        container_id = make(engine, asked, words.text("cidfile"))
        containers = engine.containers
        if asked.detach:
            containers.start(container_id, monitor=monitor)
            warn(engine)
            print(container_id)
            return 0
        size = terminal.size(0) if asked.tty else (0, 0)
        session = containers.start(container_id, session=True, cleanup_here=True, size=size, monitor=monitor)
        warn(engine)
    except BaseException:
        monitor.close()
        raise
    assert session is not None
    outputs = tuple(stream for stream in asked.attach if stream in STREAMS) if asked.attach else STREAMS
    if not outputs:
        print(container_id, flush=True)  # nothing else will be seen of it
    stdin = asked.interactive and (not asked.attach or "stdin" in asked.attach)
    status = attach.relay(
        session, tty=asked.tty, interactive=stdin, detach_keys=keys, sig_proxy=words.flag("sig-proxy"), outputs=outputs
    )
    if status is None:
        session.close()
        return 0
    containers.finish(container_id, session)
    return status


COMMANDS = {
    "run": Command(
        run, "IMAGE [COMMAND] [ARG...]", RUN, 1, UNLIMITED, stops=True, later=RUN_LATER, later_short=RUN_LATER_SHORT
    ),
    "create": Command(
        create, "IMAGE [COMMAND] [ARG...]", CREATE, 1, UNLIMITED, stops=True, later=RUN_LATER, later_short=RUN_LATER_SHORT
    ),
}
