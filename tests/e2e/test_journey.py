"""The main job from the outside: real commands, real containers, and the kernel asked what came of it.

Every test here ends with the check of the fixture `roots`: no mount, cgroup, process or directory is left behind.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.machine import (
    NAMESPACES,
    REPOSITORY,
    Cli,
    Result,
    alive,
    cgroups_named,
    eventually,
    inode,
    inodes,
    leftovers,
    parent,
    processes_of,
)
from tuidock.storage.paths import Roots


def test_an_image_comes_in_and_a_process_of_it_prints(cli: Cli, busybox_tar: Path) -> None:
    """Show 2, as it is written there."""
    image = cli.ok("import", str(busybox_tar), "busybox:latest")
    assert image.startswith("sha256:")
    assert len(image) == len("sha256:") + 64
    assert cli("run", "--rm", "busybox", "echo", "hi") == Result(0, "hi\n", "")
    assert cli.ok("images", "--format", "{{.Repository}}:{{.Tag}}") == "busybox:latest"
    assert cli.ok("ps", "-aq") == ""


@pytest.mark.parametrize(
    ("words", "status"),
    [
        (("busybox", "true"), 0),
        (("busybox", "false"), 1),
        (("busybox", "sh", "-c", "exit 42"), 42),
        (("busybox", "nosuch"), 127),
        (("busybox", "/no/such/file"), 127),
        (("busybox", "/etc/passwd"), 126),
        (("busybox", "/etc"), 126),
        (("nosuchimage", "true"), 125),
        (("--no-such-flag", "busybox", "true"), 125),
        (("--memory", "many", "busybox", "true"), 125),
        (("--net", "container:nosuch", "busybox", "true"), 125),
        (("--init", "busybox", "sh", "-c", "kill -9 $$"), 137),  # without --init it is pid 1, which cannot kill itself
        (("busybox", "sh", "-c", "trap 'exit 3' TERM; kill -TERM $$"), 3),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else str(value),
)
def test_run_ends_with_the_status_that_docker_gives(cli: Cli, busybox: str, words: tuple[str, ...], status: int) -> None:
    result = cli("run", "--rm", *words)
    assert result.status == status, result
    assert result.out == ""
    assert "Traceback" not in result.err
    if status in (125, 126, 127):
        assert result.err.strip(), "an error is said"
    assert cli.ok("ps", "-aq") == ""


def test_a_process_that_is_killed_from_outside_ends_in_137(cli: Cli, busybox: str) -> None:
    container = cli.ok("run", "-d", busybox, "sleep", "1000")
    os.kill(cli.pid(container), signal.SIGKILL)
    assert cli.ok("wait", container) == "137"
    assert cli.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}} {{.State.Pid}}", container) == "exited 137 0"


def test_the_namespaces_are_its_own(cli: Cli, busybox: str) -> None:
    """Show 4: all six differ from the host's, and from those of another container."""
    cli.ok("run", "-d", "--name", "a", busybox, "sleep", "1000")
    cli.ok("run", "-d", "--name", "b", busybox, "sleep", "1000")
    host, a, b = inodes("self"), inodes(cli.pid("a")), inodes(cli.pid("b"))
    for kind in NAMESPACES:
        assert len({host[kind], a[kind], b[kind]}) == 3, kind


def test_net_container_is_that_very_namespace(cli: Cli, busybox: str) -> None:
    """Show 4, and claim 13 of the walkthrough."""
    cli.ok("run", "-d", "--name", "a", busybox, "sleep", "1000")
    of_a = f"net:[{inode(cli.pid('a'), 'net')}]"
    assert cli.ok("run", "--rm", "--net", "container:a", busybox, "readlink", "/proc/self/ns/net") == of_a
    cli.ok("run", "-d", "--name", "b", "--net", "container:a", busybox, "sleep", "1000")
    shared = {kind for kind, number in inodes(cli.pid("a")).items() if number == inode(cli.pid("b"), kind)}
    assert shared == {"net"}


def test_net_host_is_the_hosts_namespace(cli: Cli, busybox: str) -> None:
    of_host = f"net:[{inode('self', 'net')}]"
    assert cli.ok("run", "--rm", "--net", "host", busybox, "readlink", "/proc/self/ns/net") == of_host


