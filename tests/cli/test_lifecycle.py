"""pause, unpause, update, wait, restart: the command, and docker's in the same words."""

from __future__ import annotations

from tests.dockerd import Docker
from tests.machine import Cli, Result

LIFE = (
    ("run", "-d", "--net", "none", "--name", "aa", "IMAGE", "sleep", "1000"),
    ("pause", "aa"),
    ("pause", "aa"),
    ("ps", "--format", "{{.State}}"),
    ("ps", "--filter", "status=running", "--format", "{{.Names}}"),
    ("exec", "aa", "true"),
    ("rm", "aa"),
    ("attach", "aa"),
    ("restart", "-t", "0", "aa"),
    ("unpause", "aa"),
    ("pause", "nosuch", "aa"),
    ("inspect", "-f", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}", "aa"),
    ("kill", "-s", "USR1", "aa"),
    ("pause", "aa"),
    ("unpause", "aa"),
    ("update", "--memory", "64m", "--memory-swap", "128m", "--cpus", "0.5", "aa"),
    ("inspect", "-f", "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}}", "aa"),
    ("update", "aa"),
    ("update", "--memory", "1m", "aa"),
    ("update", "--memory", "512m", "aa"),
    ("stop", "-t", "0", "aa"),
    ("wait", "aa", "nosuch"),
    ("wait", "aa", "aa"),
    ("rm", "aa"),
)
"""A life in the commands that both have."""


def told(result: Result) -> tuple[int, str]:
    """Status and output; an id is another in each engine, and which words an error has is for the reader of the table."""
    return result.status, result.out if len(result.out) != 65 else "ID\n"


def test_a_life_as_docker_tells_it(cli: Cli, busybox: str, docker: Docker) -> None:
    """Status and output of each command are docker's."""
    for words in LIFE:
        ours = [busybox if word == "IMAGE" else word for word in words]
        theirs = ["base" if word == "IMAGE" else word for word in words]
        assert told(cli(*ours)) == told(docker.run(*theirs)), words
