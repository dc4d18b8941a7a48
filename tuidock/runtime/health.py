"""Is the container well?  A command that is run in it every now and then says so: docker's health checks.

Part of the monitor's loop, and imported only where there is a check: no thread, no process but the probe itself.  The rules
are moby's (daemon/health.go).
"""

from __future__ import annotations

import _signal as signal
import os
import time

from tuidock.runtime import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.runtime.streams import Job

STARTING, HEALTHY, UNHEALTHY = "starting", "healthy", "unhealthy"
KEPT = 5
"""results in the log"""
LONGEST_OUTPUT = 4096
"""bytes of a result's output"""
NO_STATUS = -1
"""exit status of a probe that ran for too long or could not be run"""


class Prober:
    """One container's checks: when the next one is due, and what came of the last ones.

    asked: process (runtime-spec), seccomp, interval, timeout, start_period, start_interval (seconds), retries, file (where
    the state is kept), tell (the command that writes an event, without the event).
    """

    def __init__(self, asked: Mapping[str, Any]) -> None:
        self.asked = asked
        self.status = STARTING
        self.streak = 0
        """failures in a row that count"""
        before = bundle.read_json(asked["file"]) or {}
        self.log: list[dict[str, Any]] = before.get("log", [])
        self.began = time.monotonic()
        self.at = self.began + self._interval()
        """monotonic seconds of what is next: a probe, or its time-out"""
        self.job: Job | None = None
        self.overdue = False
        self._output = bytearray()
        self._started = 0
        self._telling = 0
        self._write()

    def _interval(self) -> float:
        early = time.monotonic() - self.began < self.asked["start_period"]
        return float(self.asked["start_interval" if early and self.status == STARTING else "interval"])

    def skip(self) -> None:
        """It is due and cannot be: the container stands still."""
        self.at = time.monotonic() + self._interval()

    def begin(self, job: Job | None, failure: str = "") -> None:
        """A probe runs; or it could not be run, and why."""
        self._reap()
        self.job = job
        self.overdue = False
        self._output = bytearray(failure.encode())
        self._started = time.time_ns()
        self.at = time.monotonic() + self.asked["timeout"]
        if job is None:
            self.end(NO_STATUS)

    def take(self, content: bytes) -> None:
        """What the probe writes; one byte more than is kept tells that there was more."""
        self._output += content[: LONGEST_OUTPUT + 1 - len(self._output)]

    def give_up(self) -> None:
        """The probe has run for too long."""
        assert self.job is not None
        self.overdue = True
        self.at = float("inf")
        try:
            os.killpg(self.job.pid, signal.SIGKILL)  # it leads a session of its own, and is not reaped yet
        except ProcessLookupError:
            pass

    def end(self, status: int) -> None:
        """The probe has ended.  status: 0 is healthy, all else is not."""
        output = self._output[:LONGEST_OUTPUT].decode("utf-8", "replace")
        if self.overdue:
            status, output = NO_STATUS, f"Health check exceeded timeout ({_duration(self.asked['timeout'])})"
        elif len(self._output) > LONGEST_OUTPUT:
            output += "..."
        self.log = [*self.log, {"start": self._started, "end": time.time_ns(), "exit": status, "output": output}][-KEPT:]
        before = self.status
        if status == 0:
            self.status, self.streak = HEALTHY, 0
        elif self.status != STARTING or time.monotonic() - self.began >= self.asked["start_period"]:
            self.streak += 1
            if self.streak >= self.asked["retries"]:
                self.status = UNHEALTHY
        self.job = None
        self.at = time.monotonic() + self._interval()
        self._write()
        if self.status != before:
            self._tell()

    def close(self) -> None:
        """The container has ended; docker calls it unhealthy from then on."""
        self.status = UNHEALTHY
        self._write()
        self._reap()

    def _write(self) -> None:
        value = {"status": self.status, "streak": self.streak, "log": self.log}
        try:
            bundle.write_json(self.asked["file"], value)
        except OSError as error:  # a full disk makes nobody ill
            try:
                os.write(2, f"the state of the health checks cannot be written: {error}\n".encode())
            except OSError:
                pass

    def _tell(self) -> None:
        self._reap()
        command = [*self.asked["tell"], f"health_status: {self.status}"]
        self._telling = os.posix_spawn(command[0], command, {"PATH": os.environ.get("PATH", "")}, setsid=True)

    def _reap(self) -> None:
        if self._telling:
            ended, _ = os.waitpid(self._telling, os.WNOHANG)
            if ended:
                self._telling = 0


def _duration(seconds: float) -> str:
    """As Go prints one: 500ms, 1.5s, 1m30s."""
    if seconds < 1:
        return f"{seconds * 1000:g}ms"
    minutes, rest = divmod(seconds, 60)
    hours, minutes = divmod(int(minutes), 60)
    shown = f"{hours}h" if hours else ""
    shown += f"{minutes}m" if hours or minutes else ""
    return f"{shown}{rest:g}s"