def test_net_none_has_loopback_alone(cli: Cli, busybox: str) -> None:
    assert cli.ok("run", "--rm", "--net", "none", busybox, "ls", "/sys/class/net") == "lo"


def test_exec_enters_the_namespaces_of_the_container(cli: Cli, busybox: str) -> None:
    """Claim 12: exec is setns."""
    cli.ok("run", "-d", "--name", "a", busybox, "sleep", "1000")
    of_a = inodes(cli.pid("a"))
    shown = cli.ok("exec", "a", "sh", "-c", "for kind in mnt pid net ipc uts cgroup; do readlink /proc/self/ns/$kind; done")
    assert shown.split() == [f"{kind}:[{of_a[kind]}]" for kind in NAMESPACES]
    assert cli("exec", "a", "sh", "-c", "echo out; echo err >&2; exit 7") == Result(7, "out\n", "err\n")
    assert cli("exec", "-i", "a", "cat", input="words\n").out == "words\n"
    assert cli("exec", "a", "nosuch").status == 127
    assert cli("exec", "a", "/etc/passwd").status == 126
    assert cli("exec", "nosuch", "true").status == 1


def test_the_three_layers_of_a_container(cli: Cli, busybox: str, roots: Roots) -> None:
    """Show 5: what the container wrote lies in the rw layer; its names and resolvers in the init layer; no more."""
    container = cli.ok("run", "-d", "--name", "a", "-h", "here", busybox, "sh", "-c", "echo words >/written; sleep 1000")
    paths = roots.container(container)
    assert eventually(lambda: os.path.exists(f"{paths.rw}/written"))
    assert Path(f"{paths.rw}/written").read_text() == "words\n"
    below = {os.path.join(folder, name)[len(paths.rw) :] for folder, _, names in os.walk(paths.rw) for name in names}
    assert below == {"/written"}
    for name in ("hosts", "hostname", "resolv.conf"):
        assert os.path.isfile(f"{paths.init}/etc/{name}"), name
        assert cli.ok("exec", "a", "cat", f"/etc/{name}") == Path(f"{paths.init}/etc/{name}").read_text().rstrip("\n")
    assert Path(f"{paths.init}/etc/hostname").read_text() == "here\n"
    assert os.stat(f"{paths.init}/etc/hosts").st_ino == os.stat(f"/proc/{cli.pid('a')}/root/etc/hosts").st_ino


