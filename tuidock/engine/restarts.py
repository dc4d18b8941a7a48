"""Restart policies: whether a container that has ended starts again, when, and who sees to it.

What waits for the next start is the clean-up command (`cleanup.py`) that follows each end; if it was killed, whoever looks at
the container next sends for another one.  moby, daemon/internal/restartmanager and daemon/monitor.go.
"""

from __future__ import annotations

import os
import time

from tuidock.engine import reconcile
from tuidock.engine.held import Held
from tuidock.errors import NoSuchContainer, TuidockError, UsageError
from tuidock.oci.value import Value
from tuidock.runtime import bundle, lifecycle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from tuidock.engine.containers import Containers
    from tuidock.engine.reconcile import Container
    from tuidock.storage.paths import Roots

FIRST, LONGEST = 100, 60_000
"""ms before the first of several restarts, and before the last; each pause is twice the one before."""
GOOD_RUN = 10_000_000_000
"""ns: who has run as long starts again after FIRST."""
NAMES = ("no", "on-failure", "always", "unless-stopped")


class Policy(Value):
    """--restart."""

    name: str
    """one of NAMES"""
    most: int = 0
    """restarts; 0 has no end.  on-failure only"""

    @property
    def never(self) -> bool:
        return self.name == "no"

    def again(self, exit_code: int, count: int) -> bool:
        """Whether it starts again after an end that nobody asked for.  count: restarts so far."""
        if self.name == "on-failure":
            return exit_code != 0 and (not self.most or count < self.most)
        return not self.never


def policy(text: str) -> Policy:
    """no, always, unless-stopped, on-failure[:N].  Raises UsageError in docker's words."""
    name, colon, number = text.partition(":")
    most = 0
    if colon:
        try:
            most = int(number)
        except ValueError:
            raise UsageError("invalid restart policy format: maximum retry count must be an integer", "on-failure:3") from None
    name = name or "no"
    if name not in NAMES:
        raise UsageError(f"invalid restart policy '{name}'", f"one of {', '.join(NAMES)}")
    if most and name != "on-failure":
        raise UsageError(f"maximum retry count cannot be used with restart policy '{name}'", "it goes with on-failure")
    if most < 0:
        raise UsageError("maximum retry count cannot be negative", "on-failure:3")
    return Policy(name, most)


def pause(before: int, ran: int) -> int:
    """ms until the next start.  before: ms of the pause before this run, 0 for none; ran: ns."""
    if not before or ran >= GOOD_RUN:
        return FIRST
    return min(2 * before, LONGEST)


def after_end(container: Container) -> Container:
    """A container that has just ended, as its policy wants it: `restarting` with the time of its next start, or as it is."""
    if container.stopped_by or not policy(container.request["restart"]).again(container.exit_code, container.restart_count):
        return container
    wait = pause(container.restart_pause, container.finished_at - container.started_at)
    return container.replace(
        status="restarting", restart_count=container.restart_count + 1, restart_pause=wait,
        restart_at=time.time_ns() + wait * 1_000_000, monitor_pid=0,
    )  # fmt: skip


def attended(container: Container) -> bool:
    """Whether somebody waits for its next start: while it is `restarting`, the row has that process for a monitor."""
    return bundle.alive(container.monitor_pid, container.start_time, container.boot_id)


def carry_on(containers: Containers, container_id: str) -> None:
    """Wait for the next start of a container that is `restarting`, and start it; unless somebody else does already.

    A failure of the start is written down, and ends it.  What stops or removes the container meanwhile is heeded.
    """
    with Held(containers.engine, container_id) as container:
        if not container.restarting or attended(container):
            return
        own = (os.getpid(), bundle.start_time(os.getpid()), bundle.boot_id())
        with containers.database.transaction() as transaction:
            transaction.execute(
                "UPDATE containers SET monitor_pid = ?, start_time = ?, boot_id = ? WHERE id = ?", (*own, container_id)
            )
        left = (container.restart_at - time.time_ns()) / 1e9
    time.sleep(min(max(0.0, left), LONGEST / 1000))
    try:
        containers.start(container_id, again=True)
    except TuidockError:
        pass  # it stands in the row


def due(container: Container) -> bool:
    """Whether the process that waited for its next start is to start it now: nobody was faster, nobody stopped it."""
    return container.restarting and not container.stopped_by and container.monitor_pid == os.getpid()


def send_for(roots: Roots, container_id: str) -> None:
    """Let a process of its own carry on; nobody waits for it."""
    from tuidock.runtime.spawn import interpreter_command

    command = [*interpreter_command("tuidock.engine.cleanup", "sys.argv[2:]"), roots.data, roots.run, container_id, "alone"]
    nothing = [(os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)]
    environment = {"PATH": os.environ.get("PATH", "")}
    os.waitpid(os.posix_spawn(command[0], command, environment, file_actions=nothing, setsid=True), 0)


def dismiss(container: Container) -> None:
    """Who waits for its next start is not needed any more.  Under the container's lock."""
    lifecycle.kill(container.monitor_pid, container.start_time, 15)


def give_up(containers: Containers, container_id: str) -> bool:
    """End the waiting of a container that is `restarting`.  False if it is not, or not any more."""
    with Held(containers.engine, container_id) as container:
        if not container.restarting:
            return False
        dismiss(container)
        with containers.database.transaction() as transaction:
            transaction.execute("UPDATE containers SET status = 'exited', monitor_pid = 0 WHERE id = ?", (container_id,))
            transaction.tell("container", "stop", container_id, reconcile.attributes(container))
    return True


def start_all(containers: Containers) -> Iterator[tuple[str, TuidockError | None]]:
    """Start what its policy wants to run and does not: after a boot.  Gives each name, with what went wrong.

    That is what ran when the machine went down, what `system stop` ended, and, with `always`, what a user had stopped, too.
    """
    for container in reversed(containers.list(all=True)):
        if container.status != "exited":
            continue
        wanted = policy(container.request["restart"])
        by_hand = wanted.name == "unless-stopped" and container.stopped_by == "user"
        if by_hand or not wanted.again(container.exit_code, container.restart_count):
            continue
        try:
            containers.start(container.id)
        except NoSuchContainer:
            continue
        except TuidockError as error:
            yield container.name, error
        else:
            yield container.name, None


def unit(roots: Roots, command: list[str]) -> str:
    """A systemd unit that starts at boot what should run, and stops all at shutdown.  systemd.service(5).

    command: the words that run tuidock.
    """
    words = " ".join(_quoted(word) for word in (*command, "--root", roots.data, "--run-root", roots.run, "system"))
    return UNIT.format(roots=roots, words=words)


def _quoted(word: str) -> str:
    """For ExecStart=: % and $ have a meaning there."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if any(character in word for character in " \t\"'\\;") else escaped


UNIT = """\
[Unit]
Description=Containers of tuidock in {roots.data}
Wants=network-online.target
After=network-online.target local-fs.target
RequiresMountsFor={roots.data} {roots.run}

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart={words} start
ExecStop={words} stop
TimeoutStopSec=5min

[Install]
WantedBy=multi-user.target
"""


def shown(container: Container) -> dict[str, Any]:
    """Docker's `RestartPolicy`."""
    found = policy(container.request.get("restart", "no"))
    return {"Name": found.name, "MaximumRetryCount": found.most}
