"""What runs between clone3 and execve, in the container's first process and in each that joins it.

The order is runc's (standard_init_linux.go): keyring, namespaces, root, console, host name, kernel parameters, masks,
limits, user and capabilities, filter, working directory, exec.  Until the exec this process is the engine's interpreter
with a foot in the container: it is not dumpable, its executable lies on a read-only mount, its import path is empty
from the moment when the image's files could be found on it, and all its descriptors but 0, 1 and 2 close on exec.
"""

from __future__ import annotations

import _signal as signal  # `signal` itself brings enum, 5 ms
import _socket
import errno
import fcntl
import os
import stat
import struct
import sys as interpreter

from tuidock.errors import CommandNotExecutable, CommandNotFound, RuntimeFailure, TuidockError
from tuidock.runtime import identity, rootfs, seccomp, terminal, trace, wire
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any, NoReturn

KINDS = {
    "mount": ("mnt", sys.CLONE_NEWNS), "pid": ("pid", sys.CLONE_NEWPID), "network": ("net", sys.CLONE_NEWNET),
    "ipc": ("ipc", sys.CLONE_NEWIPC), "uts": ("uts", sys.CLONE_NEWUTS), "cgroup": ("cgroup", sys.CLONE_NEWCGROUP),
    "user": ("user", sys.CLONE_NEWUSER), "time": ("time", sys.CLONE_NEWTIME),
}  # fmt: skip
"""runtime-spec's name of a namespace to its name in /proc/PID/ns and its flag."""
BEFORE = ("pid", "user")
"""Those that are joined before the clone, where they are given by path: by who clones."""


class Stages:
    """Moments at which who starts a container has something of his own to do.  Here: nothing (standalone/stages.py)."""

    preserved = 0
    """How many descriptors after stderr the command is to find open."""
    filter_flags = 0
    """SECCOMP_FILTER_FLAG_* for loading the filter."""

    def furnished(self, channel: _socket.socket) -> None:
        """All is mounted, and the root is still the host's."""

    def ready(self, channel: _socket.socket) -> None:
        """All that is left is execve; that it is so, `channel` has been told."""


class Stdio:
    """The three descriptors of a process, or none where a terminal of the container's own is to be opened."""

    def __init__(self, stdin: int, stdout: int, stderr: int) -> None:
        self.descriptors = (stdin, stdout, stderr)


NO_STAGES = Stages()


def main(
    channel: _socket.socket, config: Mapping[str, Any], request: Mapping[str, Any], stdio: Stdio | None,
    stages: Stages = NO_STAGES,
) -> NoReturn:  # fmt: skip
    """The container's pid 1.  config: config.json; request: what the front end asked of the monitor (lifecycle.py)."""
    try:
        _hold_still(channel)
        program = _filter(request)
        linux = config.get("linux", {})
        _namespaces(linux, request.get("namespaces", {}))
        root = config["root"]
        target = request["rootfs"]["target"]
        propagation = linux.get("rootfsPropagation", "")
        rootfs.part(propagation, target)
        if "tree" in request["rootfs"]:
            rootfs.attach(request["rootfs"]["tree"], target, propagation)
        folder = os.open(target, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        steps = rootfs.plan(config, request["controllers"], request.get("cgroups", {}))
        process = config["process"]
        for step in steps:
            step.apply(folder)
        stages.furnished(channel)
        interpreter.path[:] = []
        rootfs.pivot(target)
        os.close(folder)
        if process.get("terminal"):
            stdio = _terminal(channel, process, console=True)
        if config.get("hostname"):
            sys.sethostname(config["hostname"])
        if config.get("domainname"):
            sys.setdomainname(config["domainname"])
        if any(space["type"] == "network" and not space.get("path") for space in linux.get("namespaces", ())):
            _loopback_up()
        workdir = process.get("cwd", "/")
        _make_workdir(workdir)
        if root.get("readonly"):
            rootfs.make_read_only()
        rootfs.spread(propagation)
        if "personality" in linux:
            from tuidock.runtime import scheduling

            scheduling.personality(linux["personality"])
        _become(channel, process, stdio, program, init=bool(request.get("init")), stages=stages)
    except BaseException as error:
        _fail(channel, error)


def join(
    channel: _socket.socket, pidfd: int, process: Mapping[str, Any], request: Mapping[str, Any], stdio: Stdio | None,
    stages: Stages = NO_STAGES,
) -> NoReturn:  # fmt: skip
    """A further process of a running container: setns(2) into every namespace of its pid 1, then the same way."""
    try:
        _hold_still(channel)
        program = _filter(request)
        interpreter.path[:] = []
        kinds = sys.CLONE_NEWNS | sys.CLONE_NEWNET | sys.CLONE_NEWIPC | sys.CLONE_NEWUTS | sys.CLONE_NEWCGROUP
        kinds = request.get("kinds", kinds)
        sys.setns(pidfd, kinds, "namespaces of the container")
        if kinds & sys.CLONE_NEWUSER:
            _be_its_root()
        os.chdir("/")
        if process.get("terminal"):
            stdio = _terminal(channel, process, console=False)
        _become(channel, process, stdio, program, init=False, stages=stages)
    except BaseException as error:
        _fail(channel, error)


def _filter(request: Mapping[str, Any]) -> bytes:
    """The compiled seccomp filter, read while the host's files are still in reach."""
    if not request.get("seccomp"):
        return b""
    with open(request["seccomp"], "rb") as file:
        program = file.read()
    if not program or len(program) % 8:  # never without one because its file is damaged
        raise RuntimeFailure(f"the compiled seccomp filter {request['seccomp']} is damaged", "remove it; it is made again")
    return program


def _hold_still(channel: _socket.socket) -> None:
    """Be no target (CVE-2016-9962), die with the monitor as long as nothing runs, and wait for the cgroup."""
    sys.prctl(sys.PR_SET_DUMPABLE, 0)
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)
    message = wire.read(channel)
    if message is None or message[0] != wire.GO:
        os._exit(255)


