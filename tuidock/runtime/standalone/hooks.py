"""Hooks: programs that config.json names for six moments.  runtime-spec, config.md, "POSIX-platform Hooks".

Each gets the container's state as JSON on stdin.  Its output is kept for the message when it fails.
"""

from __future__ import annotations

import _signal as signal
import os
import select
import time

from tuidock.errors import RuntimeFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

PRESTART, CREATE_RUNTIME, CREATE_CONTAINER = "prestart", "createRuntime", "createContainer"
START_CONTAINER, POSTSTART, POSTSTOP = "startContainer", "poststart", "poststop"
NAMES = (PRESTART, CREATE_RUNTIME, CREATE_CONTAINER, START_CONTAINER, POSTSTART, POSTSTOP)
KEPT = 4096
"""Bytes of a hook's output that its error message can have."""


def run(config: Mapping[str, Any], name: str, state: bytes) -> None:
    """Run the hooks of one moment, in order.  state: their stdin.

    Raises RuntimeFailure for the first that fails or takes longer than its timeout; those after it do not run.
    """
    for number, hook in enumerate((config.get("hooks") or {}).get(name) or ()):
        _run(hook, f"{name} hook #{number}", state)


def run_all(config: Mapping[str, Any], name: str, state: bytes) -> list[str]:
    """The same where a failure changes nothing: all of them run.  Returns a warning for each that failed."""
    warnings = []
    for number, hook in enumerate((config.get("hooks") or {}).get(name) or ()):
        try:
            _run(hook, f"{name} hook #{number}", state)
        except RuntimeFailure as error:
            warnings.append(error.message)
    return warnings


def _run(hook: Mapping[str, Any], name: str, state: bytes) -> None:
    path = hook["path"]
    read_in, write_in = os.pipe2(os.O_CLOEXEC)
    read_out, write_out = os.pipe2(os.O_CLOEXEC)
    given = hook.get("env")
    environment = dict(os.environ) if given is None else dict(word.partition("=")[::2] for word in given)
    actions = [(os.POSIX_SPAWN_DUP2, read_in, 0), (os.POSIX_SPAWN_DUP2, write_out, 1), (os.POSIX_SPAWN_DUP2, write_out, 2)]
    try:
        pid = os.posix_spawn(
            path, hook.get("args") or [path], environment,
            file_actions=actions, setsid=True, setsigmask=(), setsigdef=[signal.SIGPIPE],
        )  # fmt: skip
    except OSError as error:
        for descriptor in (write_in, read_out):
            os.close(descriptor)
        raise RuntimeFailure(f"error running {name}: {path}: {error.strerror}", "hooks are run without PATH") from error
    finally:
        os.close(read_in)
        os.close(write_out)
    output, status = _converse(pid, write_in, read_out, state, hook.get("timeout"))
    said = f", output: {output.decode(errors='replace').strip()}" if output.strip() else ""
    if status is None:
        raise RuntimeFailure(f"error running {name}: {path}: hook ran past specified timeout of {hook['timeout']}s{said}")
    if status:
        how = f"exit status {status}" if status > 0 else f"signal {-status}"
        raise RuntimeFailure(f"error running {name}: {path}: {how}{said}")


def _converse(pid: int, write_in: int, read_out: int, state: bytes, timeout: float | None) -> tuple[bytes, int | None]:
    """Its output, and its status as waitstatus_to_exitcode; None if its time ran out, and then it was killed.

    What it leaves running may hold its stdout: the end is the end of the process.
    """
    deadline = time.monotonic() + timeout if timeout else None
    pidfd = os.pidfd_open(pid)
    os.set_blocking(write_in, False)
    poll = select.poll()
    poll.register(pidfd, select.POLLIN)
    poll.register(read_out, select.POLLIN)
    poll.register(write_in, select.POLLOUT)
    output, pending = b"", memoryview(state)
    ignored = signal.signal(signal.SIGPIPE, signal.SIG_IGN)  # one that reads nothing is not a failure
    try:
        while True:
            left = None if deadline is None else max(0, int((deadline - time.monotonic()) * 1000))
            ready = dict(poll.poll(left))
            if not ready:
                signal.pidfd_send_signal(pidfd, signal.SIGKILL)
                os.waitpid(pid, 0)
                return output, None
            if write_in in ready:
                try:
                    pending = pending[os.write(write_in, pending) :]
                except BlockingIOError:
                    pass
                except OSError:
                    pending = pending[:0]
                if not pending:
                    poll.unregister(write_in)
                    os.close(write_in)
                    write_in = -1
            if read_out in ready:
                part = os.read(read_out, KEPT)
                output = (output + part)[:KEPT]
                if not part:
                    poll.unregister(read_out)
            elif pidfd in ready:
                _, status = os.waitpid(pid, 0)
                return output, os.waitstatus_to_exitcode(status)
    finally:
        signal.signal(signal.SIGPIPE, ignored if ignored is not None else signal.SIG_DFL)
        for descriptor in (pidfd, read_out, write_in):
            if descriptor >= 0:
                os.close(descriptor)
