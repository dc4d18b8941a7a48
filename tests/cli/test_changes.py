"""diff and commit as commands, beside a real docker's."""

from __future__ import annotations

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
