"""Health checks on real containers: docker's rules (moby, daemon/health.go)."""

from __future__ import annotations

import os
import time

import pytest

from tests.engine.running import running
from tests.machine import alive, eventually, processes_of
from tuidock.engine import health
from tuidock.engine.requests import RunRequest
from tuidock.errors import UsageError

SOON, SECOND = 100_000_000, 1_000_000_000


def state(engine, container) -> dict:
    return engine.containers.inspect(container.id)["State"].get("Health", {})


def actions(engine, container) -> list[str]:
    return [event.action for event in engine.events.since(0) if event.actor == container.id and "health" in event.action]


def test_the_users_words_go_before_the_images():
    image = {"Test": ["CMD", "true"], "Interval": 5 * SECOND, "Retries": 7}
    assert health.merged(image, RunRequest("x", health_interval=SECOND)) == {**image, "Interval": SECOND}
    assert health.merged(image, RunRequest("x", health_cmd="false"))["Test"] == ["CMD-SHELL", "false"]
    assert health.merged(image, RunRequest("x", no_healthcheck=True)) == {"Test": ["NONE"]}
    assert health.merged(image, RunRequest("x")) == image
    assert health.merged(None, RunRequest("x")) is None
    for check, command in (
        (image, ["true"]),
        ({"Test": ["CMD-SHELL", "a b"]}, ["/bin/sh", "-c", "a b"]),
        ({"Test": ["NONE"]}, []),
    ):
        assert health.words(check) == command


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({"no_healthcheck": True, "health_cmd": "true"}, "--no-healthcheck conflicts with --health-* options"),
        ({"health_cmd": "true", "health_timeout": -SECOND}, "--health-timeout cannot be negative"),
        ({"health_cmd": "true", "health_retries": -1}, "--health-retries cannot be negative"),
        ({"health_cmd": "true", "health_interval": 1000}, "Interval in Healthcheck cannot be less than one millisecond"),
    ],
)
def test_what_is_refused(asked, said):
    with pytest.raises(UsageError) as caught:
        health.merged(None, RunRequest("x", **asked))
    assert caught.value.message == said


@pytest.mark.usefixtures("busybox")
class TestOnRealContainers:
    def test_from_starting_to_healthy_to_unhealthy_and_back(self, engine, tmp_path):
        check = "cat /t/word; test ! -e /t/ill"
        (tmp_path / "word").write_text("fine")
        with running(
            engine, volumes=(f"{tmp_path}:/t",), health_cmd=check, health_interval=SOON, health_retries=2, stop_signal="KILL"
        ) as container:
            assert state(engine, container)["Status"] == "starting"
            assert eventually(lambda: state(engine, container)["Status"] == "healthy")
            (tmp_path / "word").write_text("not")
            (tmp_path / "ill").touch()
            assert eventually(lambda: state(engine, container)["Status"] == "unhealthy")
            seen = state(engine, container)
            assert seen["FailingStreak"] >= 2
            assert (seen["Log"][-1]["ExitCode"], seen["Log"][-1]["Output"]) == (1, "not")
            assert eventually(lambda: len(state(engine, container)["Log"]) == 5), "no more than five are kept"
            (tmp_path / "ill").unlink()
            assert eventually(lambda: state(engine, container)["Status"] == "healthy")
            assert state(engine, container)["FailingStreak"] == 0
            words = [f"health_status: {word}" for word in ("healthy", "unhealthy", "healthy")]
            assert eventually(lambda: actions(engine, container) == words)
            assert engine.containers.get(container.id).running, "nobody ends an unhealthy one"
            engine.containers.stop(container.id)
            assert state(engine, container)["Status"] == "unhealthy", "as docker says of one that has ended"

    def test_failures_of_the_start_period_do_not_count(self, engine):
        with running(
            engine, health_cmd="false", health_start_interval=SOON, health_start_period=600 * SECOND, health_retries=1,
            health_interval=SOON,
        ) as container:  # fmt: skip
            assert eventually(lambda: len(state(engine, container)["Log"]) >= 3)
            assert (state(engine, container)["Status"], state(engine, container)["FailingStreak"]) == ("starting", 0)

    def test_a_probe_that_takes_too_long_is_killed_with_its_children(self, engine):
        with running(
            engine, health_cmd="sleep 1234 & sleep 1234", health_interval=SOON, health_timeout=3 * SOON, health_retries=1
        ) as container:
            assert eventually(lambda: state(engine, container)["Status"] == "unhealthy")
            last = state(engine, container)["Log"][-1]
            assert (last["ExitCode"], last["Output"]) == (-1, "Health check exceeded timeout (300ms)")
            assert eventually(lambda: len(state(engine, container)["Log"]) >= 2), "the next one comes"
            left = [pid for pid in engine.containers.processes(container.id) if pid != container.pid]
            assert len(left) <= 3, "those of one probe at most"

    def test_the_output_is_cut(self, engine):
        with running(engine, health_cmd="head -c 100000 /dev/zero | tr '\\0' x", health_interval=SOON) as container:
            assert eventually(lambda: state(engine, container)["Log"])
            assert state(engine, container)["Log"][-1]["Output"] == "x" * 4096 + "..."

    def test_a_probe_that_cannot_be_run_is_a_failure(self, engine):
        with running(engine, health_cmd="true", health_interval=SOON, health_retries=1) as container:
            os.rename(f"/proc/{container.pid}/root/bin/sh", f"/proc/{container.pid}/root/bin/gone")
            assert eventually(lambda: state(engine, container)["Status"] == "unhealthy")
            assert "/bin/sh" in state(engine, container)["Log"][-1]["Output"]

    def test_nobody_is_probed_while_it_stands_still(self, engine):
        with running(engine, health_cmd="true", health_interval=SOON) as container:
            assert eventually(lambda: state(engine, container)["Status"] == "healthy")
            engine.containers.pause(container.id)
            time.sleep(0.3)
            ends = state(engine, container)["Log"][-1]["End"]
            time.sleep(0.5)
            assert state(engine, container)["Log"][-1]["End"] == ends
            engine.containers.unpause(container.id)
            assert eventually(lambda: state(engine, container)["Log"][-1]["End"] != ends)

    def test_the_images_check_and_none(self, engine, busybox_tar):
        with open(busybox_tar, "rb") as tar:
            engine.images.import_(tar, "checked", changes=("HEALTHCHECK --interval=100ms CMD echo well",))
        with running(engine, image="checked", name="c") as container:
            assert eventually(lambda: state(engine, container).get("Status") == "healthy")
            assert state(engine, container)["Log"][0]["Output"] == "well\n"
        with running(engine, image="checked", no_healthcheck=True) as container:
            assert state(engine, container) == {}
            assert engine.containers.inspect(container.id)["Config"]["Healthcheck"] == {"Test": ["NONE"]}

    def test_the_monitor_has_no_child_but_the_container_and_stays_small(self, engine):
        with running(engine, health_cmd="true", health_interval=SOON) as container:
            assert eventually(lambda: actions(engine, container))
            with open(f"/proc/{container.monitor_pid}/status") as file:
                (threads,) = [line.split()[1] for line in file if line.startswith("Threads:")]
            assert threads == "1"
        assert not alive(container.monitor_pid)
        assert eventually(lambda: not processes_of(engine.roots))