def test_a_file_of_the_image_is_copied_up_and_stays_as_it_was_below(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", busybox, "sh", "-c", "echo more >>/etc/passwd; rm /etc/group; sleep 1000")
    assert eventually(lambda: "more" in cli("exec", "a", "cat", "/etc/passwd").out)
    second = cli.ok("run", "--rm", busybox, "cat", "/etc/passwd", "/etc/group")
    assert "more" not in second
    assert "root:x:0:" in second


def test_an_anonymous_volume_is_a_directory_of_its_own(cli: Cli, busybox: str, roots: Roots) -> None:
    """Show 5: `-v /test` makes volumes/ID/_data, and `rm -v` takes it away."""
    cli.ok("run", "-d", "--name", "a", "-v", "/test", busybox, "sleep", "1000")
    (volume,) = os.listdir(roots.volumes)
    assert len(volume) == 64
    outside = f"{roots.volumes}/{volume}/_data"
    cli.ok("exec", "a", "touch", "/test/inside")
    assert os.listdir(outside) == ["inside"]
    assert cli.ok("exec", "a", "stat", "-c", "%i", "/test") == str(os.stat(outside).st_ino)
    paths = roots.container(cli.ok("inspect", "--format", "{{.Id}}", "a"))
    assert not os.path.exists(f"{paths.rw}/test/inside"), "the content of a volume is never in the rw layer"
    cli.ok("rm", "-f", "-v", "a")
    assert os.listdir(roots.volumes) == []


def test_a_bind_mount_is_one_inode_seen_twice(cli: Cli, busybox: str, scratch: Path) -> None:
    """Show 5 and claim 17: `-v /home:/test`, with a directory of this test in the place of /home."""
    home = scratch / "home of one"
    home.mkdir()
    (home / "before").write_text("outside\n")
    cli.ok("run", "-d", "--name", "a", "-v", f"{home}:/test", busybox, "sleep", "1000")
    assert cli.ok("exec", "a", "stat", "-c", "%i", "/test") == str(home.stat().st_ino)
    assert cli.ok("exec", "a", "cat", "/test/before") == "outside"
    cli.ok("exec", "a", "sh", "-c", "echo inside >/test/after")
    assert (home / "after").read_text() == "inside\n"
    assert cli("run", "--rm", "-v", f"{home}:/test:ro", busybox, "touch", "/test/no").status == 1
    assert not (home / "no").exists()
    cli.ok("rm", "-f", "a")
    assert sorted(entry.name for entry in home.iterdir()) == ["after", "before"], "removing a container leaves the host's files"


def test_a_named_volume_outlives_its_containers(cli: Cli, busybox: str, roots: Roots) -> None:
    cli.ok("run", "--rm", "-v", "kept:/store", busybox, "sh", "-c", "echo words >/store/file")
    assert cli.ok("run", "--rm", "-v", "kept:/elsewhere", busybox, "cat", "/elsewhere/file") == "words"
    assert Path(f"{roots.volumes}/kept/_data/file").read_text() == "words\n"


def test_a_container_survives_the_front_end_that_started_it(cli: Cli, busybox: str) -> None:
    front = cli.start("run", "--name", "a", busybox, "sh", "-c", "echo first; sleep 1; echo last; exit 5")
    assert front.stdout is not None
    assert front.stdout.readline() == b"first\n"
    front.kill()
    front.communicate()
    assert cli.ok("inspect", "--format", "{{.State.Status}}", "a") == "running"
    assert cli.ok("wait", "a") == "5"
    assert cli("logs", "a") == Result(0, "first\nlast\n", "")
    assert cli.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "a") == "exited 5"


def test_a_killed_front_end_of_run_rm_leaves_nothing(cli: Cli, busybox: str, roots: Roots) -> None:
    front = cli.start("run", "--rm", busybox, "sh", "-c", "echo first; sleep 1")
    assert front.stdout is not None
    assert front.stdout.readline() == b"first\n"
    front.kill()
    front.communicate()
    assert eventually(lambda: not leftovers(roots), seconds=8), leftovers(roots)
    assert cli.ok("ps", "-aq") == ""


def test_a_killed_monitor_is_found_out_at_the_next_look(cli: Cli, busybox: str, roots: Roots) -> None:
    container = cli.ok("run", "-d", "--name", "a", busybox, "sleep", "1000")
    process = cli.pid("a")
    monitor = parent(process)
    assert monitor in processes_of(roots)
    os.kill(monitor, signal.SIGKILL)
    assert eventually(lambda: not alive(monitor))
    assert container.startswith(cli.ok("ps", "-aq"))
    cli.ok("rm", "-f", "a")
    assert not alive(process)


def test_signals_reach_the_process(cli: Cli, busybox: str) -> None:
    front = cli.start(
        "run", "--rm", busybox, "sh", "-c", "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.1; done"
    )
    assert front.stdout is not None
    assert front.stdout.readline() == b"ready\n"
    front.terminate()
    out, err = front.communicate(timeout=20)
    assert (front.returncode, out, err) == (9, b"caught\n", b"")


def test_input_and_both_outputs_are_whole_and_apart(cli: Cli, busybox: str) -> None:
    content = os.urandom(1 << 20).hex()
    result = cli("run", "--rm", "-i", busybox, "tee", "/dev/stderr", input=content)
    assert (result.out == content, result.err == content, result.status) == (True, True, 0)


def test_stop_start_and_rename(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", busybox, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.1; done")
    first = cli.pid("a")
    assert cli.ok("stop", "a") == "a"
    assert not alive(first)
    assert cli.ok("start", "a") == "a"
    assert alive(cli.pid("a"))
    refused = cli("rename", "a", "a")
    assert (refused.status, refused.out) == (1, "")
    assert "Renaming a container with the same name as its current name" in refused.err
    cli.ok("rename", "a", "b")
    assert cli.ok("ps", "--format", "{{.Names}}") == "b"
    assert cli("rm", "b").status == 1, "a running container is not removed without --force"
    cli.ok("stop", "-t", "0", "b")
    assert cli.ok("inspect", "--format", "{{.State.ExitCode}}", "b") in ("0", "137")


