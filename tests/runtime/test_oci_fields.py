"""Each field of config.json, as the container or the kernel sees it: runtime-spec 1.2, config.md and config-linux.md."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.machine import inode
from tests.runtime.bundles import Oci, remove, unpack

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def rootfs(scratch: Path, busybox_tar: Path) -> Path:
    return unpack(busybox_tar, Path(tempfile.mkdtemp(dir=scratch)))


@pytest.fixture
def oci(scratch: Path, rootfs: Path) -> Iterator[Oci]:
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="oci-"))
    folder.chmod(0o755)
    scratch.chmod(0o711)
    rootfs.parent.chmod(0o711)  # who is root in a user namespace is nobody out here, and has to get there
    oci = Oci(folder, rootfs)
    yield oci
    try:
        assert oci.clean() == []
    finally:
        remove(folder)


def spaces(*without: str, **paths: str) -> list[dict[str, str]]:
    kinds = [kind for kind in ("mount", "pid", "network", "ipc", "uts", "cgroup") if kind not in (*without, *paths)]
    return [{"type": kind} for kind in kinds] + [{"type": kind, "path": path} for kind, path in paths.items()]


MAPPINGS = [{"containerID": 0, "hostID": 100000, "size": 65536}]
USER = {
    "namespaces": [*spaces(), {"type": "user"}], "uidMappings": MAPPINGS, "gidMappings": MAPPINGS,
}  # fmt: skip


# ------------------------------------------------------------------------------------------------------------ namespaces


def test_namespaces_are_joined_by_path_or_shared_with_the_host(oci: Oci) -> None:
    with oci.running("/bin/sleep", "100") as name:
        pid = oci.state(name)["pid"]
        paths = {"network": f"/proc/{pid}/ns/net", "ipc": f"/proc/{pid}/ns/ipc", "pid": f"/proc/{pid}/ns/pid"}
        shown = oci.said("/bin/sh", "-c", "for n in net ipc pid uts mnt; do stat -Lc %i /proc/self/ns/$n; done",
                         namespaces=spaces("uts", **paths), hostname="")  # fmt: skip
        net, ipc, pid_, uts, mnt = (int(line) for line in shown.split())
        assert [net, ipc, pid_] == [inode(pid, kind) for kind in ("net", "ipc", "pid")]
        assert uts == inode("self", "uts")
        assert mnt not in (inode("self", "mnt"), inode(pid, "mnt"))


def test_a_user_namespace_maps_who_is_who(oci: Oci) -> None:
    device = {"path": "/dev/more", "type": "c", "major": 1, "minor": 3, "fileMode": 0o640, "uid": 7, "gid": 8}
    words = "cat /proc/self/uid_map; id -u; stat -c '%u %g %a' /dev/more; echo x > /dev/null && echo y > /dev/more; "
    words += "cat /proc/self/oom_score_adj"
    shown = oci.said("/bin/sh", "-c", words, **USER, devices=[device], oomScoreAdj=500)
    assert shown.split() == ["0", "100000", "65536", "0", "7", "8", "640", "500"]
    with oci.running("/bin/sleep", "100", **USER) as name:
        assert os.stat(f"/proc/{oci.state(name)['pid']}").st_uid == 100000
        assert oci.ok("exec", "-u", "5", name, "/bin/sh", "-c", "id -u; readlink /proc/self/ns/user").split() == [
            "5", f"user:[{inode(oci.state(name)['pid'], 'user')}]",
        ]  # fmt: skip


def test_clocks_of_a_time_namespace_are_set(oci: Oci) -> None:
    offsets = {"boottime": {"secs": 1000000}, "monotonic": {"secs": 5, "nanosecs": 1}}
    time = {"namespaces": [*spaces(), {"type": "time"}], "timeOffsets": offsets}
    before = float(Path("/proc/uptime").read_text().split()[0])
    uptime = float(oci.said("/bin/cat", "/proc/uptime", **time).split()[0])
    after = float(Path("/proc/uptime").read_text().split()[0])
    assert before - 0.02 <= uptime - 1000000 <= after + 0.02  # it is shown in hundredths
    with oci.running("/bin/sleep", "100", **time) as name:
        assert inode(oci.state(name)["pid"], "time") != inode("self", "time")
        assert float(oci.ok("exec", name, "/bin/cat", "/proc/uptime").split()[0]) > 1000000


# --------------------------------------------------------------------------------------------------------------- process


def test_the_process_is_who_config_says(oci: Oci) -> None:
    user = {"uid": 5, "gid": 6, "additionalGids": [7, 8], "umask": 0o27}
    sets = {"bounding": ["CAP_KILL", "CAP_CHOWN"], "permitted": ["CAP_KILL"], "effective": ["CAP_KILL"],
            "inheritable": ["CAP_KILL"], "ambient": ["CAP_KILL"]}  # fmt: skip
    limits = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]
    words = "umask; id -G; ulimit -Sn; ulimit -Hn; pwd; echo $A; grep -E 'Cap|NoNew' /proc/self/status"
    shown = oci.said("/bin/sh", "-c", words, user=user, capabilities=sets, rlimits=limits, cwd="/usr", noNewPrivileges=False,
                     env=["A=b c", "PATH=/bin"]).split("\n")  # fmt: skip
    assert shown[:6] == ["0027", "6 7 8", "100", "200", "/usr", "b c"]
    assert [line.split()[1] for line in shown[6:]] == ["0000000000000020"] * 3 + ["0000000000000021", "0000000000000020", "0"]


def test_capabilities_that_are_none_are_left_out(oci: Oci) -> None:
    sets = {name: ["CAP_NOSUCH", "CAP_KILL"] for name in ("bounding", "permitted", "effective")}
    assert "CapEff:\t0000000000000020" in oci.said("/bin/cat", "/proc/self/status", capabilities=sets)


def test_scheduling_and_personality(oci: Oci) -> None:
    command = ["/bin/sh", "-c", "cut -d' ' -f41,19 /proc/self/stat; uname -m"]
    shown = oci.said(*command, scheduler={"policy": "SCHED_BATCH", "nice": 7}, personality={"domain": "LINUX32"},
                     ioPriority={"class": "IOPRIO_CLASS_IDLE"})  # fmt: skip
    nice, policy, machine = shown.split()
    assert (nice, policy) == ("7", "3")
    assert machine == {"x86_64": "i686", "aarch64": "armv8l"}.get(os.uname().machine, machine)
    with oci.running("/bin/sleep", "100", ioPriority={"class": "IOPRIO_CLASS_BE", "priority": 6}) as name:
        said = subprocess.run(["ionice", "-p", str(oci.state(name)["pid"])], capture_output=True, text=True)
        assert said.stdout.strip() == "best-effort: prio 6"


# ---------------------------------------------------------------------------------------------------------------- mounts


def mount(oci: Oci, *options: str, kind: str = "bind", **more: Any) -> dict[str, Any]:
    (oci.folder / "source").mkdir(exist_ok=True)
    source = str(oci.folder / "source") if kind == "bind" else kind
    return {"destination": "/mnt", "type": kind, "source": source, "options": list(options), **more}


def line(oci: Oci, *options: str, kind: str = "bind") -> list[str]:
    """The words of /proc/self/mountinfo for a mount with these options."""
    shown = oci.said("/bin/grep", " /mnt ", "/proc/self/mountinfo", mounts=[PROC, mount(oci, *options, kind=kind)])
    return shown.split()


PROC = {"destination": "/proc", "type": "proc", "source": "proc"}


@pytest.mark.parametrize(("options", "there", "absent"), [
    (("bind", "ro"), {"ro"}, {"rw"}),
    (("rbind", "rro", "rnosuid", "rnodev", "rnoexec"), {"ro", "nosuid", "nodev", "noexec"}, {"rw"}),
    (("bind", "noatime", "nodiratime"), {"noatime", "nodiratime"}, {"relatime"}),
    (("bind", "nosymfollow"), {"nosymfollow"}, set()),
    (("bind", "ro", "rw"), {"rw"}, {"ro"}), (("bind", "strictatime"), set(), {"relatime", "noatime"}),
])  # fmt: skip
def test_words_of_a_bind_mount(oci: Oci, options: tuple[str, ...], there: set[str], absent: set[str]) -> None:
    words = set(line(oci, *options)[5].split(","))
    assert there <= words
    assert not absent & words


def test_words_of_a_file_system(oci: Oci) -> None:
    words = line(oci, "ro", "noexec", "sync", "size=64k", "mode=700", kind="tmpfs")
    assert {"ro", "noexec"} <= set(words[5].split(","))
    assert {"sync", "size=64k", "mode=700"} <= set(words[-1].split(","))
    refused = oci.run("/bin/true", mounts=[PROC, mount(oci, "bind", "nosuchword")])
    assert "no such option: nosuchword" in refused.err


def test_propagation_of_mounts_and_of_the_root(oci: Oci) -> None:
    shown = oci.said(
        "/bin/cat", "/proc/self/mountinfo", rootfsPropagation="shared", mounts=[PROC, mount(oci, "rbind", "rshared")]
    )
    lines = {words[4]: words for words in (text.split() for text in shown.splitlines())}
    assert lines["/"][6].startswith("shared:")
    assert lines["/mnt"][6].startswith("shared:")
    assert not lines["/proc"][6].startswith("shared:")


def test_copy_up_fills_a_tmpfs_with_what_was_there(oci: Oci) -> None:
    mounts = [PROC, {"destination": "/etc", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]}]
    assert "root:" in oci.said("/bin/sh", "-c", "cat /etc/passwd; touch /etc/new", mounts=mounts)
    assert not (oci.rootfs / "etc/new").exists()


@pytest.mark.parametrize("user", [False, True])
def test_an_id_mapped_mount_changes_owners(oci: Oci, user: bool) -> None:
    mapped = [{"containerID": 0, "hostID": 105000 if user else 5000, "size": 100}]
    wanted = mount(oci, "bind", "idmap", uidMappings=mapped, gidMappings=mapped)
    os.chown(oci.folder / "source", 3, 4)
    shown = oci.said("/bin/stat", "-c", "%u %g", "/mnt", mounts=[PROC, wanted], **(USER if user else {}))
    assert shown == "5003 5004"


# ---------------------------------------------------------------------------------------------------------------- kernel


def test_parameters_of_own_namespaces_are_set_and_no_others(oci: Oci) -> None:
    sysctl = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "77", "fs.mqueue.msg_max": "9"}
    files = ["/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/shmmni", "/proc/sys/fs/mqueue/msg_max"]
    assert oci.said("/bin/cat", *files, sysctl=sysctl).split() == ["1", "77", "9"]
    for key, value, said in (
        ("kernel.core_pattern", "|/bin/evil", "not in a separate kernel namespace"),
        ("kernel/core_pattern", "x", "malformed"),
        ("net.ipv4.ip_forward", "1\nx", "malformed"),
        ("net.../kernel.core_pattern", "x", "malformed"),
        ("vm.overcommit_memory", "1", "not in a separate kernel namespace"),
    ):
        assert said in oci.run("/bin/true", sysctl={key: value}).err
    refused = oci.run("/bin/true", sysctl={"net.ipv4.ip_forward": "1"}, namespaces=spaces("network"))
    assert "host's network namespace" in refused.err
    by_path = spaces(network="/proc/self/ns/net")
    refused = oci.run("/bin/true", sysctl={"net.ipv4.ip_forward": "1"}, namespaces=by_path)
    assert "host's network namespace" in refused.err, "CVE-2022-0811's kin: the path may be the host's own"


@pytest.mark.parametrize(("rule", "status"), [
    ({"action": "SCMP_ACT_ERRNO", "errnoRet": 95}, "not supported"), ({"action": "SCMP_ACT_KILL_PROCESS"}, 128 + 31),
    ({"action": "SCMP_ACT_TRAP"}, 128 + 31), ({"action": "SCMP_ACT_LOG"}, 0),
    ({"action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 0o700, "op": "SCMP_CMP_EQ"}]}, 0),
    ({"action": "SCMP_ACT_ERRNO", "args": [{"index": 1, "value": 0o777, "op": "SCMP_CMP_EQ"}]}, "not permitted"),
])  # fmt: skip
def test_actions_and_arguments_of_a_filter(oci: Oci, rule: dict[str, Any], status: int | str) -> None:
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86"],
               "syscalls": [{"names": ["mkdir"], **rule}]}  # fmt: skip
    shared = spaces("pid")  # the first process of a pid namespace cannot be killed by its own fault
    done = oci.run("/bin/mkdir", "/dev/shm/x", seccomp=seccomp, namespaces=shared)
    if isinstance(status, str):
        assert status in done.err
    else:
        assert done.status == status, done.err


def test_a_filter_is_loaded_with_its_flags(oci: Oci) -> None:
    """The kernel refuses a flag that it does not know, so what arrives there is at least none of those."""
    seccomp: dict[str, Any] = {
        "defaultAction": "SCMP_ACT_ALLOW",
        "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO"}],
    }
    flags = ["SECCOMP_FILTER_FLAG_SPEC_ALLOW", "SECCOMP_FILTER_FLAG_LOG"]
    with oci.running("/bin/sleep", "100", seccomp={**seccomp, "flags": flags}) as name:
        assert "Seccomp:\t2" in oci.ok("exec", name, "/bin/cat", "/proc/self/status")


def test_devices_are_made_and_allowed_as_said(oci: Oci) -> None:
    device = {"path": "/dev/dir/port", "type": "c", "major": 4, "minor": 0, "fileMode": 0o600}
    rules = [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}]
    words = "stat -c '%t:%T %a' /dev/dir/port; mknod /dev/shm/k c 10 229; : < /dev/shm/k && echo read; "
    words += "(echo x > /dev/shm/k); cat /dev/dir/port"
    sets = {name: ["CAP_MKNOD", "CAP_SYS_ADMIN"] for name in ("bounding", "permitted", "effective")}
    mounts = [
        PROC,
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs"},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "x"},
    ]
    done = oci.run("/bin/sh", "-c", words, devices=[device], resources={"devices": rules}, capabilities=sets, mounts=mounts)
    assert done.out.split("\n")[:2] == ["4:0 600", "read"], done
    assert "can't create /dev/shm/k: Operation not permitted" in done.err
    assert "can't open '/dev/dir/port': Operation not permitted" in done.err


def test_a_device_without_a_rule_is_closed(oci: Oci) -> None:
    device = {"path": "/dev/port", "type": "c", "major": 10, "minor": 229}
    command = ["/bin/sh", "-c", ": < /dev/zero && : < /dev/port"]
    refused = oci.run(*command, devices=[device], resources={})
    assert "can't open /dev/port: Operation not permitted" in refused.err
    rule = {"allow": True, "type": "c", "major": 10, "minor": 229, "access": "r"}
    oci.said(*command, devices=[device], resources={"devices": [rule]})


@pytest.mark.parametrize(("change", "said"), [
    ({"intelRdt": {"closID": "x"}}, "Intel RDT"), ({"mountLabel": "system_u"}, "mountLabel"),
    ({"selinuxLabel": "x"}, "selinuxLabel"), ({"apparmorProfile": "x"}, "AppArmor"),
    ({"namespaces": [{"type": "pid"}]}, "mount namespace"), ({"namespaces": [*spaces(), {"type": "x"}]}, "no such namespace"),
    ({"namespaces": [*spaces(), {"type": "pid"}]}, "two namespaces"), ({"uidMappings": MAPPINGS}, "without a user namespace"),
    ({"timeOffsets": {"boottime": {"secs": 1}}}, "without a new time namespace"),
    ({"rootfsPropagation": "x"}, "rootfsPropagation"), ({"rlimits": [{"type": "RLIMIT_X", "soft": 1, "hard": 1}]}, "rlimit"),
    ({"rlimits": [{"type": "RLIMIT_CORE", "soft": 1, "hard": 1}] * 2}, "twice"), ({"cwd": "tmp"}, "not absolute"),
    ({"ociVersion": "2.0.0"}, "ociVersion"), ({"root": {"path": "/nosuch"}}, "no folder"), ({"process": None}, "no process"),
    ({"cgroupsPath": "system.slice:x:y"}, "systemd"), ({"personality": {"domain": "X"}}, "no such personality"),
    ({"scheduler": {"policy": "X"}}, "scheduler policy"), ({"hooks": {"poststop": [{"path": "x"}]}}, "not absolute"),
    ({"seccomp": {"defaultAction": "SCMP_ACT_NOTIFY"}}, "SCMP_ACT_NOTIFY"),
    ({"seccomp": {"defaultAction": "SCMP_ACT_ALLOW", "flags": ["SECCOMP_FILTER_FLAG_X"]}}, "SECCOMP_FILTER_FLAG_X"),
    ({"namespaces": spaces(user="/proc/self/ns/user")}, "another's user namespace"),
    ({"resources": {"unified": {"../x": "1"}}}, "unified"),
])  # fmt: skip
def test_what_is_not_done_is_refused_by_name(oci: Oci, change: dict[str, Any], said: str) -> None:
    refused = oci.run("/bin/true", **change)
    assert refused.status == 1
    assert said in refused.err
    assert oci.ok("list", "-q") == ""
