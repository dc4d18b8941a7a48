"""`exec`: a further process in a container that runs, or still waits for `start`."""

from __future__ import annotations

import _signal as signal
import _socket
import os
import sys as interpreter

from tuidock.errors import RuntimeFailure, UsageError
from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value
from tuidock.runtime import attach, identity, init, trace, wire
from tuidock.runtime import syscalls as sys
from tuidock.runtime.standalone import configuration
from tuidock.runtime.standalone.create import CHUNK, Options, check_streams, send_console, write_pid
from tuidock.runtime.standalone.operations import must_run
from tuidock.runtime.standalone.stages import Preserve

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.runtime.standalone.state import Container


class Wanted(Value):
    """How the process shall differ from the container's own, where no file says all of it."""

    file: str = ""
    """with runtime-spec's `process`; then the rest does not count"""
    args: tuple[str, ...] = ()
    env: tuple[str, ...] = ()
    cwd: str = ""
    user: str = ""
    """UID or UID:GID"""
    groups: tuple[str, ...] = ()
    tty: bool = False
    capabilities: tuple[str, ...] = ()
    no_new_privileges: bool = False


def process(container: Container, wanted: Wanted) -> dict[str, Any]:
    """runtime-spec's `process` for it.  Raises UsageError."""
    if wanted.file:
        try:
            with open(wanted.file, "rb") as file:
                found: dict[str, Any] = loads(file.read())
        except OSError as error:
            raise UsageError(f"open {wanted.file}: {(error.strerror or '').lower()}") from None
        except ValueError as error:
            raise UsageError(f"{wanted.file} is no JSON: {error}") from None
        found["terminal"] = bool(found.get("terminal")) or wanted.tty
    else:
        if not wanted.args:
            raise UsageError("exec needs a command, or --process with a file")
        found = dict(container.config["process"])
        found["args"], found["env"] = list(wanted.args), [*found["env"], *wanted.env]
        found["cwd"], found["terminal"] = wanted.cwd or found["cwd"], wanted.tty
        found.pop("consoleSize", None)
        user = found["user"] = dict(found["user"])
        if wanted.user:
            uid, _, gid = wanted.user.partition(":")
            user["uid"], user["gid"] = _number(uid), _number(gid) if gid else user.get("gid", 0)
        user["additionalGids"] = [*user["additionalGids"], *(_number(word) for word in wanted.groups)]
        if wanted.capabilities:
            for word in wanted.capabilities:
                identity.known(word)
            names = [f"CAP_{word.upper().removeprefix('CAP_')}" for word in wanted.capabilities]
            sets = found["capabilities"]
            given = ("bounding", "effective", "permitted")
            found["capabilities"] = {name: [*sets[name], *(names if name in given else ())] for name in sets}
        found["noNewPrivileges"] = wanted.no_new_privileges or bool(found.get("noNewPrivileges"))
    try:
        configuration.process(found)
    except (AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"this is no process object: {type(error).__name__}: {error}") from None
    return found


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"{text!r} is no number", "names of users are not looked up: give numbers")
    return int(text)


def execute(container: Container, asked: Mapping[str, Any], options: Options) -> tuple[int, int]:
    """Start the process.  Returns its pid, and the master of its terminal if no socket has been named for that, else -1.

    Raises TuidockError; CommandNotFound and CommandNotExecutable for what cannot be run.
    """
    must_run(container)
    cgroup = container.cgroup
    if cgroup is None:
        raise RuntimeFailure(f"container {container.identifier} has no cgroup")
    check_streams(asked, options)
    pidfd = container.pidfd()
    filter_ = container.filter if os.path.exists(container.filter) else ""
    kinds = _kinds(container.pid)
    stdio = None if asked.get("terminal") else init.Stdio(0, 1, 2)
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    if kinds & sys.CLONE_NEWPID:  # holds for children only
        sys.setns(pidfd, sys.CLONE_NEWPID, "pid")
    request = {"seccomp": filter_, "kinds": kinds & ~sys.CLONE_NEWPID}
    pid, child = sys.clone3(0, signal.SIGCHLD, cgroup.descriptor())
    if pid == 0:
        del trace.calls[:]
        ours.close()
        init.join(theirs, pidfd, asked, request, stdio, Preserve(container.config, options.preserve_fds))
    os.close(child)
    theirs.close()
    try:
        cgroup.enter(pid)
        ours.sendall(wire.pack(wire.GO))
        console = _until_running(ours, pid)
        if console >= 0 and options.console_socket:
            send_console(options.console_socket, console)
            os.close(console)
            console = -1
        if options.pid_file:
            write_pid(options.pid_file, pid)
    except BaseException:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass
        raise
    finally:
        os.close(pidfd)
        ours.close()
    return pid, console


def _kinds(pid: int) -> int:
    """Those namespaces of a process that are not this process's own."""
    kinds = 0
    for name, flag in init.KINDS.values():
        if os.stat(f"/proc/{pid}/ns/{name}").st_ino != os.stat(f"/proc/self/ns/{name}").st_ino:
            kinds |= flag
    return kinds


def _until_running(channel: _socket.socket, pid: int) -> int:
    """Read what its init reports until execve closes the channel; the terminal's master or -1.  Raises what went wrong."""
    console, failed, done, unpacker = -1, None, False, wire.Unpacker()
    while True:
        content, rights, _, _ = channel.recvmsg(CHUNK, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        for _, _, descriptors in rights:
            console = int.from_bytes(descriptors[:4], interpreter.byteorder)
        if not content:
            break
        for kind, payload in unpacker.feed(content):
            done = done or kind == wire.DONE
            if kind == wire.FAILED:
                failed = wire.read_json(payload)
    if failed is not None:
        raise attach.failure(failed)
    if not done:
        raise RuntimeFailure("the process ended before its command ran", "the container may have ended")
    return console
