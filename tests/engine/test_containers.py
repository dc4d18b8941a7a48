"""Containers from their making to their end, asked of the kernel."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.engine.running import collect, execute, run, running
from tests.machine import NAMESPACES, alive, eventually, inode, inodes
from tuidock.engine import reconcile
from tuidock.engine.requests import ExecRequest, LogRequest, RunRequest
from tuidock.errors import (
    AmbiguousName,
    CommandNotExecutable,
    CommandNotFound,
    InUse,
    NameTaken,
    NoSuchContainer,
    NoSuchImage,
    NotRunning,
    RuntimeFailure,
    UsageError,
)

pytestmark = pytest.mark.usefixtures("busybox")


def test_a_process_runs_and_its_streams_stay_apart(engine):
    result = run(engine, "sh", "-c", "echo out; echo err >&2; exit 3")
    assert result == (3, "out\n", "err\n")


def test_stdin_ends_and_the_output_goes_on(engine):
    assert run(engine, "sh", "-c", "cat; echo after", stdin=b"x" * 300_000).out == "x" * 300_000 + "after\n"


@pytest.mark.parametrize(
    ("command", "error", "status"),
    [
        ("nosuch", CommandNotFound, 127),
        ("/bin/nosuch", CommandNotFound, 127),
        ("/etc/passwd", CommandNotExecutable, 126),
        ("/bin", CommandNotExecutable, 126),
    ],
)
def test_what_cannot_be_run_says_why_and_leaves_nothing(engine, command, error, status):
    with pytest.raises(error) as caught:
        run(engine, command)
    assert caught.value.exit_status == status
    assert command in caught.value.message
    assert engine.containers.list(all=True) == []


def test_without_rm_one_that_could_not_start_stays_as_created(engine):
    container = engine.containers.create(RunRequest("busybox", ("nosuch",), name="x"))
    with pytest.raises(CommandNotFound):
        engine.containers.start(container)
    state = engine.containers.inspect("x")["State"]
    assert (state["Status"], state["ExitCode"]) == ("created", 127)
    assert "nosuch" in state["Error"]


def test_a_script_whose_interpreter_is_missing_says_which(engine):
    with running(engine) as container:
        execute(engine, container, "sh", "-c", "printf '#!/no/such/shell\\n' >/s; chmod +x /s")
        with pytest.raises(CommandNotFound, match="/no/such/shell"):
            execute(engine, container, "/s")


def test_namespaces_are_its_own_in_all_six(engine):
    with running(engine) as container:
        assert set(inodes(container.pid).values()).isdisjoint(inodes("self").values())
        for space in engine.containers.namespaces(container.id):
            assert space.inode == inode(container.pid, space.kind)
            assert space.host is (space.kind not in NAMESPACES)


def test_net_container_is_that_namespace_and_no_other(engine):
    """Walkthrough 13."""
    with running(engine, name="a") as a, running(engine, network="container:a") as b:
        assert inode(a.pid, "net") == inode(b.pid, "net") != inode("self", "net")
        assert inode(a.pid, "pid") != inode(b.pid, "pid")
        shared = {space.kind: space.containers for space in engine.containers.namespaces(b.id)}
        assert shared["net"] == ("a",)
        assert shared["pid"] == ()


def test_net_host_has_no_namespace_of_its_own(engine):
    """Walkthrough 14."""
    with running(engine, network="host") as container:
        assert inode(container.pid, "net") == inode("self", "net")


def test_joining_one_that_does_not_run_is_refused(engine):
    engine.containers.create(RunRequest("busybox", ("true",), name="a"))
    with pytest.raises(NotRunning):
        run(engine, "true", network="container:a")


def test_the_three_files_are_in_the_init_layer_and_changes_of_them_stay_there(engine):
    with running(engine, hostname="ship") as container:
        result = execute(
            engine, container, "sh", "-c", "echo 10.0.0.9 pier >>/etc/hosts; hostname; cat /etc/hostname; touch /mine"
        )
        assert result.out == "ship\nship\n"
        stack = engine.containers.layers(container.id)
        assert {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf"} <= {entry.path for entry in stack.init}
        assert [entry.path for entry in stack.rw] == ["/mine"]
        with open(f"{engine.roots.container(container.id).init}/etc/hosts") as file:
            assert "10.0.0.9 pier" in file.read()


def test_the_read_write_layer_tells_added_changed_and_deleted(engine):
    with running(engine) as container:
        execute(engine, container, "sh", "-c", "echo x >/new; rm /etc/group; echo y >>/etc/passwd; mkdir -p /d/e")
        changes = {entry.path: entry.kind for entry in engine.containers.layers(container.id).rw}
        assert changes == {"/new": "A", "/etc": "C", "/etc/group": "D", "/etc/passwd": "C", "/d": "A", "/d/e": "A"}


def test_a_bind_mount_is_one_inode_inside_and_outside(engine, tmp_path):
    """Walkthrough 16 and 17."""
    (tmp_path / "there").write_text("host")
    with running(engine, volumes=(f"{tmp_path}:/test",)) as container:
        assert int(execute(engine, container, "stat", "-c", "%i", "/test").out) == os.stat(tmp_path).st_ino
        assert execute(engine, container, "cat", "/test/there").out == "host"
        execute(engine, container, "sh", "-c", "echo inside >/test/back")
        assert (tmp_path / "back").read_text() == "inside\n"
        (point,) = engine.containers.layers(container.id).mount_points
        assert point.inode_inside == point.inode_outside == os.stat(tmp_path).st_ino
        assert os.listdir(f"{engine.roots.container(container.id).rw}/test") == []  # walkthrough 18


def test_a_volume_without_a_name_is_made_and_goes_with_the_container(engine):
    """Walkthrough 15."""
    with running(engine, volumes=("/test",)) as container:
        execute(engine, container, "touch", "/test/file")
        (volume,) = engine.volumes.list()
        assert volume.anonymous
        assert volume.containers == (container.name,)
        assert os.listdir(volume.mountpoint) == ["file"]
        assert volume.mountpoint == f"{engine.roots.volumes}/{volume.name}/_data"
        with pytest.raises(InUse, match=container.name):
            engine.volumes.remove(volume.name)
    assert engine.volumes.list() == []
    assert os.listdir(engine.roots.volumes) == []


def test_a_fresh_volume_gets_the_images_content_with_owners_and_modes_and_only_once(engine):
    program = "stat -c '%u %g %a' /home; mkdir /home/more; ls /home"
    with running(engine) as container:
        root = engine.roots.layer(container.chain_ids[0])
    os.makedirs(f"{root}/home/deep")
    os.chown(f"{root}/home/deep", 12, 34)
    os.chown(f"{root}/home", 5, 6)
    os.chmod(f"{root}/home", 0o2751)
    os.symlink("deep", f"{root}/home/link")
    assert run(engine, "sh", "-c", program, volumes=("named:/home",)).out == "5 6 2751\ndeep\nlink\nmore\n"
    mountpoint = engine.volumes.get("named").mountpoint
    assert (os.stat(f"{mountpoint}/deep").st_uid, os.stat(f"{mountpoint}/deep").st_gid) == (12, 34)
    assert os.readlink(f"{mountpoint}/link") == "deep"
    os.rmdir(f"{mountpoint}/deep")
    assert run(engine, "ls", "/home", volumes=("named:/home",)).out == "link\nmore\n"  # not filled a second time
    assert run(engine, "ls", "/home", volumes=("other:/home:nocopy",)).out == ""


def test_a_fresh_volume_gets_the_images_files_from_the_overlay(engine):
    """copy_file_range(2) does not go from one kind of file system to another."""
    assert run(engine, "sh", "-c", "cat /etc/group", volumes=("/etc",)).out == run(engine, "cat", "/etc/group").out != ""


def test_a_missing_host_directory_is_made(engine, tmp_path):
    assert run(engine, "touch", "/x/y", volumes=(f"{tmp_path}/a/b:/x",)).status == 0
    assert os.listdir(tmp_path / "a" / "b") == ["y"]


def test_read_only_means_the_root_and_tmpfs_and_volumes_stay_writable(engine):
    program = "touch /x 2>/dev/null; echo $?; touch /t/x; echo $?; touch /v/x; echo $?; touch /r/x 2>/dev/null; echo $?"
    result = run(
        engine, "sh", "-c", program, read_only=True, tmpfs=("/t:size=1m",), volumes=("/v", "/tmp:/r:ro")
    )  # fmt: skip
    assert result.out == "1\n0\n0\n1\n"


def test_a_tmpfs_has_the_size_that_was_asked(engine):
    assert "size=1024k" in run(engine, "grep", " /t ", "/proc/mounts", tmpfs=("/t:size=1m",)).out


def test_an_option_that_no_tmpfs_has_is_named(engine):
    for word in ("bogus=1", "bogus", "size", "size=", "mode"):
        with pytest.raises(UsageError, match=f'invalid tmpfs option "{word}"'):
            engine.containers.create(RunRequest("busybox", ("true",), tmpfs=(f"/t:ro,{word}",)))
    with pytest.raises(RuntimeFailure, match="on /t with size=much"):
        run(engine, "true", tmpfs=("/t:size=much",))


def test_user_workdir_environment_and_hostname(engine):
    program = "id -u; id -g; pwd; hostname; echo $NAME $HOME $PATH; umask"
    result = run(
        engine, "sh", "-c", program, user="nobody", workdir="/made/here", env=("NAME=World",), hostname="h1"
    )  # fmt: skip
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    assert result.out == f"65534\n65534\n/made/here\nh1\nWorld /home {path}\n0022\n"


def test_an_unknown_user_is_an_error(engine):
    with pytest.raises(Exception, match="nosuch"):
        run(engine, "true", user="nosuch")


def test_init_reaps_and_passes_on_the_status_and_signals(engine):
    assert run(engine, "sh", "-c", "echo $$; exit 5", init=True) == (5, "2\n", "")
    with running(engine, "sh", "-c", "(sleep 0.01 &) ; exec sleep 600", init=True) as container:
        assert eventually(lambda: len(engine.containers.processes(container.id)) == 2)
        began = time.monotonic()
        assert engine.containers.stop(container.id) == 128 + signal.SIGTERM
        assert time.monotonic() - began < 5


def test_stop_waits_then_kills_and_a_second_stop_is_a_success(engine):
    with running(engine, "sleep", "600") as container:  # as pid 1 it ignores TERM
        began = time.monotonic()
        assert engine.containers.stop(container.id, timeout=0.3) == 137
        assert 0.3 <= time.monotonic() - began < 5
        assert engine.containers.stop(container.id) == 137
        assert engine.containers.get(container.id).status == "exited"


def test_stop_sends_the_images_or_the_users_signal(engine):
    program = "trap 'exit 41' USR1; while :; do sleep 0.05; done"
    with running(engine, "sh", "-c", program, stop_signal="SIGUSR1") as container:
        time.sleep(0.3)
        assert engine.containers.stop(container.id, timeout=5) == 41


def test_kill_is_137_and_one_that_is_gone_cannot_be_killed(engine):
    with running(engine) as container:
        engine.containers.kill(container.id)
        assert engine.containers.get(container.id).exit_code == 137
        with pytest.raises(NotRunning):
            engine.containers.kill(container.id)


def test_kill_from_the_outside_is_seen(engine):
    with running(engine) as container:
        os.kill(container.pid, signal.SIGKILL)
        assert eventually(lambda: engine.containers.get(container.id).status == "exited")
        assert engine.containers.get(container.id).exit_code == 137


def test_wait_gives_the_status_also_of_one_that_removes_itself(engine):
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "sleep 0.3; exit 9"), detach=True, remove=True))
    engine.containers.start(container)
    assert engine.containers.wait(container) == 9
    assert eventually(lambda: engine.containers.list(all=True) == [])


def test_a_container_starts_again_with_what_it_wrote(engine):
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "echo x >>/f; wc -l </f"), name="again"))
    for _ in range(3):
        engine.containers.start("again")
        engine.containers.wait("again")
    assert [line.text for line in engine.containers.logs(LogRequest("again"))] == [b"1", b"2", b"3"]
    engine.containers.remove(container)


def test_names(engine):
    with running(engine, name="one") as one, running(engine, name="two") as two:
        assert engine.containers.get("one").id == engine.containers.get(one.id[:20]).id == one.id
        with pytest.raises(NameTaken):
            engine.containers.rename("two", "one")
        engine.containers.rename("two", "three")
        assert engine.containers.get("three").id == two.id
        with pytest.raises(NoSuchContainer) as caught:
            engine.containers.get("thre")
        assert "three" in caught.value.hint
        with pytest.raises(AmbiguousName if one.id[0] == two.id[0] else NoSuchContainer):
            engine.containers.get(one.id[0] if one.id[0] == two.id[0] else "")
        with pytest.raises(NameTaken):
            engine.containers.create(RunRequest("busybox", ("true",), name="one"))
        with pytest.raises(InUse, match="running"):
            engine.containers.remove("one")


@pytest.mark.parametrize(
    "asked",
    [
        {"name": "a/b"}, {"network": "none", "networks": ("bridge",)}, {"network": "container:nobody"}, {"stop_signal": "NOPE"},
        {"cap_add": ("NOPE",)}, {"volumes": ("/a:b",)}, {"security_opt": ("nope",)},
        {"hostname": "h", "network": "container:x"}, {"cpus": 1e6},
    ],
)  # fmt: skip
def test_what_contradicts_itself_is_refused_before_anything_is_made(engine, asked):
    with pytest.raises((UsageError, NoSuchContainer)):
        engine.containers.create(RunRequest("busybox", ("true",), **asked))
    assert os.listdir(engine.roots.containers) == []
    assert os.listdir(engine.roots.volumes) == []


def test_an_image_that_is_not_here_says_what_it_may_have_meant(engine):
    with pytest.raises(NoSuchImage) as caught:
        engine.containers.create(RunRequest("busybos"))
    assert "busybox" in caught.value.hint


def test_exec_ends_with_its_own_status_and_the_container_goes_on(engine):
    with running(engine) as container:
        assert execute(engine, container, "sh", "-c", "echo $1; exit 7", "x", "word") == (7, "word\n", "")
        assert execute(engine, container, "cat", stdin=b"through").out == "through"
        with pytest.raises(CommandNotFound):
            execute(engine, container, "nosuch")
        with pytest.raises(CommandNotExecutable):
            execute(engine, container, "/etc/passwd")
        assert alive(container.pid)


def test_exec_is_in_every_namespace_and_the_cgroup_of_pid_1(engine):
    """Walkthrough 12."""
    with running(engine) as container:
        engine.containers.exec(ExecRequest(container.id, ("sleep", "601"), detach=True))
        assert eventually(lambda: len(engine.containers.processes(container.id)) == 2)
        other = next(pid for pid in engine.containers.processes(container.id) if pid != container.pid)
        assert inodes(other) == inodes(container.pid)


def test_a_privileged_exec_has_all_capabilities_and_the_containers_filter(engine):
    """As with docker: the filter belongs to the container."""
    with running(engine) as container:
        request = ExecRequest(container.id, ("grep", "-E", "CapEff|Seccomp:", "/proc/self/status"), privileged=True)
        session = engine.containers.exec(request)
        assert session is not None
        effective, seccomp = (line.split()[1] for line in collect(session).out.splitlines())
    bounding = Path("/proc/self/status").read_text().partition("CapBnd:")[2].split()[0]
    assert (effective, seccomp) == (bounding, "2")


def test_exec_in_one_that_does_not_run_is_refused(engine):
    engine.containers.create(RunRequest("busybox", ("true",), name="still"))
    with pytest.raises(NotRunning):
        engine.containers.exec(ExecRequest("still", ("true",)))


def test_a_terminal_has_its_size_before_the_command_starts(engine):
    with running(engine) as container:
        session = engine.containers.exec(
            ExecRequest(container.id, ("sh", "-c", "tty; stty size; echo $TERM"), tty=True, rows=33, columns=99)
        )
        assert collect(session).out == "/dev/pts/0\r\n33 99\r\nxterm\r\n"
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "stty size; tty; ls -l /dev/console"), tty=True))
    session = engine.containers.start(container, session=True, size=(20, 70))
    lines = collect(session).out.splitlines()
    assert lines[:2] == ["20 70", "/dev/pts/0"]
    assert "136" in lines[2]  # a device of a pseudo terminal
    engine.containers.remove(container)


def test_several_are_attached_at_once_and_each_sees_all(engine):
    with running(engine, "sh", "-c", "read line; echo got $line", interactive=True) as container:
        sessions = [engine.containers.attach(container.id) for _ in range(3)]
        sessions[0].send(b"hello\n")
        for session in sessions:
            assert collect(session).out == "got hello\n"


def test_a_reader_that_sleeps_loses_nothing(engine):
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "head -c 6000000 /dev/zero"), remove=True))
    session = engine.containers.start(container, session=True, cleanup_here=True)
    time.sleep(3)  # longer than the monitor waits for streams that somebody else holds
    assert len(collect(session).out) == 6_000_000
    engine.containers.finish(container, session)


def test_a_grandchild_that_holds_the_pipe_does_not_hold_the_container(engine):
    """With the host's pid namespace it would live on; here the descriptor of a process outside of it does."""
    with running(engine) as container:
        session = engine.containers.exec(ExecRequest(container.id, ("sh", "-c", "sleep 300 & echo done")))
        began = time.monotonic()
        assert collect(session).out == "done\n"
        assert time.monotonic() - began < 10


