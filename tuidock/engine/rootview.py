"""The other side of `inside.py`: start it on a container's root, pass streams to it, hear what became of it."""

from __future__ import annotations

import os
import stat
import subprocess
from typing import TYPE_CHECKING, Any

from tuidock import errors
from tuidock.engine import reconcile
from tuidock.errors import RuntimeFailure, TuidockError
from tuidock.oci.jsontext import dumps, loads
from tuidock.runtime import syscalls as sys
from tuidock.runtime.spawn import interpreter_command
from tuidock.storage import overlay
from tuidock.storage.layers import Layers
from tuidock.storage.staging import Workspace

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container


class RootView:
    """A container's root, for one task after the other.  Use it as a context manager, under the container's lock.

    mounted: with what is mounted in it: volumes, directories of the host, the three files of the init layer; and writable.
    Without, a stopped container's read-write layer is mounted as one more lower one, and nothing can be written.
    """

    def __init__(self, engine: Engine, container: Container, *, mounted: bool) -> None:
        self.engine = engine
        self.container = container
        self.mounted = mounted
        self.descriptors: list[int] = []
        self.workspace = Workspace(engine.roots)
        self.view: dict[str, Any] = {}

    def __enter__(self) -> Self:
        self.workspace.__enter__()
        try:
            self.view = self._running() if self.container.pid else self._stopped()
            if self.mounted:
                self.view["attached"] = [one for mount in self._mounts() if (one := self._attached(*mount))]
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        for descriptor in self.descriptors:
            os.close(descriptor)
        self.descriptors = []
        self.workspace.__exit__(kind, error, trace)

    def _running(self) -> dict[str, Any]:
        """The overlay as its monitor has it: the very one that the processes see, without what is mounted in it."""
        container = self.container
        try:
            namespace = os.open(f"/proc/{container.monitor_pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            self.descriptors.append(namespace)
            same = reconcile.alive(container) and _parent(container.pid) == container.monitor_pid
        except OSError:
            same = False
        if not same:
            raise RuntimeFailure(f"container {container.name} runs without its monitor", "stop it first")
        return {"rootfs": self.engine.roots.container(container.id).rootfs, "namespace": namespace}

    def _stopped(self) -> dict[str, Any]:
        """The overlay, to be mounted by the process that looks at it."""
        roots, container = self.engine.roots, self.container
        place = self.workspace.path()
        os.mkdir(place, 0o700)
        stack = overlay.stack(roots, Layers(self.engine.database, roots), roots.container(container.id), container.chain_ids)
        stack = stack.replace(target=place)
        if not self.mounted:
            stack = stack.replace(lower=(stack.upper, *stack.lower), upper="", work="")
        return {"rootfs": place, "overlay": stack.as_dict()}

    def _mounts(self) -> list[tuple[str, str, bool, bool]]:
        """Target, source, whether it is read-only, whether a new volume is to be filled."""
        etc = f"{self.engine.roots.container(self.container.id).init}/etc"
        found = [
            (mount["destination"], mount["source"], mount["read_only"], mount["kind"] == "volume" and mount["copy"])
            for mount in self.container.config["Mounts"]
            if mount["kind"] != "tmpfs"
        ]
        taken = {target for target, *_ in found}
        files = ((f"/etc/{name}", f"{etc}/{name}", False, False) for name in ("hosts", "hostname", "resolv.conf"))
        return [*(one for one in files if one[0] not in taken), *found]

    def _attached(self, target: str, source: str, read_only: bool, fill: bool) -> dict[str, Any]:
        """A copy of the mount, attached nowhere; nothing for what is not there (any more)."""
        try:
            tree = sys.open_tree(sys.AT_FDCWD, source, sys.OPEN_TREE_CLONE | sys.AT_RECURSIVE)
        except FileNotFoundError:
            return {}
        self.descriptors.append(tree)
        if read_only:
            sys.mount_setattr(tree, sys.MOUNT_ATTR_RDONLY, recursive=True)
        directory = stat.S_ISDIR(os.fstat(tree).st_mode)
        filled = source if fill and directory and not self.container.pid else ""
        return {"target": target, "tree": tree, "directory": directory, "fill": filled}

    def start(self, task: str, *, stdin: int = subprocess.DEVNULL, stdout: int = subprocess.PIPE, **asked: Any) -> Task:
        """Begin a task of `inside.py`.  stdin, stdout: descriptors, or PIPE."""
        return Task({"task": task, "view": self.view, **asked}, self.descriptors, stdin, stdout)


def _parent(pid: int) -> int:
    """proc(5), /proc/PID/stat, field 4."""
    with open(f"/proc/{pid}/stat", "rb") as file:
        return int(file.read().rpartition(b")")[2].split()[1])


class Task:
    """One process of `inside.py`."""

    def __init__(self, asked: dict[str, Any], descriptors: list[int], stdin: int, stdout: int) -> None:
        self.process = subprocess.Popen(
            [*interpreter_command("tuidock.engine.inside", "sys.argv[2:]"), dumps(asked)], env={}, start_new_session=True,
            stdin=stdin, stdout=stdout, stderr=subprocess.PIPE, pass_fds=descriptors, bufsize=0,
        )  # fmt: skip

    def finish(self) -> dict[str, Any]:
        """Wait for its end.  Returns what it has to say; raises it if that is an error."""
        assert self.process.stderr is not None
        told = self.process.stderr.read()
        self.process.wait()
        self.close()
        try:
            answer: dict[str, Any] = loads(told)
        except ValueError:
            last = (told.decode(errors="replace").strip().splitlines() or [f"status {self.process.returncode}"])[-1]
            raise RuntimeFailure(f"the process inside the container's root ended: {last}", "this is a bug") from None
        if "broken" in answer:
            raise BrokenPipeError
        if "wrong" in answer:
            kind = getattr(errors, answer.get("kind", ""), TuidockError)
            if not (isinstance(kind, type) and issubclass(kind, TuidockError)) or kind.__init__ is not TuidockError.__init__:
                kind = TuidockError
            raise kind(answer["wrong"], answer.get("hint", ""))
        return answer

    def close(self) -> None:
        """End it if it still runs."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()


def host_view(folder: str) -> dict[str, Any]:
    """A directory of the host as the whole root."""
    return {"rootfs": folder}
