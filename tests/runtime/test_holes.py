"""One test for each known hole that this slice could have, by its number: image or command try it, the host stays whole."""

from __future__ import annotations

import hashlib
import os
import stat

import pytest

from tests.engine.running import execute, run, running
from tuidock.engine.requests import RunRequest
from tuidock.errors import TuidockError
from tuidock.runtime import spawn

pytestmark = pytest.mark.usefixtures("busybox")


@pytest.fixture
def tree(engine):
    """The busybox image's only layer: what an image's author may do, a test does here."""
    with running(engine) as container:
        return engine.roots.layer(container.chain_ids[0])


def checksum(path):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_2019_5736_the_engines_executable_cannot_be_written(engine, tree):
    """A script that names /proc/self/exe as its interpreter runs the engine's own one; nothing can write to that."""
    interpreter = spawn.interpreter_command("x")[0]
    before = checksum(interpreter)
    with open(f"{tree}/evil", "w") as file:
        file.write("#!/proc/self/exe\n")
    os.chmod(f"{tree}/evil", 0o755)
    try:
        run(engine, "/evil")
    except TuidockError:
        pass
    with running(engine) as container:
        # what the first process of an exec is, seen from inside while it is still the engine's
        program = (
            "while :; do for p in /proc/[0-9]*; do case $(readlink $p/exe) in */python*) "
            "( : >>$p/exe ) 2>>/err && echo written; esac; done; done"
        )
        execute(engine, container, "sh", "-c", f"({program}) >/out 2>&1 & sleep 0.1")
        for _ in range(20):
            execute(engine, container, "true")
        assert "written" not in execute(engine, container, "cat", "/out").out
    assert checksum(interpreter) == before


def test_2019_5736_a_monitor_runs_from_a_read_only_mount(engine):
    with running(engine) as container:
        link = os.open(f"/proc/{container.monitor_pid}/exe", os.O_PATH)
        assert os.fstatvfs(link).f_flag & os.ST_RDONLY  # an open for writing says ETXTBSY before it would say EROFS
        os.close(link)


def test_2024_21626_no_descriptor_leaks_and_none_can_be_the_working_directory(engine):
    assert run(engine, "sh", "-c", "ls /proc/$$/fd; true").out.split() == ["0", "1", "2"]
    for number in range(3, 20):
        for ask in (lambda: run(engine, "pwd", workdir=f"/proc/self/fd/{number}"),):  # noqa: B023
            try:
                assert ask().out.startswith("/proc")
            except TuidockError:
                pass
    with running(engine) as container:
        for number in range(3, 20):
            with pytest.raises(TuidockError):
                execute(engine, container, "pwd", workdir=f"/proc/self/fd/{number}")
        assert execute(engine, container, "sh", "-c", "ls /proc/$$/fd; true").out.split() == ["0", "1", "2"]


@pytest.mark.parametrize("place", ["proc", "sys"])
def test_2019_19921_a_link_for_proc_or_sys_is_not_followed(engine, tree, place):
    """The init layer's own directory covers what the image has there."""
    os.rmdir(f"{tree}/{place}")
    os.symlink("/tmp", f"{tree}/{place}")
    assert run(engine, "stat", "-c", "%F", f"/{place}").out == "directory\n"
    assert run(engine, "sh", "-c", "echo 1 >/proc/sys/kernel/core_pattern").status != 0


def test_2026_41579_a_link_for_dev_leads_nowhere(engine, tree, tmp_path):
    os.rmdir(f"{tree}/dev")
    os.symlink(str(tmp_path), f"{tree}/dev")
    assert run(engine, "test", "-c", "/dev/null").status == 0
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["etc/hosts", "etc/hostname", "etc/resolv.conf", ".dockerenv", "etc/mtab"])
def test_2025_24965_files_that_the_engine_writes_follow_no_link(engine, tree, tmp_path, name):
    (tmp_path / "victim").write_text("whole")
    if os.path.lexists(f"{tree}/{name}"):
        os.unlink(f"{tree}/{name}")
    os.symlink(str(tmp_path / "victim"), f"{tree}/{name}")
    assert run(engine, "true").status == 0
    assert (tmp_path / "victim").read_text() == "whole"


