"""Limits hold: asked inside the container, of the kernel, on the hierarchies of this machine and again on pure v2.

The last test boots a machine with nothing but v2 and runs this file and tests/runtime/test_cgroups.py there.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.machine import PLATFORM, REPOSITORY, Cli
from tuidock.runtime import cgroups

VERSION = cgroups.hierarchy().version
EAT = "dd if=/dev/zero of=/dev/null bs=200M count=1"
"""A buffer of 200 MB, filled."""

pytestmark = pytest.mark.usefixtures("busybox")


def path(controller: str, name: str) -> str:
    """A file of a container's own cgroup, as it sees that."""
    return f"/sys/fs/cgroup/{controller}/{name}" if VERSION == 1 else f"/sys/fs/cgroup/{name}"


def state(cli: Cli, container: str) -> str:
    return cli.ok("inspect", "--format", "{{ .State.ExitCode }} {{ .State.OOMKilled }}", container)


def test_too_much_memory_ends_in_137(cli):
    assert cli("run", "--name", "a", "--memory", "64m", "busybox", *EAT.split()).status == 137
    assert state(cli, "a") == "137 true"
    assert "oom" in cli.ok("events", "--since", "1", "--until", "0s", "--format", "{{ .Action }}").split()


def test_a_child_that_takes_too_much_is_told_of_too(cli):
    """pid 1 lives on and ends as it likes; that something was killed is still true."""
    result = cli("run", "--name", "a", "--memory", "64m", "busybox", "sh", "-c", f"{EAT} 2>/dev/null; echo $?; exit 5")
    assert (result.status, result.out) == (5, "137\n")
    assert state(cli, "a") == "5 true"


def test_another_kill_is_no_lack_of_memory(cli):
    cli.ok("run", "-d", "--name", "a", "--memory", "64m", "busybox", "sleep", "600")
    cli.ok("kill", "a")
    cli("wait", "a")
    assert state(cli, "a") == "137 false"


def test_memory_as_the_container_sees_it(cli):
    name = "memory.limit_in_bytes" if VERSION == 1 else "memory.max"
    assert cli.ok("run", "--rm", "-m", "64m", "busybox", "cat", path("memory", name)) == str(64 << 20)


def test_no_more_processes_than_allowed(cli):
    forks = "i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done"
    result = cli("run", "--rm", "--pids-limit", "8", "busybox", "sh", "-c", forks)
    assert result.status != 0
    assert "can't fork: Resource temporarily unavailable" in result.err


def test_processes_with_and_without_a_limit(cli):
    forks = "i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done"
    assert cli("run", "--rm", "busybox", "sh", "-c", forks).status == 0
    shown = ("run", "--rm", "--pids-limit")
    assert cli.ok(*shown, "8", "busybox", "cat", path("pids", "pids.max")) == "8"
    assert cli.ok(*shown, "-1", "busybox", "cat", path("pids", "pids.max")) == "max"


def test_a_share_of_a_processor(cli):
    """The loop ends as soon as the kernel has held it back once; where it never did, the test's time runs out."""
    counted = path("cpu", "cpu.stat")
    loop = f"while ! grep -q 'nr_throttled [1-9]' {counted}; do :; done; echo held back"
    assert cli.ok("run", "--rm", "--cpus", "0.2", "busybox", "timeout", "30", "sh", "-c", loop) == "held back"
    shown = ("cpu.cfs_quota_us", "cpu.cfs_period_us") if VERSION == 1 else ("cpu.max",)
    files = [path("cpu", name) for name in shown]
    assert cli.ok("run", "--rm", "--cpus", "0.2", "busybox", "cat", *files).split() == ["20000", "100000"]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("-m", "1m"), "Minimum memory limit allowed is 6MB"),
        (("-m", "64m", "--memory-swap", "32m"), "Minimum memoryswap limit should be larger"),
        (("--cpus", "1000"), "range of CPUs is from 0.01 to"),
    ],
)
def test_limits_that_cannot_be_are_refused(cli, flags, words):
    result = cli("run", "--name", "a", *flags, "busybox", "true")
    assert result.status == 125
    assert words in result.err
    assert cli.ok("ps", "-aq") == ""


def test_an_exec_is_under_the_same_limits(cli):
    cli.ok("run", "-d", "--name", "a", "--memory", "64m", "busybox", "sleep", "600")
    assert cli("exec", "a", *EAT.split()).status == 137
    assert cli.ok("inspect", "--format", "{{ .State.Running }}", "a") == "true"
    cli.ok("stop", "-t", "0", "a")
    assert state(cli, "a") == "137 true"


