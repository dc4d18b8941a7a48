"""Control groups of whichever version this machine has; tests/e2e/test_limits.py runs this file again where that is v2."""

from __future__ import annotations

import os
import struct
import subprocess
from collections.abc import Iterator

import pytest

from tests.machine import alive, cgroups_named, eventually
from tuidock.engine.requests import RunRequest
from tuidock.errors import Missing, TuidockError, UsageError
from tuidock.runtime import cgroups, trace
from tuidock.runtime.cgroups import Cgroup, Hierarchy, devices, files, limits, mounted
from tuidock.runtime.cgroups.v1 import CgroupV1
from tuidock.runtime.cgroups.v2 import CgroupV2, unified, weight

# --------------------------------------------------------------------------------------------------- what is mounted


def v1_line(folder: str, options: str, root: str = "/") -> str:
    return f"30 29 0:27 {root} {folder} rw,nosuid shared:9 - cgroup cgroup rw,{options}\n"


V2_ONLY = "24 1 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
UNIFIED = "25 1 0:23 / /sys/fs/cgroup/unified rw shared:5 - cgroup2 cgroup2 rw\n"
OTHERS = "22 1 254:0 / / rw - ext4 /dev/vda rw\n23 1 0:21 / /sys/fs/cgroup ro - tmpfs tmpfs ro,mode=755\n"


def test_hybrid():
    found = mounted(
        [
            *OTHERS.splitlines(), UNIFIED, v1_line("/sys/fs/cgroup/cpu,cpuacct", "cpu,cpuacct"),
            v1_line("/sys/fs/cgroup/memory", "memory", "/docker/1"), v1_line("/sys/fs/cgroup/systemd", "xattr,name=systemd"),
            v1_line("/elsewhere/memory", "memory"), v1_line("/sys/fs/cgroup/net_cls", "net_cls"),
        ]
    )  # fmt: skip
    assert found == Hierarchy(
        1,
        {
            "cpu": ("/sys/fs/cgroup/cpu,cpuacct", "/"),
            "cpuacct": ("/sys/fs/cgroup/cpu,cpuacct", "/"),
            "memory": ("/sys/fs/cgroup/memory", "/docker/1"),
        },
        ("/sys/fs/cgroup/unified", "/"),
    )
    assert list(found.controllers) == ["cpu,cpuacct", "memory", "unified"]
    assert CgroupV1("a/b", found).folders() == [
        "/sys/fs/cgroup/cpu,cpuacct/a/b", "/sys/fs/cgroup/memory/a/b", "/sys/fs/cgroup/unified/a/b"
    ]  # fmt: skip


def test_pure_v2_and_with_a_hierarchy_of_somebodys_own_beside_it():
    pure = Hierarchy(2, {}, ("/sys/fs/cgroup", "/"))
    assert mounted([OTHERS, V2_ONLY]) == pure
    assert mounted([V2_ONLY, v1_line("/cpusets", "cpuset"), v1_line("/mnt/f", "freezer")]) == pure
    assert pure.controllers == {}


def test_none():
    with pytest.raises(Missing):
        mounted(OTHERS.splitlines())


# ------------------------------------------------------------------------------------------- flags to limits to files


def resources(privileged: bool = False, **flags: object) -> dict[str, object]:
    return limits.resources(RunRequest("x", **flags), privileged=privileged)  # type: ignore[arg-type]


