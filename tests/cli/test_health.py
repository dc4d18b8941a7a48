"""What the command shows of health checks."""

from __future__ import annotations

from tests.dockerd import Docker
from tests.machine import Cli, eventually


def test_ps_shows_and_filters_it(cli: Cli, busybox: str) -> None:
    cli.ok("run", "-d", "--name", "well", "--health-cmd", "true", "--health-interval", "100ms", busybox, "sleep", "100")
    cli.ok("run", "-d", "--name", "new", "--health-cmd", "true", busybox, "sleep", "100")
    cli.ok("run", "-d", "--name", "ill", "--health-cmd", "false", "--health-interval", "100ms", "--health-retries", "1",
           busybox, "sleep", "100")  # fmt: skip
    cli.ok("run", "-d", "--name", "plain", busybox, "sleep", "100")

    def shown() -> dict[str, str]:
        lines = cli.ok("ps", "--format", "{{.Names}}|{{.Status}}").splitlines()
        return {name: status.partition("(")[2] for name, _, status in (line.partition("|") for line in lines)}

    assert eventually(lambda: shown() == {"well": "healthy)", "new": "health: starting)", "ill": "unhealthy)", "plain": ""}, 15)
    for value, name in (("healthy", "well"), ("starting", "new"), ("unhealthy", "ill"), ("none", "plain")):
        assert cli.ok("ps", "--filter", f"health={value}", "--format", "{{.Names}}") == name
    assert cli.ok("inspect", "-f", "{{.State.Health.Status}}", "well") == "healthy"
    events = cli.ok("events", "--since", "5m", "--until", "0s", "--filter", "event=health_status", "--format", "{{.Action}}")
    assert "health_status: healthy" in events
    assert cli("run", "--health-interval", "1x", busybox).status == 125
    assert cli("run", "--no-healthcheck", "--health-cmd", "true", busybox).status == 125


TOLD = (
    ("create", "--name", "aa", "--net", "none", "--health-cmd", "x y", "--health-interval", "5s", "--health-timeout", "1m",
     "--health-start-period", "1.5s", "--health-retries", "4", "IMAGE", "true"),
    ("inspect", "-f", "{{json .Config.Healthcheck}}", "aa"),
    ("rm", "aa"),
    ("create", "--name", "aa", "--net", "none", "--no-healthcheck", "IMAGE", "true"),
    ("inspect", "-f", "{{json .Config.Healthcheck}}", "aa"),
    ("rm", "aa"),
    ("run", "-d", "--name", "aa", "--net", "none", "--health-cmd", "echo hi; exit 2", "--health-interval", "100ms",
     "--health-retries", "2", "IMAGE", "sleep", "100"),
    ("UNTIL", "unhealthy"),
    ("inspect", "-f", "{{with index .State.Health.Log 1}}{{.ExitCode}} {{.Output}}{{end}}", "aa"),
    ("ps", "--filter", "health=unhealthy", "--format", "{{.Names}}"),
    ("kill", "aa"),
    ("inspect", "-f", "{{.State.Health.Status}}", "aa"),
    ("rm", "aa"),
    ("run", "--no-healthcheck", "--health-cmd", "true", "IMAGE", "true"),
    ("run", "--health-cmd", "true", "--health-interval=-1s", "IMAGE", "true"),
    ("run", "--health-cmd", "true", "--health-retries=-1", "IMAGE", "true"),
    ("run", "--health-cmd", "true", "--health-interval=1us", "IMAGE", "true"),
    ("run", "--health-cmd", "true", "--health-interval=5", "IMAGE", "true"),
)  # fmt: skip


def test_checks_as_docker_tells_them(cli: Cli, busybox: str, docker: Docker) -> None:
    """Status and output of each command are docker's; of `run -d` and `create` an id, which is another's."""
    for words in TOLD:
        if words[0] == "UNTIL":
            ask = ("inspect", "-f", "{{.State.Health.Status}}", "aa")
            for engine in (cli, docker.run):
                assert eventually(lambda: engine(*ask).out == f"{words[1]}\n", 20)  # noqa: B023
            continue
        ours = cli(*(busybox if word == "IMAGE" else word for word in words))
        theirs = docker.run(*("base" if word == "IMAGE" else word for word in words))
        named = len(theirs.out) == 65
        assert (ours.status, "" if named else ours.out) == (theirs.status, "" if named else theirs.out), words