def test_a_container_sees_its_own_cgroups_only_and_changes_none(cli):
    """runc's CVE-2023-25809 was a tree that could be written; on a hybrid, the v2 tree was the host's."""
    program = (
        "find /sys/fs/cgroup -mindepth 1 -type d; echo --; find /sys/fs/cgroup -name cgroup.procs | while read f; do "
        "sort -n $f | head -n 1; echo 1 2>/dev/null >$f && echo written; mkdir ${f%/*}/x 2>/dev/null && echo made; done; true"
    )
    folders, _, rest = cli.ok("run", "--rm", "busybox", "sh", "-c", f"{program} 2>/dev/null").partition("--")
    assert {folder.rpartition("/")[0] for folder in folders.split()} <= {"/sys/fs/cgroup"}
    assert set(rest.split()) == {"1"}, "pid 1 is the first in each, and pid 0 is how the kernel names one of outside"


def test_devices_by_rule(cli):
    """/dev/oldmem (1:12) is nowhere: to open it is refused by the rules, or there is none."""
    program = "mknod /x c 1 12; cat </x; mknod /n c 1 3 && cat </n && echo null"
    refused = cli("run", "--rm", "busybox", "sh", "-c", program)
    assert "can't open /x: Operation not permitted" in refused.err
    assert refused.out == "null\n"
    assert "can't open /x: No such device" in cli("run", "--rm", "--privileged", "busybox", "sh", "-c", program).err


if VERSION == 2:  # defined only there: a skipped test counts as failed where CI runs

    def test_a_tree_with_processes_at_its_root_says_so(cli):
        """As in a container of another engine: there no controller can be switched on, and only limits need one."""
        place = "/sys/fs/cgroup/box"
        os.mkdir(place)
        with open("/sys/fs/cgroup/cgroup.subtree_control", "w") as file:
            file.write("+cpu +memory +pids")
        script = (
            f"echo $$ >{place}/cgroup.procs; exec unshare --cgroup --mount sh -c "
            "'umount /sys/fs/cgroup; mount -t cgroup2 none /sys/fs/cgroup; "
            + " ".join(cli.words)
            + " run --rm FLAGS busybox echo ran'"
        )
        limited, free = (
            subprocess.run(["sh", "-c", script.replace("FLAGS", flags)], capture_output=True, text=True, cwd=REPOSITORY)
            for flags in ("--memory 64m", "")
        )
        assert limited.returncode == 125
        assert "cgroup controller memory cannot be used" in limited.stderr
        assert "/sys/fs/cgroup has processes of its own" in limited.stderr
        assert (free.returncode, free.stdout) == (0, "ran\n"), free.stderr
        os.rmdir(place)


MACHINES = {
    "cgroup2-vm.sh": "not (all_of_this or cannot_be or as_the_container or another_kill or another_of or dockers or refused)",
    "vm-run.sh": "ends_in_137 or no_more_processes or share_of",
}
"""Which tests of this file and of tests/runtime/test_cgroups.py run there: a container takes a second in
User-Mode Linux 6.1, five in a whole kernel 6.12 without hardware to help it."""


CACHE = "/tmp/pytest-cache"
"""Inside a machine the work tree may be read-only, /tmp is its own."""


def test_all_of_this_on_pure_v2():
    """Both machines at once: each has a processor to itself."""
    if not all((PLATFORM / machine).exists() for machine in MACHINES):
        pytest.skip(f"{' and '.join(MACHINES)} are not in {PLATFORM}")
    files = ("tests/runtime/test_cgroups.py", "tests/e2e/test_limits.py")
    words = [sys.executable, "-m", "pytest", "-q", "-rs", "--color=no", "--no-skips", "-o", f"cache_dir={CACHE}", *files]
    inside = {"TUIDOCK_PLATFORM": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    started = {
        machine: subprocess.Popen(
            [PLATFORM / machine, *words, "-k", chosen],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=REPOSITORY,
            env={**os.environ, **inside},
        )
        for machine, chosen in MACHINES.items()
    }  # fmt: skip
    ended = {machine: (process.communicate(timeout=400)[0], process.returncode) for machine, process in started.items()}
    for machine, (said, status) in ended.items():
        assert status == 0, f"{machine}:\n{said}"
        assert " passed" in said
        assert " skipped" not in said, f"{machine}:\n{said}"