def test_twenty_containers_at_once(cli: Cli, busybox: str, roots: Roots) -> None:
    """Show 8."""
    fronts = [cli.start("run", "-d", "--name", f"n{number}", busybox, "sleep", "1000") for number in range(20)]
    for front in fronts:
        _, error = front.communicate(timeout=120)
        assert front.returncode == 0, error.decode()
    names = cli.ok("ps", "--format", "{{.Names}}").split()
    assert sorted(names) == sorted(f"n{number}" for number in range(20))
    pids = [cli.pid(name) for name in names]
    assert len({inode(pid, kind) for pid in pids for kind in NAMESPACES}) == 20 * 6
    assert cgroups_named(roots.cgroup)
    cli.ok("rm", "-f", *names, timeout=120)
    assert eventually(lambda: not leftovers(roots)), leftovers(roots)
    assert not any(alive(pid) for pid in pids)


def test_a_container_has_no_descriptor_of_its_makers(cli: Cli, busybox: str) -> None:
    """CVE-2024-21626 began with one."""
    shown = cli.ok("run", "--rm", busybox, "sh", "-c", "ls /proc/1/fd; true")
    assert shown.split() == ["0", "1", "2"]


def test_explain_tells_the_start(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", busybox, "sleep", "1000")
    story = cli.ok("explain", "a")
    order = [story.find(word) for word in ("unshare", "overlay", "clone3", "pivot_root", "exec")]
    assert -1 not in order, story
    assert order == sorted(order), "told in the order in which it happened"


def test_run_is_also_a_flag(cli: Cli, busybox: str) -> None:
    """`tuidock --run …` is `tuidock run`."""
    assert cli("--run", "--rm", busybox, "echo", "hi") == Result(0, "hi\n", "")


def test_a_wrong_name_gets_a_hint(cli: Cli, busybox: str) -> None:
    error = cli("run", "--rm", "busybox:lates", "true").err
    assert "busybox:lates" in error
    assert "busybox:latest" in error, "the nearest name is told"


def test_what_a_process_takes_from_nobody_is_over_in_time(cli: Cli, busybox: str) -> None:
    """A grandchild that keeps the pipe open does not hold `run`."""
    began = time.monotonic()
    result = cli("run", "--rm", busybox, "sh", "-c", "sleep 1000 & echo hi")
    assert result == Result(0, "hi\n", "")
    assert time.monotonic() - began < 10


def test_the_starter_image_runs_with_no_other_there(cli: Cli) -> None:
    cli.ok("image", "starter", timeout=180)
    printed = cli.ok("run", "--rm", "tuidock/starter", "python3", "-c", "import ssl, sqlite3, ctypes; print(6 * 7)")
    assert printed == "42"
    assert cli.ok("run", "--rm", "tuidock/starter", "sh", "-c", "ls / | wc -l; id -un").split()[-1] == "root"


def test_the_debian_rootfs(cli: Cli, debian_tar: Path) -> None:
    """Show 3: another userland, with a shared libc and bash."""
    cli.ok("import", str(debian_tar), "debian:12", timeout=180)
    assert cli.ok("run", "--rm", "debian:12", "bash", "-c", ". /etc/os-release; echo $ID $VERSION_ID") == "debian 12"
    assert cli("run", "--rm", "debian:12", "nosuch").status == 127
    assert cli("run", "--rm", "debian:12", "/etc/passwd").status == 126
    assert cli.ok("run", "--rm", "-u", "nobody", "debian:12", "id", "-un") == "nobody"


def test_the_demo_ends_with_a_process_in_a_container(busybox_tar: Path, tmp_path: Path) -> None:
    """Show 1: `make demo`, with the command of this interpreter."""
    command = Path(sys.executable).parent / "tuidock"
    if not command.exists():
        pytest.skip("tuidock is not installed beside this interpreter")
    done = subprocess.run([REPOSITORY / "tools" / "demo.sh", command], capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    for word in ("pid", "mnt", "net", "rw", "init"):
        assert word in done.stdout
