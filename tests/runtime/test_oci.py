"""The OCI runtime over bundles: runtime-spec 1.2, runtime.md.  What holds is asked of the kernel and of the container."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.machine import alive, eventually, inode, parent
from tests.runtime.bundles import Oci, receive_terminal, remove, unpack

pytestmark = pytest.mark.root


@pytest.fixture(scope="module")
def rootfs(scratch: Path, busybox_tar: Path) -> Path:
    return unpack(busybox_tar, Path(tempfile.mkdtemp(dir=scratch)))


@pytest.fixture
def oci(scratch: Path, rootfs: Path) -> Iterator[Oci]:
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="oci-"))
    oci = Oci(folder, rootfs)
    yield oci
    try:
        assert oci.clean() == []
    finally:
        remove(folder)


def recorder(folder: Path, name: str) -> tuple[dict[str, object], Path]:
    """A hook that writes down its stdin, and the file."""
    path = folder / name
    return {"path": "/bin/sh", "args": ["sh", "-c", f"cat >> {path}; echo >> {path}"]}, path


# ------------------------------------------------------------------------------------------------------------- lifecycle


def test_a_container_goes_through_its_states(oci: Oci) -> None:
    with oci.created("/bin/sleep", "100") as name:
        created = oci.state(name)
        assert created["status"] == "created"
        assert created["ociVersion"].startswith("1.")
        assert alive(created["pid"])
        assert b"sleep" not in Path(f"/proc/{created['pid']}/cmdline").read_bytes()
        oci.ok("start", name)
        assert oci.state(name)["status"] == "running"
        assert Path(f"/proc/{created['pid']}/cmdline").read_bytes().startswith(b"/bin/sleep\0")
        oci.ok("kill", name, "KILL")
        assert eventually(lambda: oci.state(name)["status"] == "stopped")
        oci.ok("delete", name)
        assert oci("state", name).status != 0


def test_the_container_is_the_callers_child(oci: Oci) -> None:
    """Who is the next subreaper above waits for it: here this process, as conmon is."""
    import ctypes

    libc = ctypes.CDLL(None)
    assert libc.prctl(36, 1, 0, 0, 0) == 0
    try:
        with oci.running("/bin/sh", "-c", "exit 7") as name:
            pid = int(json.loads((oci.root / name / "state.json").read_text())["pid"])
            assert parent(pid) == os.getpid()
            assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 7
    finally:
        libc.prctl(36, 0, 0, 0, 0)


def test_what_is_not_allowed_in_a_state_is_refused(oci: Oci) -> None:
    with oci.running("/bin/sleep", "100") as name:
        assert "already running" in oci("start", name).err
        assert "not stopped" in oci("delete", name).err
        assert "exists" in oci("create", "--bundle", str(oci.folder / name), name).err
        oci.ok("kill", name, "9")
        assert eventually(lambda: oci.state(name)["status"] == "stopped")
        assert "container not running" in oci("kill", name, "TERM").err
        assert "has stopped" in oci("start", name).err
        oci.ok("kill", "--all", name, "KILL")
    assert "does not exist" in oci("state", name).err
    assert "does not exist" in oci("delete", name).err
    oci.ok("delete", "--force", name)


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "a\n"])
def test_an_id_is_the_name_of_a_folder(oci: Oci, name: str) -> None:
    bundle = oci.bundle("/bin/true")
    refused = oci("create", "--bundle", str(bundle.folder), name)
    assert refused.status == 1
    assert "invalid container id" in refused.err


def test_a_reused_pid_is_not_the_container(oci: Oci) -> None:
    with oci.running("/bin/sleep", "100") as name:
        path = oci.root / name / "state.json"
        record = json.loads(path.read_text())
        other = subprocess.Popen(["sleep", "100"])
        path.write_text(json.dumps({**record, "pid": other.pid}))
        assert oci.state(name)["status"] == "stopped"
        assert oci("kill", name, "KILL").status == 1
        assert other.poll() is None
        other.kill()
        other.wait()
        path.write_text(json.dumps(record))


def test_run_gives_the_commands_status_and_leaves_nothing(oci: Oci) -> None:
    assert oci.run("/bin/sh", "-c", "exit 42").status == 42
    shared = [{"type": kind} for kind in ("mount", "uts", "ipc")]  # the first process of a pid namespace cannot kill itself
    assert oci.run("/bin/sh", "-c", "kill -9 $$", namespaces=shared).status == 137
    assert oci.ok("list", "-q") == ""


@pytest.mark.parametrize(("command", "status", "words"), [
    ("nosuch", 127, "executable file not found in $PATH"), ("/nosuch", 127, "no such file or directory"),
    ("/etc/passwd", 126, "permission denied"),
])  # fmt: skip
def test_a_command_that_is_not_there_is_found_before_start(oci: Oci, command: str, status: int, words: str) -> None:
    bundle = oci.bundle(command)
    log = oci.folder / "log"
    refused = oci("--log", str(log), "--log-format", "json", "create", "--bundle", str(bundle.folder), bundle.identifier)
    assert (refused.status, oci.ok("list", "-q")) == (status, "")
    said = json.loads(log.read_text())
    assert said["level"] == "error"
    assert words in said["msg"]


def test_what_fails_after_start_is_told_by_start(oci: Oci) -> None:
    (oci.folder / "broken").write_text("#!/nosuch/interpreter\n")
    (oci.folder / "broken").chmod(0o755)
    mounts = [{"destination": "/mnt", "type": "bind", "source": str(oci.folder), "options": ["bind", "ro"]}]
    with oci.created("/mnt/broken", mounts=mounts) as name:
        refused = oci("start", name)
        assert refused.status == 127
        assert "/nosuch/interpreter" in refused.err
        assert oci.state(name)["status"] == "stopped"


def test_the_configuration_counts_as_it_was_at_create(oci: Oci) -> None:
    hook, path = recorder(oci.folder, "late")
    with oci.created("/bin/sleep", "100") as name:
        config = oci.folder / name / "config.json"
        config.write_text(json.dumps({**json.loads(config.read_text()), "hooks": {"poststop": [hook]}}))
        oci.ok("start", name)
    assert not path.exists()


def test_kill_all_and_the_lists(oci: Oci) -> None:
    with oci.running("/bin/sh", "-c", "sleep 100 & sleep 101 & wait") as name:
        assert eventually(lambda: len(json.loads(oci.ok("ps", "--format", "json", name))) == 3)
        pids = json.loads(oci.ok("ps", "-f", "json", name))
        assert oci.state(name)["pid"] in pids
        assert len(oci.ok("ps", name).splitlines()) == 4
        listed = json.loads(oci.ok("list", "--format", "json"))
        assert [(one["id"], one["status"]) for one in listed] == [(name, "running")]
        assert oci.ok("list", "--quiet") == name
        assert f"{name} " in oci.ok("list").splitlines()[1]
        oci.ok("kill", "--all", name, "KILL")
        assert eventually(lambda: not any(alive(pid) for pid in pids))


def test_the_pid_file_holds_the_pid(oci: Oci) -> None:
    bundle = oci.bundle("/bin/sleep", "100")
    path = oci.folder / "pid"
    oci.detached("create", "--bundle", str(bundle.folder), "--pid-file", str(path), bundle.identifier)
    assert int(path.read_text()) == oci.state(bundle.identifier)["pid"]


def test_descriptors_are_passed_on_and_no_others(oci: Oci) -> None:
    bundle = oci.bundle("/bin/sh", "-c", "echo through >&3; ls /proc/self/fd")
    path = oci.folder / "third"
    words = ["sh", "-c", 'file=$1; shift; exec "$@" 3>"$file" 4>"$file"', "sh", path, *oci.words]
    words += ["run", "-b", bundle.folder, "--preserve-fds", "1", bundle.identifier]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert path.read_text() == "through\n", done.stderr
    assert done.stdout.split() == ["0", "1", "2", "3", "4"], "4 is the folder that ls reads"
    refused = oci("run", "-b", str(bundle.folder), "--preserve-fds", "20", bundle.identifier)
    assert "is not open" in refused.err


def test_a_terminal_goes_to_the_console_socket(oci: Oci) -> None:
    path = oci.folder / "console"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()
        command = "tty; stty size; test -c /dev/console && echo console"
        bundle = oci.bundle("/bin/sh", "-c", command, terminal=True, consoleSize={"height": 30, "width": 90})
        refused = oci("create", "-b", str(bundle.folder), bundle.identifier)
        assert "console socket" in refused.err
        oci.detached("create", "-b", str(bundle.folder), "--console-socket", str(path), bundle.identifier)
        master = receive_terminal(listener)
    oci.ok("start", bundle.identifier)
    shown = b""
    try:
        while part := os.read(master, 1000):
            shown += part
    except OSError:
        pass
    os.close(master)
    assert shown.decode().split() == ["/dev/pts/0", "30", "90", "console"]


# ----------------------------------------------------------------------------------------------------------------- hooks


def test_hooks_run_at_their_moments_with_the_state(oci: Oci) -> None:
    order = oci.folder / "order"

    def hook(name: str) -> dict[str, object]:
        words = f'read state; echo "{name} $(readlink /proc/self/ns/mnt) $state" >> {order}'
        return {"path": "/bin/sh", "args": ["sh", "-c", words], "env": ["PATH=/usr/bin:/bin"], "timeout": 20}

    kinds = ("prestart", "createRuntime", "createContainer", "poststart", "poststop")
    hooks = {kind: [hook(kind)] for kind in kinds}
    hooks["startContainer"] = [{"path": "/bin/sh", "args": ["sh", "-c", "cat > /dev/shm/state"]}]
    with oci.created("/bin/sh", "-c", "cat /dev/shm/state; sleep 100", hooks=hooks, annotations={"a": "b"}) as name:
        pid = oci.state(name)["pid"]
        assert [line.split()[0] for line in order.read_text().splitlines()] == list(kinds[:3])
        namespace = f"mnt:[{inode(pid, 'mnt')}]"
        oci.ok("start", name)
        assert eventually(lambda: '"status":"created"' in (oci.folder / "output").read_text())
    host = f"mnt:[{inode('self', 'mnt')}]"
    lines = [line.split(None, 2) for line in order.read_text().splitlines()]
    assert [words[0] for words in lines] == list(kinds)
    assert [words[1] for words in lines] == [host, host, namespace, host, host]
    states = [json.loads(words[2]) for words in lines]
    assert [state["status"] for state in states] == ["creating"] * 3 + ["running", "stopped"]
    assert {state["id"] for state in states} == {name}
    assert [state.get("pid") for state in states] == [pid] * 4 + [None]
    assert states[0]["annotations"] == {"a": "b"}
    assert states[0]["bundle"] == str(oci.folder / name)


@pytest.mark.parametrize("kind", ["prestart", "createRuntime", "createContainer"])
def test_a_hook_that_fails_ends_the_container(oci: Oci, kind: str) -> None:
    stop, path = recorder(oci.folder, "stopped")
    fails = {"path": "/bin/sh", "args": ["sh", "-c", "echo because; exit 3"]}
    bundle = oci.bundle("/bin/true", hooks={kind: [fails], "poststop": [stop]})
    refused = oci("create", "-b", str(bundle.folder), bundle.identifier)
    assert refused.status == 1
    assert f"{kind} hook #0" in refused.err
    assert "exit status 3" in refused.err
    assert "because" in refused.err
    assert json.loads(path.read_text())["status"] == "stopped"
    assert oci.ok("list", "-q") == ""


def test_a_hook_in_the_container_that_fails_keeps_the_command_from_running(oci: Oci) -> None:
    hooks = {"startContainer": [{"path": "/bin/false"}]}
    with oci.created("/bin/sh", "-c", "echo ran", hooks=hooks) as name:
        assert "startContainer hook #0" in oci("start", name).err
        assert oci.state(name)["status"] == "stopped"
    assert "ran" not in (oci.folder / "output").read_text()


def test_a_hook_that_fails_after_the_start_ends_the_container(oci: Oci) -> None:
    with oci.created("/bin/sleep", "100", hooks={"poststart": [{"path": "/bin/false"}]}) as name:
        refused = oci("start", name)
        assert refused.status == 1
        assert "poststart hook #0" in refused.err
        assert oci.ok("list", "-q") == ""


def test_a_hook_that_fails_at_the_end_is_a_warning(oci: Oci) -> None:
    after, path = recorder(oci.folder, "after")
    bundle = oci.bundle("/bin/true", hooks={"poststop": [{"path": "/bin/false"}, after]})
    done = oci("run", "-b", str(bundle.folder), bundle.identifier)
    assert done.status == 0
    assert "warning: error running poststop hook #0" in done.err
    assert path.exists()


def test_a_hook_has_its_time(oci: Oci) -> None:
    hook = {"path": "/bin/sleep", "args": ["sleep", "1000"], "timeout": 1}
    bundle = oci.bundle("/bin/true", hooks={"createRuntime": [hook]})
    refused = oci("create", "-b", str(bundle.folder), bundle.identifier)
    assert "timeout of 1s" in refused.err


# --------------------------------------------------------------------------------------------------- exec, pause, update


def test_exec_joins_every_namespace_and_gives_the_status(oci: Oci) -> None:
    with oci.running("/bin/sleep", "100") as name:
        pid = oci.state(name)["pid"]
        words = "for n in mnt pid net ipc uts cgroup; do stat -Lc %i /proc/self/ns/$n; done; echo $A; pwd; id; cat /proc/1/comm"
        out = oci.ok("exec", "-e", "A=b", "--cwd", "/tmp", "-u", "5:6", name, "/bin/sh", "-c", words).split("\n")
        assert [int(line) for line in out[:6]] == [inode(pid, kind) for kind in ("mnt", "pid", "net", "ipc", "uts", "cgroup")]
        assert out[6:] == ["b", "/tmp", "uid=5 gid=6", "sleep"]
        assert oci("exec", name, "/bin/sh", "-c", "exit 9").status == 9
        assert oci("exec", name, "nosuch").status == 127
        mine = json.loads(oci.ok("ps", "-f", "json", name))
        assert mine == [pid]


def test_exec_by_a_file_detached_with_a_terminal(oci: Oci) -> None:
    path, pid_file, console = oci.folder / "process.json", oci.folder / "pid", oci.folder / "console"
    process = {"terminal": True, "args": ["/bin/sh", "-c", "tty; read line; echo got $line"], "cwd": "/", "user": {"uid": 0}}
    path.write_text(json.dumps(process))
    with oci.running("/bin/sleep", "100") as name, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(console))
        listener.listen()
        oci.detached("exec", "--process", str(path), "--detach", "--pid-file", str(pid_file),
                     "--console-socket", str(console), name)  # fmt: skip
        master = receive_terminal(listener)
        assert alive(int(pid_file.read_text()))
        assert inode(int(pid_file.read_text()), "pid") == inode(oci.state(name)["pid"], "pid")
        os.write(master, b"word\n")
        shown = b""
        try:
            while part := os.read(master, 1000):
                shown += part
        except OSError:
            pass
        os.close(master)
        assert shown.split() == [b"/dev/pts/0", b"word", b"got", b"word"]


def test_exec_is_filtered_and_limited_as_the_container_is(oci: Oci) -> None:
    seccomp = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}  # fmt: skip
    with oci.running("/bin/sleep", "100", seccomp=seccomp) as name:
        assert "No space left" in oci("exec", name, "/bin/mkdir", "/dev/shm/x").err
        status = oci.ok("exec", name, "/bin/cat", "/proc/self/status")
        assert "CapBnd:\t0000000020000420" in status
        assert "NoNewPrivs:\t1" in status


def test_pause_holds_all_still_until_resume(oci: Oci) -> None:
    with oci.running("/bin/sh", "-c", "while true; do date +%s%N > /dev/shm/t; done") as name:
        pid = oci.state(name)["pid"]

        def ticks() -> int:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            return int(fields[11]) + int(fields[12])

        oci.ok("pause", name)
        assert oci.state(name)["status"] == "paused"
        assert "paused" in oci("exec", name, "/bin/true").err
        held = ticks()
        assert not eventually(lambda: ticks() != held, seconds=0.5)
        assert oci("pause", name).status == 1
        oci.ok("resume", name)
        assert oci.state(name)["status"] == "running"
        assert eventually(lambda: ticks() != held)
        assert "not paused" in oci("resume", name).err


def test_update_and_events(oci: Oci) -> None:
    with oci.running("/bin/sleep", "100", resources={"pids": {"limit": 20}}) as name:
        used = json.loads(oci.ok("events", "--stats", name))["data"]
        assert used["pids"] == {"current": 1, "limit": 20}
        assert 0 < used["memory"]["usage"]["usage"] < 64 << 20
        oci.ok("update", "--resources", "-", name, input=json.dumps({"pids": {"limit": 30}, "memory": {"limit": 64 << 20}}))
        used = json.loads(oci.ok("events", "--stats", name))["data"]
        assert (used["pids"]["limit"], used["memory"]["usage"]["limit"]) == (30, 64 << 20)
        oci.ok("update", "--pids-limit", "40", name)
        assert json.loads(oci.ok("events", "--stats", name))["data"]["pids"]["limit"] == 40


def test_signals_of_run_are_the_containers(oci: Oci) -> None:
    bundle = oci.bundle("/bin/sh", "-c", "trap 'echo term; exit 5' TERM; echo ready; while true; do sleep 0.1; done")
    running = subprocess.Popen([*oci.words, "run", "-b", bundle.folder, bundle.identifier], stdout=subprocess.PIPE)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.send_signal(signal.SIGTERM)
    assert running.wait(30) == 5
    assert running.stdout.read() == b"term\n"
    running.stdout.close()


# -------------------------------------------------------------------------------------------------------- against escape


def test_the_program_of_what_enters_is_on_no_writable_mount(oci: Oci) -> None:
    """CVE-2019-5736."""
    with oci.created("/bin/sleep", "100") as name:
        pid = oci.state(name)["pid"]
        with open(f"/proc/{pid}/exe", "rb") as file:
            flags = os.fstatvfs(file.fileno()).f_flag
        assert flags & os.ST_RDONLY
        assert not stat.S_ISLNK(os.stat(f"/proc/{pid}/exe").st_mode)
        assert os.stat(f"/proc/{pid}/environ").st_uid == 0
        with pytest.raises(OSError):
            open(f"/proc/{pid}/exe", "r+b").close()