def test_flags_to_resources():
    asked = resources(memory=64 << 20, cpus=1.5 if (os.cpu_count() or 1) > 1 else 0.5, pids_limit=10)
    assert asked["memory"] == {"limit": 64 << 20, "swap": 128 << 20}
    assert asked["cpu"]["quota"] in (150_000, 50_000)
    assert asked["pids"] == {"limit": 10}
    assert resources(memory=64 << 20, memory_swap=-1)["memory"]["swap"] == -1
    assert resources(cpus=0.29)["cpu"] == {"quota": 29_000, "period": 100_000}
    assert set(resources(pids_limit=-1, memory_swap=-1)) == {"devices"}
    assert resources(privileged=True)["devices"] == [limits.rule(True, "a")]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"memory": (6 << 20) - 1}, "Minimum memory limit allowed is 6MB"),
        ({"memory": 64 << 20, "memory_swap": 63 << 20}, "Minimum memoryswap limit should be larger than memory limit"),
        ({"memory_swap": 64 << 20}, "You should always set the Memory limit"),
        ({"cpus": 4096.0}, "range of CPUs is from 0.01 to"),
        ({"cpus": 0.001}, "range of CPUs is from 0.01 to"),
        ({"cpus": -1.0}, "range of CPUs is from 0.01 to"),
    ],
)
def test_flags_out_of_range_in_dockers_words(asked, words):
    with pytest.raises(UsageError, match=words):
        resources(**asked)


@pytest.mark.parametrize(
    ("group", "values", "expected"),
    [
        ("memory", {"limit": 100, "swap": 300}, {"memory.max": "100", "memory.swap.max": "200"}),
        ("memory", {"limit": 100, "swap": 100}, {"memory.max": "100", "memory.swap.max": "0"}),
        ("memory", {"swap": -1, "limit": -1}, {"memory.max": "max", "memory.swap.max": "max"}),
        ("memory", {"limit": 100, "reservation": 50}, {"memory.max": "100", "memory.low": "50"}),
        ("memory", {"reservation": -1}, {"memory.low": "max"}),
        ("cpu", {"quota": 50_000, "period": 100_000}, {"cpu.max": "50000 100000"}),
        ("cpu", {"quota": -1, "period": 50_000}, {"cpu.max": "max 50000"}),
        ("cpu", {"period": 50_000}, {"cpu.max": "max 50000"}),
        ("cpu", {"period": 50_000, "quota": 7_000}, {"cpu.max": "7000 50000"}),
        ("cpu", {"quota": 7_000}, {"cpu.max": "7000 100000"}),
        ("cpu", {"shares": 1024}, {"cpu.weight": "100"}),
        ("cpu", {"shares": 0, "cpus": "0-1", "mems": "0"}, {"cpuset.cpus": "0-1", "cpuset.mems": "0"}),
        ("pids", {"limit": 0}, {"pids.max": "max"}),
        ("pids", {"limit": -1}, {"pids.max": "max"}),
        ("pids", {"limit": 9}, {"pids.max": "9"}),
    ],
)
def test_resources_to_files_of_v2(group, values, expected):
    assert unified(group, values) == expected


@pytest.mark.parametrize(
    ("group", "values"),
    [
        ("memory", {"limit": 300, "swap": 100}), ("memory", {"swap": 100}), ("memory", {"swappiness": 3}),
        ("cpu", {"realtimePeriod": 1}), ("hugepageLimits", [{"pageSize": "2MB", "limit": 1}]), ("luck", {"limit": 1}),
    ],
)  # fmt: skip
def test_what_has_no_file_is_named(group, values, tmp_path):
    with pytest.raises(TuidockError):
        unified(group, values)
    if values not in ({"limit": 300, "swap": 100}, {"swap": 100}, {"swappiness": 3}):  # v1 knows the last one
        with pytest.raises(TuidockError, match=group):
            CgroupV1("x", Hierarchy(1, {"memory": (str(tmp_path), "/")}, ("", ""))).limit({group: values})


def test_shares_to_weight():
    """The ends, the middle and that it only ever grows; 1024 to 100 is what the older formula missed (39)."""
    assert [weight(shares) for shares in (0, 2, 1024, 262144, 1 << 30)] == [1, 1, 100, 10000, 10000]
    row = [weight(shares) for shares in range(2, 262145, 97)]
    assert row == sorted(row)


# ------------------------------------------------------------------------------------------------ v1 on files of ours


