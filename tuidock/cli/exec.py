"""Streams of what runs already: exec, attach, start."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.run import detach_keys, environment, need_terminal
from tuidock.engine.options import DETACH_KEYS, EXEC, SIG_PROXY, Option
from tuidock.errors import NotFound, NotRunning, TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.runtime.attach import Session
    from tuidock.storage.paths import Roots


class CannotAttach(UsageError):
    exit_status = 1


def exec_(words: Words, place: Roots) -> int:
    from tuidock.engine import Engine
    from tuidock.engine.requests import ExecRequest
    from tuidock.runtime import attach, terminal

    container, *command = words.arguments
    detach, tty, interactive = words.flag("detach"), words.flag("tty"), words.flag("interactive")
    keys = detach_keys(words.text("detach-keys"))
    if not detach:
        need_terminal(tty=tty, stdin=interactive)
    rows, columns = terminal.size(0) if tty else (0, 0)
    session = Engine(place).containers.exec(
        ExecRequest(
            container,
            tuple(command),
            env=environment(words),
            workdir=words.text("workdir"),
            user=words.text("user"),
            interactive=interactive,
            tty=tty,
            detach=detach,
            privileged=words.flag("privileged"),
            rows=rows,
            columns=columns,
        )
    )
    if session is None:
        return 0
    # a signal for this process is not one for the command: docker's exec does not pass them on either
    status = attach.relay(session, tty=tty, interactive=interactive, detach_keys=keys, sig_proxy=False)
    session.close()
    return status or 0


def attach(words: Words, place: Roots) -> int:
    from tuidock.engine import Engine

    engine = Engine(place)
    container = engine.containers.get(words.arguments[0])
    config = container.config["Config"]
    stdin = config["OpenStdin"] and not words.flag("no-stdin")
    need_terminal(tty=config["Tty"], stdin=stdin)
    try:
        session = engine.containers.attach(container.id)
    except NotRunning:
        raise CannotAttach(
            "you cannot attach to a stopped container, start it first", f"`tuidock start -a {words.arguments[0]}` does both"
        ) from None
    return _stay(session, container, words, stdin=stdin, sig_proxy=words.flag("sig-proxy"))


def _stay(session: Session, container: Container, words: Words, *, stdin: bool, sig_proxy: bool = True) -> int:
    """Relay until the container ends or the detach keys are typed; its exit status."""
    from tuidock.runtime.attach import relay

    tty = container.config["Config"]["Tty"]
    keys = detach_keys(words.text("detach-keys"))
    status = relay(session, tty=tty, interactive=stdin, detach_keys=keys, sig_proxy=sig_proxy)
    if status is None:
        print("read escape sequence", file=sys.stderr)
    session.close()
    return status or 0


def start(words: Words, place: Roots) -> int:
    from tuidock.engine import Engine

    engine = Engine(place)
    if words.flag("attach") or words.flag("interactive"):
        if len(words.arguments) > 1:
            raise CannotAttach("you cannot start and attach multiple containers at once")
        return _start_attached(words, engine)
    failed = []
    for name in words.arguments:
        try:
            engine.containers.start(name)
            print(name)
        except TuidockError as error:
            from tuidock.cli.main import message

            sys.stdout.flush()
            sys.stderr.write(message(error))
            failed.append(name)
    if failed:
        print(f"Error: failed to start containers: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


def _start_attached(words: Words, engine: Engine) -> int:
    from tuidock.runtime import terminal

    container = engine.containers.get(words.arguments[0])
    config = container.config["Config"]
    stdin = config["OpenStdin"] and words.flag("interactive")
    need_terminal(tty=config["Tty"], stdin=stdin)
    size = terminal.size(0) if config["Tty"] and os.isatty(0) else (0, 0)
    try:
        session = engine.containers.start(container.id, session=True, size=size)
    except NotFound:
        raise
    except TuidockError as error:
        error.exit_status = 1
        raise
    assert session is not None
    return _stay(session, container, words, stdin=stdin)


COMMANDS = {
    "exec": Command(exec_, "CONTAINER COMMAND [ARG...]", EXEC, 2, UNLIMITED, stops=True),
    "attach": Command(
        attach,
        "CONTAINER",
        (
            DETACH_KEYS.replace(group=""),
            Option("no-stdin", meaning="Do not attach STDIN"),
            SIG_PROXY.replace(group=""),
        ),
        1,
        1,
    ),
    "start": Command(
        start,
        "CONTAINER [CONTAINER...]",
        (
            Option("attach", "a", meaning="Attach STDOUT/STDERR and forward signals"),
            DETACH_KEYS.replace(group=""),
            Option("interactive", "i", meaning="Attach container's STDIN"),
        ),
        1,
        UNLIMITED,
    ),
}
