"""pause, unpause, update, wait, restart: the command, and docker's in the same words."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from tests.dockerd import Docker
from tests.machine import REPOSITORY, Cli, Result, eventually

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


RESTARTS = (
    ("run", "--rm", "--restart", "always", "IMAGE", "true"),
    ("run", "--rm", "--restart", "no", "--net", "none", "IMAGE", "echo", "hi"),
    ("run", "--restart", "always:3", "IMAGE", "true"),
    ("run", "--restart", "on-failure:x", "IMAGE", "true"),
    ("run", "--net", "none", "--name", "ff", "--restart", "on-failure:2", "IMAGE", "sh", "-c", "echo x; exit 3"),
    ("UNTIL", "exited", "ff"),
    ("inspect", "-f", "{{.RestartCount}} {{json .HostConfig.RestartPolicy}} {{.State.ExitCode}}", "ff"),
    ("update", "--restart", "bad", "ff"),
    ("rm", "ff"),
    ("run", "-d", "--net", "none", "--name", "rr", "--restart", "always", "IMAGE", "sh", "-c", "sleep 0.2; exit 4"),
    ("wait", "rr"),
    ("UNTIL", "restarting", "rr"),
    ("rm", "rr"),
    ("stop", "rr"),
    ("inspect", "-f", "{{.State.Status}} {{.State.ExitCode}}", "rr"),
    ("update", "--restart", "no", "rr"),
    ("start", "rr"),
    ("wait", "rr"),
    ("inspect", "-f", "{{.RestartCount}}", "rr"),
    ("rm", "-f", "rr"),
)


def test_restarts_as_docker_tells_them(cli: Cli, busybox: str, docker: Docker) -> None:
    for words in RESTARTS:
        if words[0] == "UNTIL":
            ask = ("inspect", "-f", "{{.State.Status}}", words[2])
            assert eventually(lambda: cli(*ask).out == f"{words[1]}\n", 20)  # noqa: B023
            assert eventually(lambda: docker.run(*ask).out == f"{words[1]}\n", 20)  # noqa: B023
            continue
        ours = [busybox if word == "IMAGE" else word for word in words]
        theirs = ["base" if word == "IMAGE" else word for word in words]
        assert told(cli(*ours)) == told(docker.run(*theirs)), words


def test_a_shutdown_and_a_boot(cli: Cli, busybox: str) -> None:
    """Who ran before runs again; who was stopped by hand, with `always` alone."""
    for name, policy in (("aa", "always"), ("uu", "unless-stopped"), ("nn", "no"), ("ss", "unless-stopped"), ("st", "always")):
        cli.ok("run", "-d", "--name", name, "--restart", policy, busybox, "sleep", "1000")
    cli.ok("stop", "-t", "0", "ss", "st")
    assert sorted(cli.ok("system", "stop", timeout=90).split()) == ["aa", "nn", "uu"]
    assert cli.ok("ps", "-q") == ""
    assert sorted(cli.ok("system", "start").split()) == ["aa", "st", "uu"]
    assert sorted(cli.ok("ps", "--format", "{{.Names}}").split()) == ["aa", "st", "uu"]


def test_the_unit_is_one(cli: Cli, tmp_path: Path) -> None:
    text = cli.ok("system", "unit")
    (tmp_path / "tuidock.service").write_text(text + "\n")
    lines = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    assert lines["ExecStart"].endswith(" system start")
    assert lines["ExecStop"].endswith(" system stop")
    assert lines["WantedBy"] == "multi-user.target"
    started = subprocess.run(lines["ExecStart"].split(), capture_output=True, cwd=REPOSITORY)
    assert (started.returncode, started.stdout) == (0, b""), started.stderr
    if shutil.which("systemd-analyze"):
        subprocess.run(["systemd-analyze", "verify", tmp_path / "tuidock.service"], check=True, capture_output=True)
