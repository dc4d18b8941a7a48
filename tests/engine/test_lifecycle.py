"""Pausing, updating, restarting: what the kernel knows of it afterwards, and what docker says in the same place."""

from __future__ import annotations

import os
import time

import pytest

from tests.engine.running import execute, running
from tests.machine import alive, eventually
from tuidock.engine.requests import RunRequest
from tuidock.errors import Conflict, InUse, NotRunning, UsageError
from tuidock.runtime import cgroups

pytestmark = pytest.mark.usefixtures("busybox")


def cgroup_file(engine, container, *names: str) -> str:
    """The first of these files of a container's cgroup that is there: `controller/file` of v1, `file` of v2."""
    found = cgroups.hierarchy()
    for name in names:
        controller, _, file = name.rpartition("/")
        base = found.trees.get(controller, ("", ""))[0] if controller else found.unified[0]
        path = f"{base}/{engine.roots.cgroup}/{container.id}/{file}"
        if base and os.path.exists(path):
            with open(path) as opened:
                return opened.read().strip()
    raise AssertionError(f"none of {names}")


def frozen(engine, container) -> bool:
    return cgroup_file(engine, container, "freezer/freezer.state", "cgroup.freeze") in ("FROZEN", "1")


def test_a_paused_container_stands_still_and_goes_on(engine, tmp_path):
    program = "i=0; while :; do i=$((i+1)); echo $i >/t/n; sleep 0.02; done"
    with running(engine, "sh", "-c", program, volumes=(f"{tmp_path}:/t",)) as container:
        counted = tmp_path / "n"
        assert eventually(counted.exists)
        engine.containers.pause(container.id)
        assert frozen(engine, container)
        before = counted.read_text()
        time.sleep(0.3)
        assert counted.read_text() == before
        state = engine.containers.inspect(container.id)["State"]
        assert (state["Status"], state["Running"], state["Paused"], state["Pid"]) == ("paused", True, True, container.pid)
        engine.containers.unpause(container.id)
        assert eventually(lambda: counted.read_text() not in ("", before))


def test_what_cannot_be_done_to_a_paused_one(engine):
    with running(engine, name="p") as container:
        engine.containers.pause("p")
        with pytest.raises(Conflict, match="already paused"):
            engine.containers.pause("p")
        with pytest.raises(Conflict, match="unpause the container before exec"):
            execute(engine, container, "true")
        with pytest.raises(InUse, match="container is paused"):
            engine.containers.remove("p")
        with pytest.raises(Conflict, match="cannot start a paused container"):
            engine.containers.start("p")
        with pytest.raises(Conflict, match="unpause it first"):
            engine.containers.attach("p")
        assert [one.id for one in engine.containers.list()] == [container.id]
        engine.containers.unpause("p")
        with pytest.raises(Conflict, match="is not paused"):
            engine.containers.unpause("p")
        engine.containers.stop("p", timeout=0)
        with pytest.raises(NotRunning):
            engine.containers.pause("p")


@pytest.mark.parametrize("way", ["stop", "kill", "restart"])
def test_a_paused_one_can_be_ended(engine, way):
    """A frozen process gets its signal when it is thawed; moby thaws it then."""
    program = "trap 'exit 5' TERM; while :; do sleep 0.02; done"
    with running(engine, "sh", "-c", program, name="p") as container:
        assert eventually(lambda: execute(engine, container, "grep", "SigCgt", "/proc/1/status").out.split()[1][-4] in "4567")
        engine.containers.pause("p")
        if way == "stop":
            assert engine.containers.stop("p") == 5
        elif way == "kill":
            engine.containers.kill("p")
            assert engine.containers.get("p").exit_code == 137
        else:
            engine.containers.restart("p")
            assert engine.containers.get("p").status == "running"
        assert not alive(container.pid)


def test_a_paused_one_can_be_removed_by_force(engine):
    container = engine.containers.create(RunRequest("busybox", ("sleep", "600")))
    engine.containers.start(container)
    engine.containers.pause(container)
    engine.containers.remove(container, force=True)
    assert engine.containers.list(all=True) == []


def test_a_signal_that_is_not_to_end_it_waits_for_unpause(engine, tmp_path):
    program = "trap 'echo x >/t/got' USR1; while :; do sleep 0.02; done"
    with running(engine, "sh", "-c", program, volumes=(f"{tmp_path}:/t",), stop_signal="TERM") as container:
        assert eventually(lambda: execute(engine, container, "grep", "SigCgt", "/proc/1/status").out.split()[1][-3] != "0")
        engine.containers.pause(container.id)
        engine.containers.kill(container.id, "USR1")
        assert frozen(engine, container)
        assert not (tmp_path / "got").exists()
        engine.containers.unpause(container.id)
        assert eventually((tmp_path / "got").exists)


def test_update_changes_the_limits_of_one_that_runs_and_of_its_next_start(engine):
    with running(engine, memory=32 << 20) as container:
        engine.containers.update(
            container.id, memory=48 << 20, memory_swap=256 << 20, cpus=0.5, cpu_shares=512, pids_limit=77, cpuset_cpus="0"
        )
        for _ in range(2):
            assert cgroup_file(engine, container, "memory/memory.limit_in_bytes", "memory.max") == str(48 << 20)
            assert cgroup_file(engine, container, "cpu/cpu.cfs_quota_us", "cpu.max").split()[0] == "50000"
            assert cgroup_file(engine, container, "pids/pids.max", "pids.max") == "77"
            assert cgroup_file(engine, container, "cpuset/cpuset.cpus", "cpuset.cpus") == "0"
            assert cgroup_file(engine, container, "cpu/cpu.shares", "cpu.weight") in ("512", "59")
            engine.containers.restart(container.id, 0)
        engine.containers.update(container.id, memory=64 << 20, pids_limit=-1)
        assert cgroup_file(engine, container, "memory/memory.limit_in_bytes", "memory.max") == str(64 << 20)
        assert cgroup_file(engine, container, "pids/pids.max", "pids.max") == "max"
        host = engine.containers.inspect(container.id)["HostConfig"]
        assert (host["Memory"], host["MemorySwap"], host["NanoCpus"], host["CpusetCpus"]) == (64 << 20, 256 << 20, 5e8, "0")


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"memory": 1 << 20, "memory_swap": -1}, UsageError), ({"memory": 512 << 20}, Conflict), ({"cpus": 1e6}, UsageError),
        ({"cpuset_cpus": "4000"}, UsageError), ({"cpuset_cpus": "x"}, UsageError), ({"cpu_quota": 5}, UsageError),
        ({"cpus": 1.0, "cpu_quota": 5000}, UsageError),
    ],
)  # fmt: skip
def test_update_refuses_what_docker_refuses(engine, changes, error):
    with running(engine, memory=32 << 20) as container:
        with pytest.raises(error):
            engine.containers.update(container.id, **changes)
        assert engine.containers.get(container.id).request == container.request
