"""Spawn a monitor ahead of the container it is for.

It takes as long to load as the front end takes to find out what it is to do, so `run` does this first of all; hence this
file imports next to nothing.
"""

from __future__ import annotations

import _signal as signal
import _socket
import os
import sys as interpreter

from tuidock.errors import Missing
from tuidock.runtime import syscalls as sys

BOOTSTRAP = "import sys; sys.path.append(sys.argv[1]); from {module} import main; main({arguments})"


class Spawned:
    """A monitor that was not yet told what to do.  One that never is ends by itself when this is closed."""

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

    def close(self) -> None:
        """It is not needed after all."""
        self.connection.close()
        self.reap()

    def reap(self) -> None:
        """It forks at once, and what was spawned ends; the monitor itself is nobody's child."""
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0


_waiting: list[Spawned] = []


def ahead() -> None:
    """Spawn a monitor before it is known what for, and whether at all.  Where that fails, `take` says why."""
    try:
        _waiting.append(Spawned())
    except Missing:
        pass


def take() -> Spawned:
    """The monitor that was spawned ahead, or one that is spawned now.  Raises as `Spawned`."""
    return _waiting.pop() if _waiting else Spawned()


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
    command = interpreter_command("tuidock.runtime.launch")
    try:
        sealed = sys.open_tree(sys.AT_FDCWD, command[0], sys.OPEN_TREE_CLONE)
    except PermissionError as error:
        raise Missing("containers need root", "run it as root: sudo tuidock …") from error
    except OSError as error:
        raise Missing(f"this kernel cannot copy a mount: {error.strerror}", "Linux 5.12 and newer can") from error
    try:
        sys.mount_setattr(sealed, sys.MOUNT_ATTR_RDONLY | sys.MOUNT_ATTR_NOSUID | sys.MOUNT_ATTR_NODEV)
        actions = [
            *((os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)),
            (os.POSIX_SPAWN_DUP2, connection, 3),
        ]
        environment = {"PATH": os.environ.get("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")}
        defaults = [signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP]
        return os.posix_spawn(
            f"/proc/{os.getpid()}/fd/{sealed}", command, environment,
            file_actions=actions, setsid=True, setsigmask=(), setsigdef=defaults,
        )  # fmt: skip
    except OSError as error:
        raise Missing(f"the monitor cannot be started: {error.strerror}", "Linux 5.12 or newer is needed") from error
    finally:
        os.close(sealed)