def test_2025_24965_etc_itself_may_be_a_link(engine, tree, tmp_path):
    os.rename(f"{tree}/etc", f"{tree}/etc2")
    os.symlink(str(tmp_path), f"{tree}/etc")
    assert run(engine, "cat", "/etc/hostname").status == 0
    assert os.listdir(tmp_path) == []


def test_2021_30465_mount_points_are_resolved_inside(engine, tree, tmp_path):
    """A volume on a link that points out of the root lands inside of it."""
    outside = tmp_path / "outside"
    outside.mkdir()
    os.symlink(str(outside), f"{tree}/link")
    with running(engine, volumes=("/tmp:/link/deep:ro",)) as container:
        assert os.listdir(outside) == []
        assert execute(engine, container, "ls", "-d", f"{outside}/deep").status == 0


@pytest.mark.parametrize("kind", ["fifo", "zero", "directory", "huge"])
def test_2024_9676_passwd_that_is_no_plain_file_does_not_hang(engine, tree, kind):
    os.unlink(f"{tree}/etc/passwd")
    if kind == "fifo":
        os.mkfifo(f"{tree}/etc/passwd")
    elif kind == "zero":
        os.mknod(f"{tree}/etc/passwd", stat.S_IFCHR | 0o666, os.makedev(1, 5))
    elif kind == "directory":
        os.mkdir(f"{tree}/etc/passwd")
    else:
        with open(f"{tree}/etc/passwd", "wb") as file:
            file.truncate(1 << 40)
    try:
        run(engine, "true", user="nobody")
    except TuidockError:
        pass
    assert run(engine, "grep", "^Uid", "/proc/self/status", user="7").out.split()[1] == "7"


@pytest.mark.parametrize("ask", ["run", "exec"])
def test_2022_24769_inheritable_capabilities_are_empty(engine, ask):
    program = ("grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status")
    if ask == "run":
        out = run(engine, *program).out
    else:
        with running(engine) as container:
            out = execute(engine, container, *program).out
    assert out.split() == ["CapInh:", "0" * 16, "CapAmb:", "0" * 16]


def test_2022_36109_the_primary_group_is_among_the_groups_once(engine):
    assert run(engine, "id", "-G", user="1000:1000").out.split() == ["1000"]


def test_2024_40635_a_user_id_too_large_is_refused(engine):
    with pytest.raises(TuidockError):
        run(engine, "id", user="4294967296")
    with pytest.raises(TuidockError):
        run(engine, "id", user="2147483648")


def test_2022_23648_a_volume_of_the_image_stays_inside(engine, tree):
    assert run(engine, "ls", "/etc/x", volumes=("/../../etc/x",)).status == 0


def test_2022_0492_release_agent_cannot_be_set(engine):
    program = "mkdir /tmp/c; mount -t cgroup -o memory x /tmp/c && echo mounted; unshare -UrmC true && echo unshared"
    assert run(engine, "sh", "-c", program).out == ""


def test_masks_hide_and_the_rest_of_proc_cannot_be_written(engine):
    program = "wc -c </proc/keys; ls /sys/firmware | wc -l; echo x >/proc/sys/kernel/hostname; cat /proc/kcore | wc -c"
    assert run(engine, "sh", "-c", f"{program}; true").out.split() == ["0", "0", "0"]


def test_a_mask_is_the_null_device_itself(engine, tree):
    """CVE-2025-31133: an image's /dev/null means nothing, the container's /dev is always fresh."""
    with open(f"{tree}/dev/null", "w") as file:
        file.write("not null")
    assert run(engine, "stat", "-c", "%t:%T", "/proc/keys").out == "1:3\n"


def test_nothing_of_the_hosts_environment_comes_in(engine, monkeypatch):
    monkeypatch.setenv("SECRET_OF_THE_HOST", "x")
    names = {line.partition("=")[0] for line in run(engine, "env").out.splitlines()}
    assert names - {"SHLVL", "PWD"} == {"PATH", "HOSTNAME", "HOME"}


def test_a_session_keyring_of_its_own(engine):
    with running(engine) as container:
        (call,) = [call for call in engine.containers.explain(container.id) if call.name == "keyctl"]
        assert call.result > 0
        assert execute(engine, container, "cat", "/proc/keys").out == ""


def test_data_of_containers_is_closed_to_others(engine):
    engine.containers.create(RunRequest("busybox", ("true",), name="closed"))
    assert stat.S_IMODE(os.stat(engine.roots.containers).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(engine.roots.layers).st_mode) == 0o700