def test_logs_keep_streams_order_and_bytes(engine):
    program = "printf 'a\\n'; printf 'b\\n' >&2; printf '\\377\\000c'"
    with running(engine, "sh", "-c", program) as container:
        engine.containers.wait(container.id)
        lines = list(engine.containers.logs(LogRequest(container.id)))
    assert {(line.stream, line.text, line.complete) for line in lines} == {
        ("stdout", b"a", True), ("stderr", b"b", True), ("stdout", b"\xff\x00c", False),
    }  # fmt: skip


def test_logs_follow_to_the_end_and_tail_counts_lines(engine):
    program = "for i in 1 2 3; do echo $i; sleep 0.2; done"
    with running(engine, "sh", "-c", program) as container:
        followed = [line.text for line in engine.containers.logs(LogRequest(container.id, follow=True))]
        assert followed == [b"1", b"2", b"3"]
        assert [line.text for line in engine.containers.logs(LogRequest(container.id, tail=2))] == [b"2", b"3"]
        assert list(engine.containers.logs(LogRequest(container.id, tail=0))) == []
        since = next(line.time for line in engine.containers.logs(LogRequest(container.id)) if line.text == b"2")
        assert [line.text for line in engine.containers.logs(LogRequest(container.id, since=since))] == [b"2", b"3"]


