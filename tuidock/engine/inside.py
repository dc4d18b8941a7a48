"""Inside a container's root, and nowhere else: the program that reads and writes files for `export` and `cp`.

A fresh interpreter (`rootview.py` starts it) that first makes the container's root its own root, in a mount namespace of its
own where no device can be opened and no program run, and without a network.  From then on there is no path to the host: a
symbolic link of the container, or one that it swaps in while we look, leads to its own files and no further (moby
2018-15664).  Nothing is imported after that, as it would be the container's (moby 2019-14271).

A running container's root is the one that its monitor has mounted; a stopped one's is mounted here and goes with this process.

    argv    one JSON object, see `View` and the tasks         stdin, stdout   a tar, where the task takes or gives one
    stderr  one line of JSON: what was wrong, or what was done
"""

from __future__ import annotations

import os
import resource
import signal
import sys as interpreter

from tuidock.engine import copyrules
from tuidock.engine.receiving import Receiver
from tuidock.errors import Conflict, Refused, TuidockError
from tuidock.image.tarstream import TarStream
from tuidock.image.tarwriter import CHUNK, END, Members, walk
from tuidock.oci.jsontext import dumps, loads
from tuidock.oci.value import Value
from tuidock.runtime import syscalls as sys
from tuidock.runtime.mounts import CopyUp, Overlay, open_in_root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from typing import Any


class Attached(Value):
    """Something that is mounted in the container."""

    target: str
    tree: int
    """descriptor of the mount, attached nowhere yet"""
    directory: bool
    fill: str = ""
    """a new volume's directory on the host: what the image has at `target` is copied there before it is mounted"""


class View(Value):
    """How to come to the root."""

    rootfs: str
    """where it is mounted, in this process's mount namespace or in `namespace`; or a directory of the host to be locked into"""
    namespace: int = -1
    """descriptor of the monitor's mount namespace, of a container that runs"""
    overlay: dict[str, Any] = {}
    """runtime.mounts.Overlay, of one that does not"""
    attached: tuple[dict[str, Any], ...] = ()


def enter(view: View) -> None:
    """The root is the container's from here on."""
    whole = view.rootfs == "/"  # of the host: what is copied there can go everywhere
    sys.unshare(sys.CLONE_NEWNET | sys.CLONE_NEWIPC)
    if view.namespace >= 0:
        sys.setns(view.namespace, sys.CLONE_NEWNS, "mnt")
    sys.unshare(sys.CLONE_NEWNS)
    sys.mount("", "/", flags=sys.MS_REC | sys.MS_PRIVATE)
    if view.overlay:
        Overlay(**{**view.overlay, "lower": tuple(view.overlay["lower"])}).apply()
    elif view.namespace < 0 and not whole:
        sys.mount(view.rootfs, view.rootfs, flags=sys.MS_BIND | sys.MS_REC)
    root = os.open(view.rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for mount in (Attached(**one) for one in view.attached):
        if mount.fill:
            CopyUp(mount.target, mount.fill).apply(root)
        target = open_in_root(root, mount.target, directory=mount.directory)
        sys.move_mount(mount.tree, target, mount.target)
        os.close(target)
    restricted = sys.MOUNT_ATTR_NODEV | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NOEXEC
    sys.mount_setattr(root, restricted, recursive=True)
    os.fchdir(root)
    if not whole:
        sys.pivot_root(".", ".")
        sys.umount2(".", sys.MNT_DETACH)
    os.chdir("/")
    sys.close_range(3)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    interpreter.meta_path.clear()
    interpreter.path.clear()


def send(pieces: Iterable[bytes]) -> None:
    """To stdout."""
    gathered: list[bytes] = []
    size = 0
    for piece in pieces:
        gathered.append(piece)
        size += len(piece)
        if size >= 1 << 18:
            _write(b"".join(gathered))
            gathered.clear()
            size = 0
    _write(b"".join(gathered))


def _write(content: bytes) -> None:
    view = memoryview(content)
    while view:
        view = view[os.write(1, view) :]


def export(_asked: dict[str, Any]) -> dict[str, Any]:
    """All of the root as a tar, but what is mounted in it."""
    top = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    members = Members()
    send(piece for found in walk(top) for piece in members.member(found))
    send([END])
    return {}


def look(asked: dict[str, Any]) -> dict[str, Any]:
    """What `path` leads to: a line of JSON (unless `bare`), then the thing itself as a tar."""
    missing = copyrules.in_container(asked["container"])
    found = copyrules.source(asked["path"], follow=asked["follow"], missing=missing)
    if not asked["bare"]:
        _write(dumps(found.as_dict()).encode() + b"\n")
    send(copyrules.tar(found))
    send([END])
    return {}


def receive(asked: dict[str, Any]) -> dict[str, Any]:
    """A tar from stdin, to where `path` leads or, if it is the host's, into the root that this is."""
    place = copyrules.destination(
        asked["path"], asked["name"], is_dir=asked["is_dir"], shown=asked["shown"], stream=asked["stream"],
        missing=copyrules.in_container(asked["container"]),
    )  # fmt: skip
    if asked["read_only"] and os.stat(place.folder).st_dev == os.stat("/").st_dev:
        raise Conflict("container rootfs is marked read-only", "it was made with --read-only; its volumes can be written")
    read = 0

    def chunks() -> Iterator[bytes]:
        nonlocal read
        while content := os.read(0, CHUNK):
            read += len(content)
            yield content

    archive = TarStream(chunks())
    receiver = Receiver(place.folder, asked["prefix"], place.name, trusting=asked["trusting"], links=asked["links"])
    receiver.receive(archive)
    archive.drain()
    if not archive.ended and read:
        raise Refused("unexpected EOF", "the tar has no end: was all of it written?")
    return {"bytes": read, "skipped": receiver.skipped}


TASKS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {"export": export, "look": look, "receive": receive}


def main(arguments: Sequence[str]) -> None:
    """What `rootview.RootView` runs."""
    asked = loads(arguments[0])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the one who started it says when it is over
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    os.umask(0)
    answer: dict[str, Any]
    try:
        enter(View(**asked["view"]))
        answer = TASKS[asked["task"]](asked)
    except TuidockError as error:
        answer = {"wrong": error.message, "hint": error.hint, "kind": type(error).__name__}
    except BrokenPipeError:
        answer = {"broken": True}
    except OSError as error:
        name = error.filename.decode("utf-8", "backslashreplace") if isinstance(error.filename, bytes) else error.filename
        answer = {"wrong": f"{name or asked['task']}: {os.strerror(error.errno or 0).lower()}", "errno": error.errno}
    os.write(2, dumps(answer).encode())