@pytest.fixture
def v1(tmp_path) -> CgroupV1:
    """A cgroup `c` of v1 in plain files: what is written is seen in the trace, in order."""
    for name, text in {
        "memory.limit_in_bytes": str((1 << 63) - 4096), "memory.memsw.limit_in_bytes": str((1 << 63) - 4096),
        "memory.usage_in_bytes": "5000", "memory.stat": "cache 9\ntotal_inactive_file 4000", "devices.allow": "",
        "devices.deny": "", "cgroup.procs": "", "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2",
    }.items():  # fmt: skip
        for folder in (tmp_path / "memory" / "c", tmp_path / "memory" / "c" / "below"):
            folder.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)
    return CgroupV1("c", Hierarchy(1, dict.fromkeys(("memory", "devices"), (f"{tmp_path}/memory", "/")), ("", "")))


def writes(cgroup: Cgroup, **resources: object) -> list[tuple[str, str]]:
    trace.take()
    cgroup.limit(resources)
    return [(os.path.basename(call[1][0]), call[1][1]) for call in trace.take()]


PLAIN, BOTH = "memory.limit_in_bytes", "memory.memsw.limit_in_bytes"


def test_v1_memory_is_never_above_memory_and_swap(v1, tmp_path):
    """The kernel refuses any step on the way that would be: of two raised limits the outer goes first."""
    folder = tmp_path / "memory" / "c"
    assert writes(v1, memory={"limit": 100, "swap": 200}) == [(PLAIN, "100"), (BOTH, "200")]
    (folder / BOTH).write_text("200")
    assert writes(v1, memory={"limit": 300, "swap": 600}) == [(BOTH, "600"), (PLAIN, "300")]
    (folder / BOTH).write_text("600")
    assert writes(v1, memory={"limit": 100, "swap": 200}) == [(PLAIN, "100"), (BOTH, "200")]
    assert writes(v1, memory={"limit": 300, "swap": -1}) == [(BOTH, "-1"), (PLAIN, "300")]
    assert writes(v1, memory={"limit": -1}) == [(BOTH, "-1"), (PLAIN, "-1")]
    (folder / BOTH).unlink()
    assert writes(v1, memory={"limit": 300, "swap": 600}) == [(PLAIN, "300")]


def test_v1_device_rules_one_by_one(v1):
    rules = [
        {"allow": False}, {"allow": True, "type": "c", "major": 1, "minor": 3, "access": "rw"},
        {"allow": True, "type": "b", "major": 8, "minor": -1, "access": ""}, {"allow": True, "type": "a", "major": 4},
    ]  # fmt: skip
    assert writes(v1, devices=rules) == [
        ("devices.deny", "a"), ("devices.allow", "c 1:3 rw"), ("devices.allow", "b 8:* rwm"),
        ("devices.allow", "b 4:* rwm"), ("devices.allow", "c 4:* rwm"),
    ]  # fmt: skip


def test_v1_without_some_controllers(v1, tmp_path):
    """Memory is switched off on many small machines; a container must run, end and be removed there all the same."""
    assert v1.read()["memory"] == 1000
    assert v1.read()["memory_limit"] == 0
    assert v1.oom_kills() == 4, "those below count"
    without = CgroupV1("c", Hierarchy(1, {"devices": (f"{tmp_path}/memory", "/")}, ("", "")))
    assert set(without.read()) == {"cpu_ns", "memory", "memory_limit", "pids", "pids_limit", "read_bytes", "write_bytes"}
    assert without.oom_kills() == 0
    assert without.pids() == []
    with pytest.raises(TuidockError, match="cgroup controller pids is not there"):
        without.limit({"pids": {"limit": 1}})


# -------------------------------------------------------------------------------------------------- devices on v2


