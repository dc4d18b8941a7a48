"""What a container uses, against what the kernel says of its processes."""

from __future__ import annotations

import os

import pytest

from tests.engine.running import execute, running
from tests.machine import eventually
from tuidock.engine.requests import RunRequest
from tuidock.engine.stats import Sample, network_bytes
from tuidock.errors import NoSuchContainer, NotRunning


def sample(**values: int) -> Sample:
    names = (
        "time",
        "cpu_ns",
        "memory",
        "memory_limit",
        "pids",
        "pids_limit",
        "read_bytes",
        "write_bytes",
        "rx_bytes",
        "tx_bytes",
    )
    return Sample(**{**dict.fromkeys(names, 0), **values})


def test_percent_is_of_one_processor():
    assert sample(time=2_000, cpu_ns=3_000).cpu_percent(sample(time=1_000, cpu_ns=1_000)) == 200.0
    assert sample(time=1_000, cpu_ns=3_000).cpu_percent(sample(time=1_000)) == 0.0, "no time has passed"


def test_processes_limits_and_time(engine, busybox):
    with running(engine, "sh", "-c", "sleep 600 & sleep 600", memory=64 << 20, pids_limit=20) as container:
        assert eventually(lambda: engine.stats.sample(container.id).pids == 2)
        before = engine.stats.sample(container.id)
        assert (before.memory_limit, before.pids_limit) == (64 << 20, 20)
        execute(engine, container, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done")
        after = engine.stats.sample(container.name)
        assert after.cpu_ns > before.cpu_ns
        assert after.time > before.time
    with running(engine) as container:
        free = engine.stats.sample(container.id)
        assert (free.memory_limit, free.pids_limit) == (0, 0)


def test_memory_is_what_processes_hold_and_not_the_files_they_read(engine, busybox):
    """As docker counts: what the kernel can drop at once is not in it."""
    with running(
        engine, "sh", "-c", "dd if=/dev/zero of=/file bs=1M count=40 2>/dev/null; touch /done; sleep 600"
    ) as container:
        assert eventually(lambda: execute(engine, container, "test", "-e", "/done").status == 0)
        held = execute(
            engine, container, "sh", "-c", "cat /sys/fs/cgroup/memory.stat /sys/fs/cgroup/memory/memory.stat 2>/dev/null"
        )
        shmem = max(int(line.split()[1]) for line in held.out.splitlines() if line.split()[0] in ("shmem", "total_shmem"))
        assert engine.stats.sample(container.id).memory < (20 << 20) + shmem  # a root on a tmpfs is memory
        execute(engine, container, "dd", "if=/dev/zero", "of=/dev/shm/file", "bs=1M", "count=30")
        assert engine.stats.sample(container.id).memory > 30 << 20


def test_the_loopback_does_not_count(engine, busybox):
    with running(engine, network="none") as container:
        execute(engine, container, "ping", "-c", "1", "127.0.0.1")
        used = engine.stats.sample(container.id)
        assert (used.rx_bytes, used.tx_bytes) == (0, 0)
        lines = open(f"/proc/{container.pid}/net/dev").read().splitlines()
        assert any(line.strip().startswith("lo:") and line.split()[1] != "0" for line in lines), (
            "there was something to leave out"
        )


def test_the_hosts_interfaces_are_not_the_containers(engine, busybox):
    with running(engine, network="host") as container:
        assert network_bytes(os.getpid()) == network_bytes(container.pid)
        assert engine.stats.sample(container.id).rx_bytes == 0
    assert network_bytes(0x7FFFFFFF) == (0, 0), "a process that has ended"


def test_what_does_not_run_has_nothing(engine, busybox):
    with pytest.raises(NoSuchContainer):
        engine.stats.sample("nosuch")
    engine.containers.create(RunRequest("busybox", ("true",), name="x"))
    with pytest.raises(NotRunning, match="x"):
        engine.stats.sample("x")
