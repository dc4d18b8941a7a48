"""Restart policies: who starts again, when, and what keeps it from that."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.engine.running import execute, running
from tests.machine import alive, eventually
from tuidock.engine import restarts
from tuidock.engine.requests import LogRequest, RunRequest
from tuidock.errors import Conflict, InUse, UsageError

ENDS_SOON = ("sh", "-c", "echo x; sleep 0.1; exit 3")


@pytest.mark.parametrize(
    ("text", "name", "most"),
    [
        ("no", "no", 0), ("", "no", 0), ("always", "always", 0), ("unless-stopped", "unless-stopped", 0),
        ("on-failure", "on-failure", 0), ("on-failure:3", "on-failure", 3), ("always:0", "always", 0),
    ],
)  # fmt: skip
def test_policies(text, name, most):
    assert restarts.policy(text) == restarts.Policy(name, most)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("bad", "invalid restart policy 'bad'"),
        ("always:3", "maximum retry count cannot be used with restart policy 'always'"),
        ("on-failure:x", "invalid restart policy format: maximum retry count must be an integer"),
        ("on-failure:-1", "maximum retry count cannot be negative"),
    ],
)
def test_what_is_no_policy_is_refused_in_dockers_words(text, said):
    with pytest.raises(UsageError) as caught:
        restarts.policy(text)
    assert caught.value.message == said


def test_pauses_are_doubled_and_a_good_run_begins_anew():
    """moby, restartmanager.go: 100 ms, doubled up to a minute, reset after 10 s of run."""
    pauses = [0]
    for _ in range(12):
        pauses.append(restarts.pause(pauses[-1], 9_999_999_999))
    assert pauses[1:] == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000]
    assert restarts.pause(60000, 10_000_000_000) == 100


def runs(engine, container) -> int:
    """How often it has begun, by its own words."""
    return sum(line.text == b"x" for line in engine.containers.logs(LogRequest(container.id)))


@pytest.fixture
def slow(engine, monkeypatch):
    """Makes the next pause of a container a minute, so that it is found waiting."""

    def delay(container) -> None:
        with engine.database.transaction() as transaction:
            transaction.execute("UPDATE containers SET restart_pause = 60000, restart_count = 1 WHERE id = ?", (container.id,))

    return delay


def waiting(engine, container) -> bool:
    found = engine.containers.get(container.id)
    return found.restarting and restarts.attended(found)


@pytest.mark.usefixtures("busybox")
class TestOnRealContainers:
    def test_always_starts_again_until_it_is_stopped(self, engine):
        with running(engine, *ENDS_SOON, restart="always") as container:
            assert eventually(lambda: engine.containers.inspect(container.id)["RestartCount"] >= 2)
            engine.containers.stop(container.id)
            stopped = engine.containers.get(container.id)
            assert stopped.status == "exited"
            assert not eventually(lambda: engine.containers.get(container.id).status != "exited", 0.5)
            begun = runs(engine, container)
            assert begun - stopped.restart_count in (0, 1), "the last restart may have been stopped while it waited"
            engine.containers.start(container.id)
            assert engine.containers.get(container.id).restart_count <= 1, "who starts it counts anew"

    def test_on_failure_counts(self, engine):
        with running(engine, *ENDS_SOON, restart="on-failure:2") as container:
            assert eventually(lambda: engine.containers.get(container.id).status == "exited", 10)
            assert (engine.containers.get(container.id).restart_count, runs(engine, container)) == (2, 3)

    def test_on_failure_leaves_success_alone(self, engine):
        with running(engine, "sh", "-c", "echo x", restart="on-failure") as container:
            assert eventually(lambda: engine.containers.get(container.id).status == "exited")
            assert not eventually(lambda: runs(engine, container) > 1, 0.5)

    def test_one_that_somebody_else_killed_starts_again_and_one_that_a_user_killed_does_not(self, engine):
        with running(engine, restart="unless-stopped") as container:
            os.kill(container.pid, signal.SIGKILL)
            assert eventually(lambda: engine.containers.get(container.id).pid not in (0, container.pid))
            engine.containers.kill(container.id)
            assert not eventually(lambda: engine.containers.get(container.id).status != "exited", 0.5)

    @pytest.mark.parametrize(("stop_signal", "comes_back"), [("", False), ("TERM", True), ("HUP", False)])
    def test_which_signal_of_kill_is_to_end_it(self, engine, stop_signal, comes_back):
        """The stop signal is; where none was chosen, any (moby, daemon/kill.go)."""
        program = "trap 'exit 1' HUP; echo x; while :; do sleep 0.02; done"
        with running(engine, "sh", "-c", program, restart="always", stop_signal=stop_signal) as container:
            assert eventually(lambda: runs(engine, container) == 1)
            engine.containers.kill(container.id, "HUP")
            assert eventually(lambda: not alive(container.pid))
            assert eventually(lambda: runs(engine, container) == 2, 3 if comes_back else 0.7) is comes_back

    def test_what_cannot_be_done_to_one_that_waits(self, engine, slow):
        with running(engine, *ENDS_SOON, restart="always") as container:
            slow(container)
            assert eventually(lambda: waiting(engine, container))
            state = engine.containers.inspect(container.id)["State"]
            assert (state["Status"], state["Running"], state["Restarting"], state["Pid"]) == ("restarting", True, True, 0)
            assert [one.id for one in engine.containers.list()] == [container.id]
            with pytest.raises(Conflict, match="is restarting, wait until the container is running"):
                execute(engine, container, "true")
            with pytest.raises(Conflict, match="is restarting, wait until the container is running"):
                engine.containers.pause(container.id)
            with pytest.raises(InUse, match="container is restarting"):
                engine.containers.remove(container.id)
            who = engine.containers.get(container.id).monitor_pid
            assert engine.containers.stop(container.id) == 3
            assert engine.containers.get(container.id).status == "exited"
            assert eventually(lambda: not alive(who)), "nobody waits for what does not come"

    def test_one_that_waits_can_be_started_and_removed(self, engine, slow):
        container = engine.containers.create(RunRequest("busybox", ENDS_SOON, restart="always"))
        engine.containers.start(container)
        slow(engine.containers.get(container))
        assert eventually(lambda: waiting(engine, engine.containers.get(container)))
        engine.containers.start(container)
        assert engine.containers.get(container).restart_count <= 1
        engine.containers.remove(container, force=True)
        assert engine.containers.list(all=True) == []

    def test_a_killed_waiter_is_replaced_at_the_next_look(self, engine, slow):
        with running(engine, *ENDS_SOON, restart="always") as container:
            slow(container)
            assert eventually(lambda: waiting(engine, container))
            first = engine.containers.get(container.id).monitor_pid
            os.kill(first, signal.SIGKILL)
            assert eventually(lambda: not alive(first))
            assert eventually(lambda: waiting(engine, container))
            assert engine.containers.get(container.id).monitor_pid != first

    def test_a_killed_monitor_is_found_out_and_its_container_starts_again(self, engine):
        with running(engine, restart="always") as container:
            os.kill(container.monitor_pid, signal.SIGKILL)
            assert eventually(lambda: not alive(container.monitor_pid))
            os.kill(container.pid, signal.SIGKILL)
            assert eventually(lambda: engine.containers.get(container.id).pid not in (0, container.pid))

    def test_a_reboot_in_the_eyes_of_the_database(self, engine):
        with running(engine, restart="unless-stopped") as container:
            os.kill(container.monitor_pid, signal.SIGKILL)
            os.kill(container.pid, signal.SIGKILL)
            with engine.database.transaction() as transaction:
                transaction.execute("UPDATE containers SET boot_id = 'another'")
            assert eventually(lambda: engine.containers.get(container.id).pid not in (0, container.pid))

    def test_a_monitor_that_the_system_ends_takes_its_container_along_until_the_next_boot(self, engine):
        program = "trap 'exit 0' TERM; echo x; while :; do sleep 0.02; done"
        with running(engine, "sh", "-c", program, restart="always") as container:
            assert eventually(lambda: runs(engine, container) == 1)
            os.kill(container.monitor_pid, signal.SIGTERM)
            assert eventually(lambda: engine.containers.get(container.id).status == "exited")
            assert engine.containers.get(container.id).stopped_by == "system"
            assert list(restarts.start_all(engine.containers)) == [(container.name, None)]
            assert engine.containers.get(container.id).running

    def test_update_gives_a_running_one_another_policy(self, engine):
        with running(engine) as container:
            engine.containers.update(container.id, restart="always")
            os.kill(container.pid, signal.SIGKILL)
            assert eventually(lambda: engine.containers.get(container.id).pid not in (0, container.pid))
            assert engine.containers.inspect(container.id)["HostConfig"]["RestartPolicy"]["Name"] == "always"
            engine.containers.update(container.id, restart="no")
            os.kill(engine.containers.get(container.id).pid, signal.SIGKILL)
            assert eventually(lambda: engine.containers.get(container.id).status == "exited")
            assert not eventually(lambda: engine.containers.get(container.id).status != "exited", 0.5)

    def test_rm_and_a_policy_contradict_each_other(self, engine):
        with pytest.raises(UsageError, match="cannot specify both --restart and --rm"):
            engine.containers.create(RunRequest("busybox", ("true",), restart="always", remove=True))
        with running(engine, remove=True) as container:
            with pytest.raises(Conflict, match="AutoRemove is enabled"):
                engine.containers.update(container.id, restart="always")
            engine.containers.update(container.id, restart="no")

    def test_a_stop_at_any_moment_is_a_stop(self, engine):
        """While it starts, runs, ends, and waits for its next start."""
        container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "exit 3"), restart="always"))
        try:
            for number in range(12):
                engine.containers.start(container)
                time.sleep(0.013 * number)
                engine.containers.stop(container, timeout=1)
                assert engine.containers.get(container).status == "exited", number
        finally:
            engine.containers.remove(container, force=True)