def decide(program: bytes, kind: str, access: str, major: int, minor: int) -> bool:
    """Run the few instructions that a device program has, as the kernel would."""
    context = devices.KINDS[kind] | sum(devices.ACCESS[letter] for letter in access) << 16
    memory, registers, place = {0: context, 4: major, 8: minor}, [0] * 11, 0
    steps = [struct.unpack_from("<BBhi", program, at) for at in range(0, len(program), 8)]
    for _ in range(10_000):
        code, both, offset, immediate = steps[place]
        target, source = both & 15, both >> 4
        place += 1
        if code == devices.LOAD:
            registers[target] = memory[offset]
        elif code == devices.MOVE:
            registers[target] = registers[source]
        elif code == devices.MOVE_IMMEDIATE:
            registers[target] = immediate
        elif code == devices.AND:
            registers[target] &= immediate
        elif code == devices.SHIFT_RIGHT:
            registers[target] >>= immediate
        elif code == devices.JUMP_IF:
            place += offset if registers[target] == immediate else 0
        elif code == devices.JUMP_IF_NOT:
            place += offset if registers[target] != immediate else 0
        elif code == devices.JUMP_IF_NOT_REGISTER:
            place += offset if registers[target] != registers[source] else 0
        elif code == devices.EXIT:
            return bool(registers[0])
    raise AssertionError("it does not end")


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        (("c", "rw", 1, 3), True), (("c", "r", 1, 3), True), (("c", "rwm", 136, 7), True), (("c", "m", 77, 1), True),
        (("c", "r", 1, 1), False), (("c", "rm", 77, 1), False), (("b", "m", 8, 0), True), (("b", "r", 8, 0), False),
        (("b", "rw", 1, 3), False), (("c", "rw", 10, 229), False),
    ],
)  # fmt: skip
def test_dockers_device_rules(asked, answer):
    assert decide(devices.program(limits.DEVICES), *asked) is answer


def test_the_last_rule_that_fits_decides():
    rules = [limits.rule(False, "a"), limits.rule(True, "c", 1, 3), limits.rule(False, "c", 1, 3, "w")]
    program = devices.program(rules)
    assert decide(program, "c", "r", 1, 3)
    assert not decide(program, "c", "w", 1, 3)
    assert not decide(program, "c", "rw", 1, 3), "a part of it is refused"
    assert decide(devices.program([limits.rule(True, "a")]), "b", "rwm", 8, 0)
    assert not decide(devices.program([]), "c", "r", 1, 3)
    for bad in ({"allow": True, "type": "x"}, {"allow": True, "type": "c", "access": "rx"}):
        with pytest.raises(TuidockError):
            devices.program([bad])


# --------------------------------------------------------------------------------------------------- files' own errors


def test_an_error_has_file_value_and_meaning(tmp_path):
    with pytest.raises(TuidockError) as caught:
        files.write(f"{tmp_path}/pids.max", "7")
    assert "writing 7 to" in caught.value.message
    assert f"{tmp_path}/pids.max" in caught.value.message
    assert "does not have that controller" in caught.value.hint


# --------------------------------------------------------------------------------------------------------- the kernel


@pytest.fixture
def name() -> Iterator[str]:
    """The name of a cgroup of this test's own; nothing of it may be left."""
    name = f"tuidock-test-{os.getpid()}"
    yield name
    left = cgroups_named(name)
    for path in reversed(left):
        for pid in files.pids(path):
            os.kill(pid, 9)
        files.remove(path)
    assert not left


@pytest.fixture
def cgroup(name) -> Iterator[Cgroup]:
    made = cgroups.create(f"{name}/one", {})
    yield made
    made.kill()
    made.remove()


def into(cgroup: Cgroup, *command: str) -> subprocess.Popen[bytes]:
    """A process in it, put there as the monitor does, before it does anything."""
    held = cgroup.descriptor()
    tree = f"/proc/self/fd/{held}/cgroup.procs" if held >= 0 else ""

    def enter() -> None:
        if tree:
            files.write(tree, str(os.getpid()))
        cgroup.enter(os.getpid())

    return subprocess.Popen(command, preexec_fn=enter, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)