def test_events_tell_a_life_in_order_and_wake_who_waits(engine):
    seen: list[str] = []
    reader, writer = os.pipe()

    def listen():
        from tuidock.engine import Engine

        for event in Engine(engine.roots).events.watch(start, reader):
            if event.type == "container":
                seen.append(event.action)

    start = engine.events.latest()
    listening = threading.Thread(target=listen)
    listening.start()
    run(engine, "true")
    assert eventually(lambda: seen == ["create", "start", "die", "destroy"])
    os.write(writer, b"x")
    listening.join(5)
    assert not listening.is_alive()


def test_a_killed_monitor_leaves_a_container_that_can_be_seen_and_ended(engine):
    with running(engine) as container:
        os.kill(container.monitor_pid, signal.SIGKILL)
        assert eventually(lambda: not alive(container.monitor_pid))
        assert engine.containers.get(container.id).status == "running"
        with pytest.raises(NotRunning):
            engine.containers.attach(container.id)
        engine.containers.stop(container.id, timeout=0)
        ended = engine.containers.get(container.id)
        assert (ended.status, ended.exit_code) == ("exited", 255)
        assert "monitor" in ended.error
        engine.containers.start(container.id)  # and it starts again
        assert engine.containers.get(container.id).running


def test_rm_is_done_by_the_monitor_when_the_front_end_has_promised_and_died(cli, engine):
    process = cli.start("run", "--rm", "busybox", "sleep", "1")
    assert eventually(lambda: len(engine.containers.list()) == 1)
    process.kill()
    process.wait()
    for stream in (process.stdin, process.stdout, process.stderr):
        stream.close()
    assert eventually(lambda: engine.containers.list(all=True) == [] and not os.listdir(engine.roots.containers), seconds=10)


