"""export and cp: a container's files out, as one tar or as files, and files of the host into it.

Both sides of a copy are processes of their own, joined by a pipe: one is locked into the container's root, the other into the
directory of the host that is copied into.  What is read from the host is read here.
"""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING, Any

from tuidock.engine import copyrules, reconcile
from tuidock.engine.held import Held
from tuidock.engine.rootview import RootView, Task, host_view
from tuidock.errors import RuntimeFailure, TuidockError, UsageError
from tuidock.image.tarwriter import END
from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import CopyRequest

LINE_LIMIT = 1 << 16


class Copied(Value):
    """What became of a copy."""

    size: int = 0
    """bytes of the tar that went through; 0 where it was streamed out"""
    skipped: tuple[str, ...] = ()
    """devices that were left out, on the host and without --archive"""


def export(engine: Engine, container: Container, descriptor: int) -> None:
    """To `descriptor`.  A stopped container cannot be started meanwhile; one that runs goes on, and may end."""
    with _still(engine, container) as container:
        with RootView(engine, container, mounted=False) as view, view.start("export", stdout=descriptor) as task:
            task.finish()
    _tell(engine, container, "export")


def copy_out(engine: Engine, request: CopyRequest, descriptor: int = -1) -> Copied:
    """From a container: to `request.outside`, or to `descriptor` as a tar."""
    container = engine.containers.get(request.container)
    asked: dict[str, Any] = {"path": _inside(request), "follow": request.follow, "container": request.container}
    with _still(engine, container) as container, RootView(engine, container, mounted=True) as view:
        if descriptor >= 0:
            with view.start("look", stdout=descriptor, bare=True, **asked) as task:
                task.finish()
            copied = Copied()
        else:
            with view.start("look", bare=False, **asked) as task:
                copied = _to_host(request, task)
    _tell(engine, container, "archive-path")
    return copied


def _to_host(request: CopyRequest, sender: Task) -> Copied:
    assert sender.process.stdout is not None
    pipe = sender.process.stdout.fileno()
    line = b""
    while not line.endswith(b"\n"):  # byte by byte: what follows is the receiver's
        byte = os.read(pipe, 1)
        if not byte or len(line) > LINE_LIMIT:
            sender.finish()
            raise RuntimeFailure("the process inside the container's root said nothing", "this is a bug")
        line += byte
    found = copyrules.Source(**loads(line))
    place = copyrules.destination(
        request.outside, found.name, is_dir=found.is_dir, shown=request.shown,
        missing=lambda path: UsageError(f'invalid output path: directory "{path}" does not exist', "make it first"),
    )  # fmt: skip
    asked: dict[str, Any] = {
        "path": "/", "name": place.name, "is_dir": found.is_dir, "shown": request.shown, "container": "",
        "read_only": False, "stream": False,
        "prefix": copyrules.prefix(found), "trusting": request.archive, "links": False,
    }  # fmt: skip
    with Task({"task": "receive", "view": host_view(place.folder), **asked}, [], pipe, subprocess.DEVNULL) as receiver:
        sender.process.stdout.close()  # the receiver alone has it now: if that ends, the sender hears of it
        answer = _finished(receiver, sender)
    return Copied(answer["bytes"], tuple(answer["skipped"]))


def _finished(receiver: Task, sender: Task) -> dict[str, Any]:
    """Of two processes with a pipe between them the first cause, if something went wrong."""
    wrong: TuidockError | None = None
    answer: dict[str, Any] = {}
    try:
        answer = receiver.finish()
    except TuidockError as error:
        wrong = error
    try:
        sender.finish()
    except BrokenPipeError:
        pass
    except TuidockError as error:
        raise error from wrong  # it stopped in the middle, and the receiver could only say that there was no end
    if wrong is not None:
        raise wrong
    return answer


def copy_in(engine: Engine, request: CopyRequest, descriptor: int = -1) -> Copied:
    """Into a container: `request.outside`, or the tar that `descriptor` gives."""
    container = engine.containers.get(request.container)
    found = None
    if descriptor < 0:
        missing = UsageError(f"lstat {request.outside}: no such file or directory")
        found = copyrules.source(request.outside, follow=request.follow, missing=lambda path: missing)
    asked = {
        "path": _inside(request), "name": found.name if found else "", "is_dir": found.is_dir if found else True,
        "shown": request.shown, "container": request.container,
        "read_only": bool(container.request["read_only"]), "stream": found is None,
        "prefix": copyrules.prefix(found) if found else ".", "trusting": True, "links": True,
    }  # fmt: skip
    with _still(engine, container) as container, RootView(engine, container, mounted=True) as view:
        stdin = subprocess.PIPE if descriptor < 0 else descriptor
        with view.start("receive", stdin=stdin, stdout=subprocess.DEVNULL, **asked) as task:
            if found is not None:
                _feed(task, found)
            answer = task.finish()
    _tell(engine, container, "extract-to-dir")
    return Copied(answer["bytes"], tuple(answer["skipped"]))


def _feed(task: Task, found: copyrules.Source) -> None:
    """Who does not want any more says why in `finish`."""
    assert task.process.stdin is not None
    pipe = task.process.stdin.fileno()
    try:
        for piece in _with_end(copyrules.tar(found)):
            view = memoryview(piece)
            while view:
                view = view[os.write(pipe, view) :]
    except BrokenPipeError:
        pass
    finally:
        task.process.stdin.close()


def _with_end(pieces: Iterator[bytes]) -> Iterator[bytes]:
    yield from pieces
    yield END


def _inside(request: CopyRequest) -> str:
    """From the container's root; without a path there is none."""
    if not request.inside:
        raise UsageError(f"{request.container}: names no path", "CONTAINER:PATH")
    return request.inside if request.inside.startswith("/") else f"/{request.inside}"


def _still(engine: Engine, container: Container) -> AbstractContextManager[Container]:
    """A stopped container stays so; one that runs goes on, and whoever waits for its end need not wait for us."""
    from contextlib import nullcontext

    return nullcontext(container) if container.pid else Held(engine, container.id)


def _tell(engine: Engine, container: Container, action: str) -> None:
    with engine.database.transaction() as transaction:
        transaction.tell("container", action, container.id, reconcile.attributes(container))