@pytest.mark.root
def test_a_cgroup_is_in_every_tree_with_its_processes(cgroup, name):
    process = into(cgroup, "sleep", "100")
    assert cgroup.pids() == [process.pid]
    lines = [line.split(":") for line in open(f"/proc/{process.pid}/cgroup").read().splitlines()]
    for _, controllers, path in lines:
        if set(controllers.split(",")) & set(cgroups.V1_CONTROLLERS) or not controllers:  # v2's line names none
            assert path.endswith(f"/{name}/one"), controllers
    assert cgroups.existing(f"{name}/one") is not None
    assert cgroups.existing(f"{name}/two") is None
    assert cgroup.read()["pids"] == 1
    cgroup.kill()
    assert process.wait() == -9


@pytest.mark.root
def test_limits_are_in_the_kernels_files(name):
    asked = resources(memory=64 << 20, cpus=0.5, pids_limit=7)
    made = cgroups.create(f"{name}/one", asked)
    assert made.read()["memory_limit"] == 64 << 20
    assert made.read()["pids_limit"] == 7
    if isinstance(made, CgroupV1):
        assert files.read(f"{made.folder('cpu')}/cpu.cfs_quota_us") == "50000"
        assert files.read(f"{made.folder('memory')}/memory.memsw.limit_in_bytes") in ("", str(128 << 20))
        assert "c 1:3 rwm" in files.read(f"{made.folder('devices')}/devices.list").splitlines()
    else:
        assert isinstance(made, CgroupV2)
        assert files.read(f"{made.folder}/cpu.max") == "50000 100000"
        assert files.read(f"{made.folder}/memory.swap.max") in ("", str(64 << 20))
    made.limit({"memory": {"limit": 200 << 20, "swap": 400 << 20}})
    assert made.read()["memory_limit"] == 200 << 20
    made.limit({"memory": {"limit": 32 << 20, "swap": 32 << 20}})
    assert made.read()["memory_limit"] == 32 << 20
    made.limit({"memory": {"limit": -1, "swap": -1}, "pids": {"limit": -1}})
    assert (made.read()["memory_limit"], made.read()["pids_limit"]) == (0, 0)
    made.remove()


@pytest.mark.root
def test_nothing_is_left_of_one_whose_limits_fail(name):
    with pytest.raises(TuidockError, match="writing 1 "):
        cgroups.create(f"{name}/one", {"cpu": {"quota": 1, "period": 1}})


@pytest.mark.root
def test_frozen_processes_can_be_killed(cgroup):
    process = into(cgroup, "sleep", "100")
    cgroup.freeze()
    cgroup.kill()
    assert process.wait() == -9


@pytest.mark.root
def test_frozen_processes_stand_still_until_they_are_thawed(cgroup):
    process = into(cgroup, "sh", "-c", "trap 'exit 7' TERM; echo ready; while :; do :; done")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    cgroup.freeze()
    os.kill(process.pid, 15)
    assert not eventually(lambda: not alive(process.pid), seconds=0.2)
    cgroup.thaw()
    assert process.wait() == 7


@pytest.mark.root
def test_what_a_container_made_below_goes_with_it(cgroup, name):
    for folder in cgroups_named("one"):
        if f"/{name}/" in folder:
            os.makedirs(f"{folder}/its/own")
    process = into(cgroup, "sleep", "100")
    held = [path for path in cgroups_named("own") if f"/{name}/one/" in path]
    assert held
    for path in held:
        if "cpuset" not in path:
            files.write(f"{path}/cgroup.procs", str(process.pid))
    assert cgroup.pids() == [process.pid]
    cgroup.kill()
    process.wait()
    cgroup.remove()
    assert not cgroups_named(name)


@pytest.mark.root
def test_memory_that_is_used_up_is_counted(name):
    made = cgroups.create(f"{name}/one", resources(memory=16 << 20, memory_swap=16 << 20))
    assert made.oom_kills() == 0
    process = into(made, "sh", "-c", "dd if=/dev/zero of=/dev/null bs=64M count=1 2>/dev/null; exit 0")
    process.wait()
    assert eventually(made.oom_kills)
    made.kill()
    made.remove()


@pytest.mark.root
def test_processor_time_is_counted(cgroup):
    before = cgroup.read()["cpu_ns"]
    into(cgroup, "sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done").wait()
    assert cgroup.read()["cpu_ns"] > before
