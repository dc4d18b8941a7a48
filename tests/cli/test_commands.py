"""The commands against real containers: what they print, where, and their exit statuses."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.machine import Cli, eventually

HEX = set("0123456789abcdef")


def test_exit_statuses_of_run(cli: Cli, busybox: str) -> None:
    """docker run(1), "Exit status"."""
    assert cli("run", "--rm", busybox, "true").status == 0
    assert cli("run", "--rm", busybox, "false").status == 1
    assert cli("run", "--rm", busybox, "sh", "-c", "exit 42").status == 42
    assert cli("run", "--rm", busybox, "sh", "-c", "kill -9 $$; sleep 9").status in (0, 137)
    assert cli("run", "--rm", busybox, "nosuch").status == 127
    assert cli("run", "--rm", busybox, "/etc/passwd").status == 126
    assert cli("run", "--rm", "nosuchimage", "true").status == 125
    assert cli("run", "--bad", busybox, "true").status == 125
    assert cli.ok("ps", "-aq") == ""


def test_create_says_what_is_wrong_as_run_does(cli: Cli, busybox: str) -> None:
    result = cli("create", "--name", "bad name", busybox, "true")
    assert result.status == 125
    assert "Invalid container name (bad name), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed" in result.err
    assert cli("create", "nosuchimage").status == 1


def test_streams_stay_apart(cli: Cli, busybox: str) -> None:
    result = cli("run", "--rm", busybox, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == ("out\n", "err\n")
    assert cli("run", "--rm", "-a", "stderr", busybox, "sh", "-c", "echo out; echo err >&2").out == ""


def test_stdin_is_read_to_its_end(cli: Cli, busybox: str) -> None:
    assert cli("run", "--rm", "-i", busybox, "cat", input="x" * 200_000).out == "x" * 200_000
    assert cli("run", "--rm", busybox, "cat", input="x").out == "", "without -i it is not there"


def test_run_is_also_an_option(cli: Cli, busybox: str) -> None:
    """`tuidock --run …`, as the project's own text has it."""
    assert cli.ok("--run", "--rm", busybox, "echo", "hi") == "hi"


