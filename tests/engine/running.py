"""Containers as tests want them: run to the end, or running inside a `with`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests.machine import Result
from tuidock.engine import Engine
from tuidock.engine.reconcile import Container
from tuidock.engine.requests import ExecRequest, RunRequest
from tuidock.runtime.attach import Session


def collect(session: Session, stdin: bytes = b"") -> Result:
    """Feed a process its stdin and gather what it says until it ends."""
    said = {"stdout": b"", "stderr": b""}
    if stdin:
        session.send(stdin)
    session.close_input()
    for kind, value in session.events():
        if kind in said:
            said[kind] += value
    assert session.status is not None, "the monitor went without a word"
    return Result(session.status, said["stdout"].decode(errors="replace"), said["stderr"].decode(errors="replace"))


def run(engine: Engine, *command: str, image: str = "busybox", stdin: bytes = b"", **asked: object) -> Result:
    """`run --rm` of an image."""
    request = RunRequest(image, command, remove=True, interactive=bool(stdin), **asked)  # type: ignore[arg-type]
    container = engine.containers.create(request)
    session = engine.containers.start(container, session=True, cleanup_here=True)
    assert session is not None
    result = collect(session, stdin)
    engine.containers.finish(container, session)
    return result


@contextmanager
def running(engine: Engine, *command: str, image: str = "busybox", **asked: object) -> Iterator[Container]:
    """`run -d`, and removed at the end."""
    container = engine.containers.create(RunRequest(image, command or ("sleep", "600"), detach=True, **asked))  # type: ignore[arg-type]
    try:
        engine.containers.start(container)
        yield engine.containers.get(container)
    finally:
        engine.containers.remove(container, force=True, volumes=True)


def execute(engine: Engine, container: Container, *command: str, stdin: bytes = b"", **asked: object) -> Result:
    """`exec` in a running container."""
    request = ExecRequest(container.id, command, interactive=bool(stdin), **asked)  # type: ignore[arg-type]
    session = engine.containers.exec(request)
    assert session is not None
    result = collect(session, stdin)
    session.close()
    return result