def _namespaces(linux: Mapping[str, Any], given: Mapping[str, int]) -> None:
    """Join those that are given by path, and make the cgroup namespace now that the cgroup is joined.

    given: descriptors that were opened when it was certain what the path means.
    """
    if any(space["type"] == "user" for space in linux.get("namespaces", ())):
        _be_its_root()
    own = {space["type"] for space in linux.get("namespaces", ()) if not space.get("path")}
    for space in linux.get("namespaces", ()):
        path = space.get("path")
        if not path or space["type"] in BEFORE:
            continue
        descriptor = given.get(space["type"], -1)
        if descriptor < 0:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        sys.setns(descriptor, KINDS[space["type"]][1], path)
        os.close(descriptor)
    if "cgroup" in own:
        sys.unshare(sys.CLONE_NEWCGROUP)


def _be_its_root() -> None:
    """User and group 0 of the user namespace that this process is in, which are nobody of importance outside."""
    sys.call("setresgid", (0, 0, 0), "setresgid", sys.libc.setresgid, 0, 0, 0)
    sys.call("setresuid", (0, 0, 0), "setresuid", sys.libc.setresuid, 0, 0, 0)
    sys.prctl(sys.PR_SET_PDEATHSIG, signal.SIGKILL)  # the change of user has cleared it