def test_what_a_container_gets(cli: Cli, busybox: str, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# c\nA=file\nB=file\nCALLER\n")
    shown = cli(
        "run", "--rm", "--env-file", str(tmp_path / "env"), "-e", "B=flag", "-w", "/tmp", "-h", "box", "-u", "1:2",
        busybox, "sh", "-c", "echo $A $B $CALLER; pwd; hostname; id -u; id -g",
        CALLER="me",
    )  # fmt: skip
    assert shown.out.split("\n")[:5] == ["file flag me", "/tmp", "box", "1", "2"]


def test_cidfile(cli: Cli, busybox: str, tmp_path: Path) -> None:
    """docker/cli container/create.go: refused when it is there, gone when nothing was made."""
    path = tmp_path / "cid"
    assert cli("run", "--cidfile", str(path), "nosuchimage").status == 125
    assert not path.exists()
    cli.ok("create", "--name", "a", "--cidfile", str(path), busybox, "true")
    assert path.read_text() == cli.ok("inspect", "-f", "{{.Id}}", "a")
    refused = cli("create", "--cidfile", str(path), busybox, "true")
    assert refused.status == 125
    assert "container ID file found" in refused.err
    for command in ("run", "create"):
        refused = cli(command, "--cidfile", str(tmp_path / "nosuch" / "cid"), busybox, "true")
        assert refused.status == 125
        assert f"failed to create the container ID file: open {tmp_path}/nosuch/cid: no such file or directory" in refused.err
    assert cli.ok("ps", "-aq", "--no-trunc") == path.read_text()


def test_bytes_that_are_no_text_are_shown_as_such(cli: Cli, busybox: str) -> None:
    cli.ok("create", busybox, "echo", os.fsdecode(b"a\xffb"))
    for words in (("--no-trunc",), ()):
        assert cli.ok("ps", "-a", *words, "--format", "{{.Command}}") == '"echo a\ufffdb"'


def test_with_init_pid_1_has_its_name(cli: Cli, busybox: str) -> None:
    shown = cli.ok("run", "--rm", "--init", busybox, "sh", "-c", "cat /proc/1/cmdline; echo; ps -o pid,args")
    assert shown.splitlines()[0].rstrip("\0") == "tuidock-init"
    assert [line.split() for line in shown.splitlines() if line.split()[0] == "1"] == [["1", "tuidock-init"]]


def test_a_terminal_needs_a_terminal(cli: Cli, busybox: str) -> None:
    for words in (("run", "--rm", "-it", busybox, "true"), ("run", "--rm", "-t", "-a", "stdin", busybox, "true")):
        refused = cli(*words)
        assert refused.status == 1
        assert "the input device is not a TTY" in refused.err
    assert cli("run", "--rm", "-t", busybox, "tty").out == "/dev/pts/0\r\n", "without stdin it is none of our business"


def test_the_life_of_one(cli: Cli, busybox: str) -> None:
    container = cli.ok("run", "-d", "--name", "a", "-l", "k=v", busybox, "sleep", "1000")
    assert len(container) == 64
    assert set(container) <= HEX
    assert cli.ok("ps", "-q", "--no-trunc") == container
    lines = cli.ok("ps").splitlines()
    assert lines[0].split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert lines[1].startswith(f'{container[:12]}   busybox   "sleep 1000"   ')
    assert " Up " in lines[1]
    assert lines[1].endswith(" a")
    assert cli.ok("exec", "a", "echo", "in") == "in"
    assert cli("exec", "a", "nosuch").status == 127
    assert cli("exec", "a", "sh", "-c", "exit 3").status == 3
    assert "sleep 1000" in cli.ok("top", "a")
    assert cli.ok("top", "a", "-o", "pid,args").splitlines()[1].split() == [str(cli.pid("a")), "sleep", "1000"]
    refused = cli("rm", "a")
    assert refused.status == 1
    assert "container is running" in refused.err
    assert cli.ok("rename", "a", "b") == ""
    assert cli.ok("stop", "-t", "0", "b") == "b"
    assert cli.ok("wait", "b") == "137"
    assert cli.ok("ps", "-q") == ""
    assert "Exited (137)" in cli.ok("ps", "-a")
    not_running = cli("exec", "b", "true")
    assert not_running.status == 1
    assert "is not running" in not_running.err
    assert cli.ok("start", "b") == "b"
    assert cli.ok("restart", "-t", "0", "b") == "b"
    assert cli.ok("kill", "b") == "b"
    assert cli.ok("rm", "b") == "b"
    assert cli.ok("ps", "-aq") == ""


@pytest.mark.parametrize(
    "words",
    [
        ("logs",), ("stop",), ("kill",), ("rm",), ("start",), ("restart",), ("attach",), ("wait",), ("top",), ("explain",),
        ("container", "inspect"), ("inspect", "--type", "container"),
    ],
)  # fmt: skip
def test_one_that_is_not_there(cli: Cli, words: tuple[str, ...]) -> None:
    result = cli(*words, "nosuch")
    assert result.status == 1
    assert "No such container: nosuch" in result.err


def test_several_at_once(cli: Cli, busybox: str) -> None:
    """What can be done is done, in the order of the names; the rest is told, and the status is 1."""
    for name in ("a", "b"):
        cli.ok("run", "-d", "--name", name, busybox, "sleep", "1000")
    result = cli("rm", "-f", "a", "nosuch", "b")
    assert result.out == "a\nb\n"
    assert "No such container: nosuch" in result.err
    assert result.status == 1
    assert cli("rm", "-f", "nosuch").status == 0, "as docker's rm -f"


def test_filters_of_ps(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "made", "-l", "k=1", busybox, "true")
    cli("run", "--name", "failed", "-l", "k=2", busybox, "sh", "-c", "exit 3")
    cli.ok("run", "-d", "--name", "running", "-v", "vol:/data", busybox, "sleep", "1000")

    def names(*words: str) -> list[str]:
        return cli.ok("ps", "--format", "{{.Names}}", *words).split()

    assert names() == ["running"]
    assert names("-a") == ["running", "failed", "made"]
    assert names("-l") == ["running"]
    assert names("-n", "2") == ["running", "failed"]
    assert names("-f", "status=created") == ["made"]
    assert names("-f", "status=created", "-f", "status=exited") == ["failed", "made"]
    assert names("-f", "exited=3") == ["failed"]
    assert names("-a", "-f", "label=k") == ["failed", "made"]
    assert names("-a", "-f", "label=k=2") == ["failed"]
    assert names("-a", "-f", "name=^ma") == ["made"]
    assert names("-a", "-f", "ancestor=busybox") == ["running", "failed", "made"]
    assert names("-a", "-f", "ancestor=nosuch") == []
    assert names("-f", "volume=vol") == ["running"]
    assert names("-f", "volume=/data") == ["running"]
    assert names("-a", "-f", "before=failed") == ["made"]
    assert names("-a", "-f", "since=failed") == ["running"]
    assert cli("ps", "-f", "foo=bar").status == 1
    row = json.loads(cli.ok("ps", "--format", "json"))
    assert (row["Names"], row["State"], row["Command"], row["Mounts"]) == ("running", "running", '"sleep 1000"', "vol")
    assert cli.ok("ps", "-a", "--format", 'table {{.Label "k"}}').splitlines() == ["k", "", "2", "1"]


def test_logs(cli: Cli, busybox: str) -> None:
    cli("run", "--name", "a", busybox, "sh", "-c", "echo 1; echo 2 >&2; echo 3; printf 4")
    result = cli("logs", "a")
    assert (result.out, result.err) == ("1\n3\n4", "2\n")
    assert cli("logs", "-n", "1", "a").out == "4"
    stamped = cli.ok("logs", "-t", "a").splitlines()
    assert [line.split()[1] for line in stamped] == ["1", "3", "4"]
    assert len(stamped[0].split()[0]) == len("2026-11-23T20:57:11.685959638Z")
    assert cli.ok("logs", "--until", "10m", "a") == ""
    assert cli.ok("logs", "--since", "10m", "a") == "1\n3\n4"


def test_logs_that_follow_end_with_the_container(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", busybox, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert cli.ok("logs", "-f", "a", timeout=20).split() == ["1", "2", "3"]


def test_ctrl_c_is_quiet(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", busybox, "sh", "-c", "echo 1; sleep 1000")
    following = cli.start("logs", "-f", "a")
    assert following.stdout is not None
    assert following.stdout.readline() == b"1\n"
    following.send_signal(signal.SIGINT)
    assert following.communicate(timeout=10) == (b"", b"")
    assert following.returncode == 130


def test_a_reader_that_leaves_is_no_mistake(cli: Cli, busybox: str) -> None:
    command = [*cli.words, "run", "--rm", busybox, "sh", "-c", "yes | head -c 3000000"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as running:
        assert running.stdout is not None
        assert running.stderr is not None
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(30) == 141
        assert running.stderr.read() == b""


def test_signals_are_passed_on(cli: Cli, busybox: str) -> None:
    script = "trap 'echo got; exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    running = cli.start("run", "--rm", busybox, "sh", "-c", script)
    assert running.stdout is not None
    assert running.stdout.readline() == b"ready\n"
    running.terminate()
    assert running.communicate(timeout=20)[0] == b"got\n"
    assert running.returncode == 5


def test_start_attached(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "a", busybox, "sh", "-c", "echo hi; exit 4")
    result = cli("start", "-a", "a")
    assert (result.status, result.out) == (4, "hi\n")
    assert cli("start", "-a", "a", "b").status == 1
    attached = cli("attach", "a")
    assert attached.status == 1
    assert "you cannot attach to a stopped container, start it first" in attached.err


def test_inspect(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "a", "-l", "k=v", "-e", "X=1", busybox, "sleep", "5")
    (found,) = json.loads(cli.ok("inspect", "a"))
    assert found["Name"] == "/a"
    assert cli.ok("inspect", "-f", "{{json .Config.Cmd}} {{.Config.Labels.k}}", "a") == '["sleep","5"] v'
    assert cli.ok("inspect", "-f", "{{.Name}}", "a", "a") == "/a\n/a"
    assert json.loads(cli.ok("inspect", busybox))[0]["RepoTags"] == ["busybox:latest"]
    assert "SizeRw" in json.loads(cli.ok("inspect", "-s", "a"))[0]
    missing = cli("inspect", "nosuch", "a")
    assert missing.status == 1
    assert len(json.loads(missing.out)) == 1
    assert missing.err == "Error: No such object: nosuch\n"
    assert cli("inspect", "nosuch").out == "[]\n"
    assert cli("inspect", "-f", "{{", "a").status == 64
    wrong = cli("inspect", "-f", "{{.Nope}}", "a")
    assert wrong.status == 1
    assert 'template parsing error: template: :1:2: executing "" at <.Nope>: map has no entry for key "Nope"' in wrong.err
    assert cli("inspect", "--type", "foo", "a").status == 1
    assert cli("inspect", "--type", "image", "a").status == 1


def test_images(cli: Cli, busybox: str) -> None:
    lines = cli.ok("images").splitlines()
    assert lines[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert lines[1].startswith("busybox      latest    ")
    image = cli.ok("images", "-q", "--no-trunc")
    assert cli.ok("images", "-q") == image[7:19]
    cli.ok("tag", "busybox", "other/name:v1")
    assert cli.ok("images", "--format", "{{.Repository}}:{{.Tag}}", "other/name") == "other/name:v1"
    assert cli.ok("images", "-q", "nosuch") == ""
    assert cli.ok("image", "ls", "-f", "reference=*/*:v?", "--format", "{{.Tag}}") == "v1"
    assert cli.ok("rmi", "other/name:v1") == "Untagged: other/name:v1"
    assert cli("rmi", "nosuch").status == 1
    assert cli("tag", "busybox", "UPPER").status == 1
    assert cli.ok("history", "-q", "--no-trunc", "busybox") == image
    assert f"Deleted: {image}" in cli.ok("image", "rm", "busybox")


def test_load_and_import_say_what_came(cli: Cli, busybox_tar: Path) -> None:
    imported = cli.ok("import", "-c", "CMD echo hi", "-m", "mine", str(busybox_tar), "b:1")
    assert imported.startswith("sha256:")
    assert cli.ok("run", "--rm", "b:1") == "hi"
    assert cli.ok("history", "--format", "{{.Comment}}", "b:1") == "mine"
    with open(busybox_tar, "rb") as tar:
        assert cli("import", "-", input=tar.read()).status == 0
    missing = cli("load", "-i", "/nosuch")
    assert missing.status == 1
    assert "open /nosuch: no such file or directory" in missing.err


def test_volumes(cli: Cli, busybox: str) -> None:
    assert cli.ok("volume", "create", "--label", "a=b", "vol") == "vol"
    assert len(cli.ok("volume", "create")) == 64
    assert cli.ok("volume", "ls", "-q", "-f", "label=a=b") == "vol"
    assert cli.ok("volume", "inspect", "-f", "{{.Labels.a}} {{.Driver}}", "vol") == "b local"
    cli.ok("create", "--name", "c", "-v", "vol:/v", busybox, "true")
    assert cli("volume", "rm", "vol").status == 1
    assert cli.ok("volume", "ls", "-q", "-f", "dangling=false") == "vol"
    cli.ok("rm", "c")
    assert "Total reclaimed space: 0B" in cli.ok("volume", "prune", "-f")
    assert cli.ok("volume", "ls", "-q") == "vol", "it has a name"
    assert cli.ok("volume", "rm", "vol") == "vol"
    missing = cli("volume", "inspect", "vol")
    assert missing.status == 1
    assert missing.out == "[]\n"


def test_prune_asks(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "a", busybox, "true")
    declined = cli("container", "prune", input="n\n")
    assert declined.status == 1
    assert "WARNING! This will remove all stopped containers." in declined.out
    assert cli.ok("ps", "-aq") != ""
    assert "Deleted Containers:" in cli("container", "prune", input="y\n").out
    assert cli.ok("ps", "-aq") == ""


def test_events(cli: Cli, busybox: str) -> None:
    container = cli.ok("create", "--name", "a", busybox, "true")
    cli.ok("rm", "a")
    lines = cli.ok("events", "--since", "10m", "--until", "0s", "-f", "type=container").splitlines()
    assert [line.split()[2] for line in lines] == ["create", "destroy"]
    assert lines[0].endswith(f"container create {container} (image=busybox, name=a)")
    told = json.loads(
        cli.ok("events", "--since", "10m", "--until", "0s", "-f", "event=destroy", "--format", "{{json .}}").splitlines()[-1]
    )
    assert told["Actor"] == {"ID": container, "Attributes": {"image": "busybox", "name": "a"}}


def test_events_as_they_come(cli: Cli, busybox: str) -> None:
    watching = cli.start("events", "--format", "{{.Action}}")
    time.sleep(0.5)  # nothing tells from outside when it begins to watch
    cli.ok("volume", "create", "vol")
    assert watching.stdout is not None
    assert watching.stdout.readline() == b"create\n"
    watching.send_signal(signal.SIGINT)
    assert watching.wait(10) == 130
    assert watching.communicate() == (b"", b"")


def test_stats(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "a", "-m", "64m", busybox, "sleep", "1000")
    row = json.loads(cli.ok("stats", "--no-stream", "--format", "json"))
    assert (row["Name"], row["PIDs"]) == ("a", "1")
    assert row["MemUsage"].endswith(" / 64MiB")
    assert cli.ok("stats", "--no-stream").splitlines()[0].startswith("CONTAINER ID   NAME      CPU %")


def test_system(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "a", busybox, "true")
    assert cli.ok("info", "--format", "{{.Containers}} {{.ContainersStopped}} {{.Images}}") == "1 1 1"
    assert cli.ok("version", "-f", "{{.Client.Version}}") == cli.ok("--version").removeprefix("tuidock version ")
    assert cli.ok("system", "df").splitlines()[0].split() == ["TYPE", "TOTAL", "ACTIVE", "SIZE", "RECLAIMABLE"]
    assert cli("info", "-f", "{{.Foo}}").status == 1
    assert "Images space usage:" in cli.ok("system", "df", "-v")
    assert "Total reclaimed space" in cli.ok("system", "prune", "-f", "-a", "--volumes")
    assert cli.ok("images", "-q") == ""


def test_explain(cli: Cli, busybox: str) -> None:
    cli("run", "--name", "a", busybox, "true")
    told = cli.ok("explain", "--no-trunc", "a")
    assert "execve(" in told
    assert "pivot_root(" in told
    assert json.loads(cli.ok("explain", "--format", "json", "a"))
    cli.ok("create", "--name", "b", busybox, "true")
    assert "has never been started" in cli("explain", "b").err


def test_completion(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "alpha", busybox, "true")

    def offered(*words: str) -> list[str]:
        return cli.ok("completion", "words", "--", *words).split()

    assert offered("imag") == ["image", "images"]
    assert offered("container", "pr") == ["prune"]
    assert offered("run", "--memory-s") == ["--memory-swap"]
    assert offered("rm", "al") == ["alpha"]
    assert offered("commit", "al") == offered("cp", "al") == ["alpha"]
    assert offered("run", "busy") == ["busybox", "busybox:latest"]
    assert offered("run", "--network", "container:") == ["container:alpha"]
    assert offered("nosuch", "") == []


def test_bash_completes(cli: Cli, tmp_path: Path) -> None:
    """The script in a real bash, with `tuidock` on its PATH."""
    command = tmp_path / "tuidock"
    command.write_text(f'#!/bin/sh\nexec {" ".join(cli.words)} "$@"\n')
    command.chmod(0o755)
    script = (
        f"PATH={tmp_path}:$PATH; source <(tuidock completion bash); COMP_WORDS=(tuidock volume pr); COMP_CWORD=2; _tuidock;"
        ' echo "${COMPREPLY[@]}"'
    )
    shown = subprocess.run(["bash", "-c", script], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert (shown.stdout, shown.stderr) == ("prune\n", "")


def test_debug_shows_where(cli: Cli) -> None:
    assert "Traceback" in cli("-D", "logs", "nosuch").err
    assert "Traceback" not in cli("logs", "nosuch").err


def test_detached_with_rm_leaves_nothing(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--rm", busybox, "true")
    assert eventually(lambda: cli.ok("ps", "-aq") == "")