def test_twenty_at_once(engine):
    made: list[str] = []

    def start(number):
        container = engine.containers.create(RunRequest("busybox", ("sleep", "600"), name=f"c{number}"))
        engine.containers.start(container)
        made.append(container)

    def remove(container):
        engine.containers.remove(container, force=True)

    for work, things in ((start, range(20)), (remove, made)):
        threads = [threading.Thread(target=work, args=(thing,)) for thing in list(things)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(engine.containers.list(all=True)) == (20 if work is start else 0)
    # each monitor's clean-up looks, too, and leaves no lock
    assert eventually(lambda: not [name for name in os.listdir(engine.roots.locks) if name.startswith("container-")], 10)


def test_who_is_removed_while_a_start_waits_is_told_by_the_name_that_was_given(engine, monkeypatch):
    container = engine.containers.create(RunRequest("busybox", ("true",), name="st"))
    find = reconcile.find

    def found_just_before_it_is_removed(database, name):
        monkeypatch.setattr(reconcile, "find", find)
        found = find(database, name)
        engine.containers.remove(container)
        return found

    monkeypatch.setattr(reconcile, "find", found_just_before_it_is_removed)
    with pytest.raises(NoSuchContainer) as caught:
        engine.containers.start("st")
    assert caught.value.message == "no such container: st"
    assert not [name for name in os.listdir(engine.roots.locks) if name.startswith("container-")]


def test_the_start_is_recorded_and_can_be_told(engine):
    with running(engine, volumes=("/v",)) as container:
        calls = engine.containers.explain(container.id)
    names = [call.name for call in calls]
    for name in ("unshare", "clone3", "mount", "pivot_root", "sethostname", "execve"):
        assert name in names
    assert names.index("clone3") < names.index("pivot_root") < names.index("execve")
    (clone,) = [call for call in calls if call.name == "clone3"]
    assert "CLONE_NEWPID" in clone.arguments[0]
    words = [word for call in calls if call.name in ("clone3", "openat2") for word in "|".join(call.arguments).split("|")]
    assert "CLONE_PIDFD" in words
    assert "O_PATH" in words
    assert not [word for word in words if word.startswith("0x")], "each bit has a name"
    assert clone.result == container.pid
    assert {call.process for call in calls} == {"engine", "monitor", "init"}


def test_top_shows_the_hosts_view(engine):
    with running(engine, "sleep", "777") as container:
        titles, rows = engine.containers.top(container.id)
        assert titles[:2] == ["UID", "PID"]
        assert [(row[1], row[-1]) for row in rows] == [(str(container.pid), "sleep 777")]