def _terminal(channel: _socket.socket, process: Mapping[str, Any], *, console: bool) -> Stdio:
    """A pair from the container's devpts; its master goes to the monitor, its slave also becomes /dev/console."""
    wanted = process.get("consoleSize", {})
    master, slave = terminal.open_pair("/dev/pts/ptmx", wanted.get("height", 0), wanted.get("width", 0))
    rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, master.to_bytes(4, interpreter.byteorder))]
    channel.sendmsg([wire.pack(wire.CONSOLE)], rights)
    if console:
        directory = os.open("/dev", os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            os.close(os.open("console", os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600, dir_fd=directory))
        except FileExistsError:
            pass  # /dev is the host's or the image's
        place = os.open("console", os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=directory)
        if stat.S_ISLNK(os.fstat(place).st_mode):  # CVE-2025-52565
            raise RuntimeFailure("/dev/console of the container is a link")
        tree = sys.open_tree(slave, "", sys.OPEN_TREE_CLONE | sys.AT_EMPTY_PATH)
        sys.move_mount(tree, place, "/dev/console")
        for descriptor in (tree, place, directory):
            os.close(descriptor)
    os.close(master)
    return Stdio(slave, slave, slave)


def _loopback_up() -> None:
    """netdevice(7), SIOCSIFFLAGS: `lo` of a new network namespace is down."""
    link = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    began = trace.now()
    fcntl.ioctl(link.fileno(), 0x8914, struct.pack("16sh22x", b"lo", 1 | 64))  # IFF_UP, IFF_RUNNING
    trace.add("ioctl", ("SIOCSIFFLAGS", "lo", "up"), 0, 0, trace.now() - began)
    link.close()


def _make_workdir(path: str) -> None:
    """The working directory is made if it is not there, as docker does at create (0755, root)."""
    if not path.startswith("/"):
        raise RuntimeFailure(f"the working directory {path} is not absolute", "-w and WORKDIR take a path from /")
    try:
        os.makedirs(path, 0o755, exist_ok=True)
    except OSError as error:
        raise RuntimeFailure(f"cannot make the working directory {path}: {error.strerror}") from error


def _become(
    channel: _socket.socket, process: Mapping[str, Any], stdio: Stdio | None, program: bytes, *, init: bool, stages: Stages
) -> NoReturn:
    """From here on the process gives away what it may, and ends in the command."""
    sys.join_session_keyring("_tuidock")
    wanted = process.get("user", {})
    user = identity.user_of(wanted)
    environment = _environment(process.get("env", ()), user.home)
    identity.limit(process)
    if "scheduler" in process or "ioPriority" in process:
        from tuidock.runtime import scheduling  # who sends these has imported it: there is no import path any more

        scheduling.apply(process)
    for signal_ in range(1, signal.NSIG):
        try:
            signal.signal(signal_, signal.SIG_DFL)
        except (OSError, ValueError):
            continue
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.setsid()
    if stdio is not None:
        for number, descriptor in enumerate(stdio.descriptors):
            os.dup2(descriptor, number, inheritable=True)
        if process.get("terminal"):
            fcntl.ioctl(0, terminal.TIOCSCTTY, 0)
        if user.uid:
            _give_stdio(user.uid)
    sys.close_range(3 + stages.preserved, flags=sys.CLOSE_RANGE_CLOEXEC)
    no_new_privileges = bool(process.get("noNewPrivileges"))
    if no_new_privileges:
        identity.no_new_privileges()
    if program and not no_new_privileges:
        seccomp.load(program, stages.filter_flags)  # needs CAP_SYS_ADMIN, so while it is there
    identity.become(user, process)
    if program and no_new_privileges:
        seccomp.load(program, stages.filter_flags)
    _enter(process.get("cwd", "/"))
    os.umask(wanted.get("umask", 0o022))
    arguments = process["args"]
    path = find(arguments[0], environment)
    sys.prctl(sys.PR_SET_PDEATHSIG, 0)
    if init:
        _reap(channel, process)
    channel.sendall(wire.pack_json(wire.DONE, {"trace": trace.take(), "args": [path, *arguments[1:]], "at": trace.now()}))
    stages.ready(channel)
    try:
        os.execve(path, arguments, environment)
    except OSError as error:
        raise _cannot_run(path, arguments[0], error) from error


def _give_stdio(uid: int) -> None:
    """Who is not root can open /dev/stdout again only as its owner; the null device stays everybody's."""
    for number in range(3):
        found = os.fstat(number)
        if not (stat.S_ISCHR(found.st_mode) and found.st_rdev == os.makedev(1, 3)):
            try:
                os.fchown(number, uid, -1)
            except OSError as error:
                if error.errno not in (errno.EPERM, errno.EINVAL, errno.EROFS):
                    raise
                # in a user namespace, whoever it belongs to may have no name; on a read-only mount, it stays whose it is


def _environment(words: list[str], home: str) -> dict[str, str]:
    environment: dict[str, str] = {}
    for word in words:
        name, _, value = word.partition("=")
        environment[name] = value
    environment.setdefault("HOME", home or "/")
    return environment


def _enter(path: str) -> None:
    try:
        os.chdir(path)
    except OSError as error:
        raise CommandNotExecutable(f"cannot enter the working directory {path}: {error.strerror}") from error
    try:
        outside = not os.getcwd().startswith("/")
    except FileNotFoundError:
        outside = True
    if outside:  # CVE-2024-21626: getcwd(2) says "(unreachable)", which the C library makes ENOENT of
        raise RuntimeFailure(f"the working directory {path} lies outside of the container")


def find(name: str, environment: Mapping[str, str]) -> str:
    """The file that a command's first word stands for: as it is with a slash in it, else the first in PATH.

    Raises CommandNotFound (127), CommandNotExecutable (126).
    """
    if not name:
        raise CommandNotFound("the command is empty", "name a command after the image")
    if "/" in name:
        try:
            _check(name)
        except FileNotFoundError:
            raise CommandNotFound(
                f'exec: "{name}": stat {name}: no such file or directory', "is it in the image, and is the path whole?"
            ) from None
        except OSError as error:
            raise _cannot_run(name, name, error) from error
        return name
    closed: OSError | None = None
    for folder in environment.get("PATH", "").split(":"):
        path = f"{folder or '.'}/{name}"
        try:
            _check(path)
        except PermissionError as error:
            closed = closed or error
        except OSError:
            continue
        else:
            return path
    if closed is not None:
        raise _cannot_run(name, name, closed)
    raise CommandNotFound(
        f'exec: "{name}": executable file not found in $PATH',
        f"PATH of the container is {environment.get('PATH', '') or 'empty'}",
    )


def _check(path: str) -> None:
    if stat.S_ISDIR(os.stat(path).st_mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
    if not os.access(path, os.X_OK, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)


def _cannot_run(path: str, name: str, error: OSError) -> TuidockError:
    """execve(2)'s errors in words."""
    if error.errno == errno.ENOENT:
        interpreter_ = _interpreter(path)
        if interpreter_:
            return CommandNotFound(
                f'exec: "{name}": its interpreter {interpreter_} is not in the image',
                f"the first line of {path} names it",
            )
        return CommandNotFound(f'exec: "{name}": no such file or directory', "a library loader may be missing in the image")
    hints = {
        errno.EACCES: "is it executable, and not on a mount with noexec?",
        errno.ENOEXEC: "is it for another architecture, or a script without #! line?",
        errno.EISDIR: "name a file",
    }
    words = (error.strerror or "cannot be run").lower()
    return CommandNotExecutable(f'exec: "{name}": {words}', hints.get(error.errno or 0, ""))


def _interpreter(path: str) -> str:
    try:
        with open(path, "rb") as file:
            first = file.readline(256)
    except OSError:
        return ""
    words = first[2:].split(None, 1) if first.startswith(b"#!") else []
    return words[0].decode(errors="replace") if words else ""


def _reap(channel: _socket.socket, process: Mapping[str, Any]) -> None:
    """--init: this process stays as pid 1, passes signals on and reaps; the command goes on in a child.

    Returns in the child only.
    """
    everything = signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}
    signal.pthread_sigmask(signal.SIG_BLOCK, everything)
    child = os.fork()
    if child == 0:
        os.setpgid(0, 0)
        if process.get("terminal"):
            os.tcsetpgrp(0, os.getpid())
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        return
    channel.close()
    sys.retitle("tuidock-init")
    try:
        with open("/proc/self/comm", "wb") as name:
            name.write(b"tuidock-init")
    except OSError:
        pass  # only what ps shows
    for number in range(3):
        os.close(number)
    while True:
        arrived = signal.sigwaitinfo(everything).si_signo
        if arrived != signal.SIGCHLD:
            try:
                os.killpg(child, arrived)
            except ProcessLookupError:
                pass
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(255)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _fail(channel: _socket.socket, error: BaseException) -> NoReturn:
    """Tell the monitor why, and end."""
    if isinstance(error, TuidockError):
        told = {"kind": type(error).__name__, "message": error.message, "hint": error.hint}
    elif isinstance(error, OSError):
        told = {
            "kind": "RuntimeFailure",
            "message": f"{error.filename or 'container init'}: {error.strerror}",
            "hint": "",
        }
    else:
        frame = error.__traceback__
        while frame is not None and frame.tb_next is not None:
            frame = frame.tb_next
        place = f"{frame.tb_frame.f_code.co_filename}:{frame.tb_lineno}" if frame is not None else ""
        told = {
            "kind": "RuntimeFailure",
            "message": f"{type(error).__name__}: {error} ({place})",
            "hint": "this is a bug",
        }
    try:
        os.write(channel.fileno(), wire.pack_json(wire.FAILED, {**told, "trace": trace.take()}))  # it may be a file by now
    finally:
        os._exit(255)
