"""The commands that put a process into a container, run in a fresh interpreter that the container cannot reach.

create, run and exec become the container's process by cloning themselves.  Until its execve that process's /proc/PID/exe is
the interpreter: of this one it lies on a read-only mount that is attached nowhere (CVE-2019-5736), as the monitor's does.
"""

from __future__ import annotations

import os
import sys as interpreter

from tuidock.errors import Missing
from tuidock.oci.jsontext import dumps, loads
from tuidock.runtime import spawn
from tuidock.runtime import syscalls as sys
from tuidock.runtime.standalone.complaints import Complaints

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn


def become(asked: Mapping[str, Any]) -> NoReturn:
    """Replace this process's program; `main` goes on there.  Raises Missing where there is no right to."""
    command = spawn.interpreter_command("tuidock.runtime.standalone.sealed", "sys.argv[2]")
    try:
        sealed = sys.open_tree(sys.AT_FDCWD, command[0], sys.OPEN_TREE_CLONE)
        sys.mount_setattr(sealed, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV)
    except PermissionError as error:
        raise Missing("containers need root", "run it as root") from error
    os.execv(f"/proc/self/fd/{sealed}", [*command, dumps(dict(asked))])


def main(text: str) -> NoReturn:
    """What was asked, to its end.  text: JSON of `become`."""
    asked = loads(text)
    complaints = Complaints(**asked["complaints"])
    try:
        status = _do(asked, complaints)
    except Exception as error:
        status = complaints.error(error)
    interpreter.stdout.flush()
    os._exit(status)


def _do(asked: Mapping[str, Any], complaints: Complaints) -> int:
    from tuidock.runtime.standalone.create import Options, create
    from tuidock.runtime.standalone.state import Container

    options = Options(**asked["options"])
    if asked["do"] == "exec":
        return _exec(Container.find(asked["root"], asked["id"]), asked, options)
    container, master = create(asked["root"], asked["id"], asked["bundle"], options)
    if asked["do"] == "create":
        return 0
    return _run(container, master, asked, complaints)


def _run(container: Any, master: int, asked: Mapping[str, Any], complaints: Complaints) -> int:
    from tuidock.runtime.standalone import operations
    from tuidock.runtime.standalone.foreground import stay

    def begin() -> None:
        operations.start(container)

    try:
        if asked["detach"]:
            begin()
            return 0
        status = stay(container.pid, master, begin)
    except BaseException:
        operations.delete(asked["root"], asked["id"], force=True)
        raise
    if not asked["keep"]:
        for warning in operations.delete(asked["root"], asked["id"]):
            complaints.warn(warning)
    return status


def _exec(container: Any, asked: Mapping[str, Any], options: Any) -> int:
    from tuidock.runtime.standalone.execute import Wanted, execute, process
    from tuidock.runtime.standalone.foreground import stay

    wanted = process(container, Wanted(**asked["wanted"]))
    pid, master = execute(container, wanted, options)
    if asked["detach"]:
        return 0
    return stay(pid, master)
