"""This folder's door: start a bundle with a monitor beside it, run further processes in it, attach, signal.

What a front end asks of the monitor is one object (`StartRequest`), sent over the socket that the monitor is born with.
A monitor takes as long to load as `create` takes to do its work, so `run` spawns it first: the two share the time.
"""

from __future__ import annotations

import _signal as signal
import _socket
import fcntl
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

    monitor_log: str
    """A file for the monitor's own complaints."""
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


class Monitor:
    """A monitor that was spawned and not yet told what to do: it loads itself while the front end finds that out.

    One that is never told ends by itself when this is closed.
    """

    def __init__(self) -> None:
        """Spawn it.  Raises Missing where there is no right to, or the kernel is too old."""
        self.connection, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            self.pid = _spawn(theirs.fileno())
        except BaseException:
            self.connection.close()
            raise
        finally:
            theirs.close()

    def start(self, request: StartRequest, namespaces: Mapping[str, int]) -> tuple[Session, dict[str, Any]]:
        """Start the container.

        namespaces: runtime-spec's name of a namespace to an open descriptor of it, for those that config.json gives a
        path for: the path may mean another by the time it is opened.
        Returns the session and what is known of the process: pid, start_time, boot_id, monitor, started_at (ns).
        Raises what the monitor or the container's init said; nothing is left then.
        """
        value = request.as_dict()
        value["rootfs"] = {**request.rootfs.as_dict(), "lower": list(request.rootfs.lower)}
        value["cleanup"], value["controllers"] = list(request.cleanup), dict(request.controllers)
        value["namespaces"] = list(namespaces)
        opening = wire.pack_json(wire.START, value)
        rights = b"".join(descriptor.to_bytes(4, interpreter.byteorder) for descriptor in namespaces.values())
        # the first byte carries the descriptors: the monitor takes them with the message's head
        ancillary = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)] if rights else []
        self.connection.sendmsg([opening[:1]], ancillary)
        self._forked()
        return attach.converse(self.connection, opening[1:])

    def close(self) -> None:
        """It is not needed after all."""
        self.connection.close()
        self._forked()

    def _forked(self) -> None:
        """It forks and ends at once; the monitor itself is nobody's child."""
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0


def interpreter_command(module: str, arguments: str = "") -> list[str]:
    """The words that run `module`.main in a fresh interpreter without site: small, quick, deaf to the environment."""
    package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    base = os.path.realpath(getattr(interpreter, "_base_executable", "") or interpreter.executable)
    return [base, "-I", "-S", "-c", BOOTSTRAP.format(module=module, arguments=arguments), package]


def _spawn(connection: int) -> int:
    """A monitor with `connection` as its descriptor 3.  Returns the pid of what forks it.

    Its executable lies on a read-only mount that nobody else can reach: what a container gets hold of as /proc/self/exe
    cannot be written, whatever it runs (CVE-2019-5736).
    """
    command = interpreter_command("tuidock.runtime.monitor")
    try:
        sealed = sys.open_tree(sys.AT_FDCWD, command[0], sys.OPEN_TREE_CLONE)
    except PermissionError as error:
        raise Missing("containers need root", "run it as root: sudo tuidock …") from error
    except OSError as error:
        raise Missing(f"this kernel cannot copy a mount: {error.strerror}", "Linux 5.12 and newer can") from error
    program = sealed
    try:
        sys.mount_setattr(sealed, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV)
        actions = [
            (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0),
            (os.POSIX_SPAWN_DUP2, connection, 3),
        ]
        if sealed == 3:  # else the dup2 would cover it
            program = fcntl.fcntl(sealed, fcntl.F_DUPFD_CLOEXEC, 4)
        environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
        defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP]
        return os.posix_spawn(
            f"/proc/self/fd/{program}", command, environment,
            file_actions=actions, setsid=True, setsigmask=(), setsigdef=defaults,
        )  # fmt: skip
    except OSError as error:
        raise Missing(f"the monitor cannot be started: {error.strerror}", "Linux 5.12 or newer is needed") from error
    finally:
        os.close(sealed)
        if program != sealed:
            os.close(program)


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
