"""This folder's door: start a bundle with a monitor beside it, run further processes in it, attach, signal.

What a front end asks of the monitor is one object (`StartRequest`), sent over the socket that the monitor is born with.
"""

from __future__ import annotations

import _signal as signal
import _socket
import os
import sys as interpreter

from tuidock.errors import RuntimeFailure
from tuidock.oci.value import Value
from tuidock.runtime import attach, bundle, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tuidock.runtime.attach import Session
    from tuidock.runtime.mounts import Overlay
    from tuidock.runtime.spawn import Spawned


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
    log_options: Mapping[str, Any] | None = None
    """driver, max_size, max_files: see log.writer; None is as log.writer has it."""
    health: Mapping[str, Any] | None = None
    """The check that the monitor runs: see health.py."""
    only_stop_signal: bool = False
    """Whether, of the signals that a client sends, only that one and SIGKILL count as asking it to end."""
    calls: Sequence[Sequence[object]] = ()
    """What was done for it before, as the record of the start has it: (process, name, arguments, result, errno, ns)."""


def start(spawned: Spawned, request: StartRequest, namespaces: Mapping[str, int]) -> tuple[Session, dict[str, Any]]:
    """Start a container with the monitor that was spawned for it.

    namespaces: runtime-spec's name of a namespace to an open descriptor of it, for those that config.json gives a path
    for: the path may mean another by the time it is opened.
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
    try:
        spawned.connection.sendmsg([opening[:1]], ancillary)
        return attach.converse(spawned.connection, opening[1:])
    finally:
        spawned.reap()


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
