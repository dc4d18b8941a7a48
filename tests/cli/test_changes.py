"""diff and commit as commands, beside a real docker's."""

from __future__ import annotations

import json

from tests.dockerd import Docker
from tests.machine import Cli, eventually

SCRIPT = """\
mkdir -p /d/e /d/b; echo x >/d/z; rm /etc/group; echo y >>/etc/passwd; touch /tmp/q; rm /tmp/q; rm -r /home; mkdir /home
echo q >/home/new; chmod 700 /var; touch /test/in; rm -r /usr; echo now >/usr; ln -s /nowhere /link; mkfifo /pipe
ln /d/z /d/again; echo done
"""
"""A bit of everything that can be done to a root."""


def test_diff_says_what_docker_says(cli: Cli, busybox: str, docker: Docker) -> None:
    """The same lines, each directory before what is in it; docker's order of siblings is by chance, ours by name."""
    cli.ok("run", "--name", "one", "-v", "/test", busybox, "sh", "-c", SCRIPT)
    docker("run", "--name", "one", "--network", "none", "-v", "/test", "base", "sh", "-c", SCRIPT)
    ours, theirs = cli.ok("diff", "one").splitlines(), docker("diff", "one").decode().splitlines()
    docker("rm", "-v", "one")
    assert sorted(ours) == sorted(theirs)
    assert ours == sorted(ours, key=lambda line: line[2:].split("/"))
    assert "A /test" in ours


def test_diff_of_one_that_runs_and_of_none(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "aa", busybox, "sh", "-c", "echo x >/new; sleep 600")
    assert eventually(lambda: cli.ok("container", "diff", "aa") == "A /new")
    refused = cli("diff", "nosuch")
    assert (refused.status, refused.err.splitlines()[0]) == (1, "tuidock: No such container: nosuch")


def test_commit_makes_the_config_that_docker_makes(cli: Cli, busybox: str, docker: Docker) -> None:
    run = (
        "-v",
        "/test",
        "-v",
        "/tmp:/host",
        "-w",
        "/tmp",
        "-e",
        "A=b",
        "-e",
        "C=d",
        "-l",
        "k=v",
        "-u",
        "1:2",
        "--stop-signal",
        "INT",
    )
    words = (
        "-m",
        "msg",
        "-a",
        "me",
        "-c",
        "ENV A=c",
        "-c",
        "EXPOSE 80 53/udp",
        "-c",
        "ENTRYPOINT echo hi",
        "-c",
        "ONBUILD RUN x",
    )
    cli.ok("run", "--name", "one", *run, busybox, "sh", "-c", "echo x >/tmp/x")
    docker("run", "--name", "one", "--network", "none", *run, "base", "sh", "-c", "echo x >/tmp/x")
    cli.ok("commit", *words, "one", "made:1")
    docker("commit", *words, "one", "made:1")
    ours, theirs = (
        json.loads(text)[0] for text in (cli.ok("image", "inspect", "made:1"), docker("image", "inspect", "made:1"))
    )
    docker("rm", "-v", "one")
    docker("rmi", "made:1")
    keys = ("User", "ExposedPorts", "Env", "Entrypoint", "Cmd", "Volumes", "WorkingDir", "Labels", "StopSignal", "OnBuild")
    assert {key: ours["Config"].get(key) for key in keys} == {key: theirs["Config"].get(key) for key in keys}
    assert (ours["Comment"], ours["Author"]) == (theirs["Comment"], theirs["Author"])


def test_commit_shows_what_it_would_take(cli: Cli, busybox: str) -> None:
    cli.ok("run", "--name", "one", "-v", "named:/test", "-v", "/tmp:/etc", busybox, "sh", "-c", "echo 1234 >/new; rm -r /home")
    lines = cli.ok("commit", "--preview", "one").splitlines()
    assert [line.split()[:3] for line in lines[:4]] == [
        ["CHANGE", "SIZE", "PATH"], ["D", "-", "/home"], ["A", "5B", "/new"], ["A", "-", "/test"],
    ]  # fmt: skip
    assert "volume named is mounted there" in lines[3]
    assert lines[4:] == ["1 file, 5B", "not taken: /tmp, mounted on /etc"]
    assert "<none>" not in cli.ok("images")


def test_commit_says_what_is_wrong(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "one", busybox, "true")
    for words, said in (
        (("nosuch",), "No such container: nosuch"),
        (("one", "Upper"), "must be lowercase"),
        (("-c", "FROM x", "one"), "FROM is not a valid change command"),
    ):
        refused = cli("commit", *words)
        assert refused.status == 1
        assert said in refused.err
    assert cli("commit").status == 1
    made = cli.ok("container", "commit", "--no-pause", "one")
    assert cli.ok("images", "-q", "--no-trunc").splitlines()[0] == made
