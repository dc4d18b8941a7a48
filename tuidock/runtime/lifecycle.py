"""This folder's door: start a bundle with a monitor beside it, run further processes in it, attach, signal.

What a front end asks of the monitor is one object (`StartRequest`), sent over the socket that the monitor is born with.
"""

from __future__ import annotations

import _signal as signal
import _socket
import os
import sys as interpreter

from tuidock.errors import Missing, RuntimeFailure
from tuidock.oci.value import Value
from tuidock.runtime import attach, bundle, wire
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tuidock.runtime.attach import Session
    from tuidock.runtime.mounts import Overlay

BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main({arguments})"


class StartRequest(Value):
    """A bundle to run, and where the monitor finds and leaves what belongs to it.  Paths are absolute."""

    bundle: str
    """The folder with config.json, OCI runtime-spec 1.2."""
    rootfs: Overlay
    """Mounted by the monitor, in its own mount namespace, on what config.json calls the root."""
    cgroup: str
    """Path below the hierarchy's own root."""
    controllers: Mapping[str, str]
    """What a mount of type `cgroup` stands for: see rootfs.plan."""
    log: str
    socket: str
    state: str
    exit: str
    trace: str
    cleanup: Sequence[str]
    """The command that the monitor starts when the container has ended and nobody has promised to clean up."""
    seccomp: str = ""
    """A compiled filter; empty for none."""
    stdin: bool = False
    stdin_once: bool = False
    init: bool = False
    attach: bool = False
    """Whether the front end that starts it wants its output."""
    cleans: bool = False
    """Whether that front end promises the clean-up."""
    remove: bool = False
    """The container will be removed at its end, so its end need not survive a power cut."""
    stop_signal: int = signal.SIGTERM


def start(request: StartRequest, monitor_log: str, namespaces: Mapping[str, int]) -> tuple[Session, dict[str, Any]]:
    """Start the monitor and, by it, the container.

    monitor_log: a file for the monitor's own complaints.  namespaces: runtime-spec's name of a namespace to an open
    descriptor of it, for those that config.json gives a path for: the path may mean another by the time it is opened.
    Returns the session and what is known of the process: pid, start_time, boot_id, monitor, started_at (ns).
    Raises what the monitor or the container's init said; nothing is left then.
    """
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    value = request.as_dict()
    value["rootfs"] = {**request.rootfs.as_dict(), "lower": list(request.rootfs.lower)}
    value["cleanup"] = list(request.cleanup)
    value["controllers"] = dict(request.controllers)
    value["namespaces"] = dict.fromkeys(namespaces, 0)
    passed = {3: theirs.fileno()}
    for number, (kind, descriptor) in enumerate(namespaces.items(), start=4):
        passed[number] = descriptor
        value["namespaces"][kind] = number
    try:
        pid = spawn_monitor(passed, monitor_log)
    finally:
        theirs.close()
    os.waitpid(pid, 0)  # it forks and ends at once; the monitor is nobody's child
    return attach.converse(ours, wire.pack_json(wire.START, value))


def interpreter_command(module: str, arguments: str = "") -> list[str]:
    """The words that run `module`.main in a fresh interpreter without site: small, quick, and deaf to the environment."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    base = os.path.realpath(getattr(interpreter, "_base_executable", "") or interpreter.executable)
    return [base, "-I", "-S", "-c", BOOTSTRAP.format(module=module, arguments=arguments), package]


def spawn_monitor(passed: Mapping[int, int], monitor_log: str) -> int:
    """A monitor with the given descriptors.  Returns its pid.

    Its executable lies on a read-only mount that nobody else can reach: what a container gets hold of as /proc/self/exe
    cannot be written, whatever it runs (CVE-2019-5736).
    """
    command = interpreter_command("tuidock.runtime.monitor")
    try:
        sealed = sys.open_tree(sys.AT_FDCWD, command[0], sys.OPEN_TREE_CLONE)
        sys.mount_setattr(sealed, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV)
    except PermissionError as error:
        raise Missing("containers need root", "run it as root: sudo tuidock …") from error
    except OSError as error:
        raise Missing(f"this kernel cannot seal the engine's executable: {error.strerror}", "Linux 5.12 has it") from error
    # numbers above those that are given away, so that no dup2 below covers another's source
    sources = {number: _above(descriptor, 3 + len(passed)) for number, descriptor in passed.items()}
    program = _above(sealed, 3 + len(passed))
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, monitor_log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
        *((os.POSIX_SPAWN_DUP2, source, number) for number, source in sources.items()),
    ]
    environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
    defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP]
    try:
        return os.posix_spawn(
            f"/proc/self/fd/{program}", command, environment,
            file_actions=actions, setsid=True, setsigmask=(), setsigdef=defaults,
        )  # fmt: skip
    finally:
        for descriptor in (*sources.values(), program, sealed):
            os.close(descriptor)


def _above(descriptor: int, lowest: int) -> int:
    import fcntl

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, lowest)


def exec_(socket: str, process: Mapping[str, Any], *, seccomp: str = "", stdin: bool = False, detach: bool = False) -> Session:
    """A further process in a running container.  process: runtime-spec's `process` object.

    Raises what its init said (CommandNotFound and its kin), FileNotFoundError if there is no monitor.
    """
    asked = {"process": dict(process), "seccomp": seccomp, "stdin": stdin, "detach": detach}
    session, _ = attach.converse(attach.connect(socket), wire.pack_json(wire.EXEC, asked))
    return session


def attached(socket: str) -> Session:
    """The container's own streams, from now on."""
    session, _ = attach.converse(attach.connect(socket), wire.pack(wire.ATTACH))
    return session


def watch(socket: str) -> Session:
    """A session without streams: it tells of the end only."""
    session, _ = attach.converse(attach.connect(socket), wire.pack(wire.WATCH))
    return session


def kill(pid: int, started: int, number: int) -> bool:
    """Send this very process a signal; False if it is gone."""
    descriptor = bundle.open_pidfd(pid, started)
    if descriptor < 0:
        return False
    try:
        signal.pidfd_send_signal(descriptor, number)
    except ProcessLookupError:
        return False
    except PermissionError as error:
        raise RuntimeFailure(f"no right to signal process {pid}", "run it as root") from error
    finally:
        os.close(descriptor)
    return True
