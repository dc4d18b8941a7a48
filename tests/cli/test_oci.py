"""`tuidock oci` as a command line, and as the runtime of podman and of a dockerd."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.dockerd import dockerd, installed
from tests.machine import REPOSITORY, Result, eventually, mounts_below
from tests.runtime.bundles import PROGRAM, script

pytestmark = pytest.mark.root
LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000")
"""podman raises them further than a machine without CAP_SYS_RESOURCE allows, unless it is given some."""


def tuidock_oci(*words: str, **more: object) -> Result:
    done = subprocess.run([*PROGRAM, *words], capture_output=True, text=True, cwd=REPOSITORY, timeout=60, **more)  # type: ignore[call-overload]
    return Result(done.returncode, done.stdout, done.stderr)


# -------------------------------------------------------------------------------------------------------------- the words


def test_it_is_a_command_of_tuidock_too(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tuidock", "oci", "--root", str(tmp_path / "state"), "list", "--format", "json"]
    assert json.loads(subprocess.run(words, capture_output=True, check=True, cwd=REPOSITORY).stdout) == []


@pytest.mark.parametrize(("words", "said"), [
    (("nosuch",), "no such command: nosuch"),
    (("create", "--nosuch", "x"), "unknown flag: --nosuch"),
    (("create",), "requires 1 argument"),
    (("state", "a", "b"), "requires 1 argument"),
    (("--systemd-cgroup", "create", "x"), "without systemd"),
    (("--log-format", "xml", "list"), "text or json"),
    (("create", "--no-pivot", "x"), "--no-pivot is not done"),
    (("create", "--bundle", "/nosuch", "x"), "/nosuch/config.json: no such file or directory"),
    (("kill", "x", "NOSUCH"), "invalid signal"),
])  # fmt: skip
def test_wrong_words_are_refused_on_stderr_and_in_the_log(tmp_path: Path, words: tuple[str, ...], said: str) -> None:
    log = tmp_path / "log"
    form = () if "--log-format" in words else ("--log-format", "json")
    refused = tuidock_oci("--root", str(tmp_path / "state"), "--log", str(log), *form, *words)
    assert (refused.status, refused.out) == (1, "")
    assert said in refused.err
    line = log.read_text()
    assert said in (json.loads(line)["msg"] if form else line)


def test_help_and_version_are_no_errors() -> None:
    assert "spec: 1." in tuidock_oci("--version").out
    for words in ((), ("--help",), ("create", "--help")):
        shown = tuidock_oci(*words)
        assert (shown.status, shown.err) == (0, "")
        assert "Usage:" in shown.out


def test_features_and_spec_are_json(tmp_path: Path) -> None:
    features = json.loads(tuidock_oci("features").out)
    assert features["linux"]["cgroup"]["systemd"] is False
    assert {"rro", "tmpcopyup", "rslave"} <= set(features["mountOptions"])
    assert "poststop" in features["hooks"]
    assert tuidock_oci("spec", "--bundle", str(tmp_path)).status == 0
    config = json.loads((tmp_path / "config.json").read_text())
    assert (config["root"]["path"], config["process"]["args"]) == ("rootfs", ["sh"])
    assert "exists" in tuidock_oci("spec", "--bundle", str(tmp_path)).err
    (tmp_path / "config.json").unlink()
    assert tuidock_oci("spec", "--bundle", str(tmp_path), "--rootless").status == 0
    linux = json.loads((tmp_path / "config.json").read_text())["linux"]
    assert linux["uidMappings"] == [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
    assert {"type": "user"} in linux["namespaces"]


def test_a_log_that_cannot_be_is_said_before_anything_is_done(tmp_path: Path) -> None:
    refused = tuidock_oci("--root", str(tmp_path / "state"), "--log", "/nosuch/log", "list")
    assert refused.status == 1
    assert "/nosuch/log" in refused.err


# ------------------------------------------------------------------------------------------------------- other engines


class Engine:
    """Another engine with our runtime in it."""

    def __init__(self, words: list[str], run: tuple[str, ...]) -> None:
        self.words, self.run = words, run

    def __call__(self, *words: str) -> Result:
        words = (words[0], *self.run, *words[1:]) if words[0] == "run" else words
        done = subprocess.run([*self.words, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=90)
        return Result(done.returncode, done.stdout.strip(), done.stderr.strip())

    def ok(self, *words: str) -> str:
        result = self(*words)
        assert result.status == 0, f"{words}: {result}"
        return result.out


@pytest.fixture(scope="module")
def place(scratch: Path) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(dir=scratch, prefix="e"))
    folder.chmod(0o755)
    yield folder
    for point in reversed(mounts_below(str(folder))):
        subprocess.run(["umount", "-l", point], check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def podman(place: Path, busybox_tar: Path) -> Iterator[Engine]:
    if not shutil.which("podman"):
        pytest.skip("there is no podman here")
    words = ["podman", "--root", f"{place}/root", "--runroot", f"{place}/run", "--cgroup-manager", "cgroupfs",
             "--events-backend", "file", "--runtime", str(script(place))]  # fmt: skip
    engine = Engine(words, ("--network", "none", *LIMITS))
    engine.ok("import", str(busybox_tar), "busybox")
    yield engine
    engine.ok("rm", "--all", "--force", "--time", "0")
    eventually(lambda: subprocess.run(["pgrep", "-f", f"{place}/root"], stdout=subprocess.DEVNULL).returncode)


@pytest.fixture(scope="module")
def docker(place: Path, busybox_tar: Path) -> Iterator[Engine]:
    if not installed():
        pytest.skip("there is no dockerd here, or no root")
    (place / "docker").mkdir()
    with dockerd(place / "docker", runtime=script(place)) as words:
        engine = Engine(words, ("--network", "none", "--runtime", "plugged"))
        engine.ok("import", str(busybox_tar), "busybox")
        yield engine
        if names := engine.ok("ps", "-aq").split():
            engine.ok("rm", "--force", *names)


@pytest.fixture(params=["podman", "docker"])
def engine(request: pytest.FixtureRequest) -> Engine:
    found: Engine = request.getfixturevalue(request.param)
    return found


def ours(engine: Engine, container: str) -> bool:
    """Whether it was our runtime that made a container."""
    named = engine.ok(
        "inspect", "--format", "{{.OCIRuntime}}" if "podman" in engine.words[0] else "{{.HostConfig.Runtime}}", container
    )
    return named.endswith(("/runtime", "plugged"))


@pytest.fixture
def running(engine: Engine) -> Iterator[Callable[..., str]]:
    names: list[str] = []

    def start(*words: str) -> str:
        names.append(engine.ok("run", "-d", *words))
        return names[-1]

    yield start
    engine.ok("rm", "--force", *names)


def test_an_engine_runs_a_container(engine: Engine) -> None:
    assert engine.ok("run", "--rm", "busybox", "echo", "hi") == "hi"
    assert engine("run", "--rm", "busybox", "sh", "-c", "exit 3").status == 3
    assert engine("run", "--rm", "busybox", "nosuch").status == 127
    assert engine("run", "--rm", "busybox", "/etc/passwd").status == 126
    assert engine.ok("run", "--rm", "-t", "busybox", "tty") == "/dev/pts/0"


def test_an_engine_runs_a_further_process(engine: Engine, running: Callable[..., str]) -> None:
    name = running("busybox", "sleep", "1000")
    assert ours(engine, name)
    assert engine.ok("exec", "-e", "A=b", "-u", "5:6", name, "sh", "-c", "echo $A; id -u; id -g").split() == ["b", "5", "6"]
    assert engine("exec", name, "sh", "-c", "exit 4").status == 4
    assert engine("exec", name, "nosuch").status in (126, 127), "docker 20.10 makes 126 of it with runc, too"


def test_an_engine_stops_and_kills(engine: Engine, running: Callable[..., str]) -> None:
    name = running("busybox", "sh", "-c", "trap 'exit 5' TERM; while true; do sleep 0.1; done")
    pid = engine.ok("inspect", "--format", "{{.State.Pid}}", name)
    assert os.path.exists(f"/proc/{pid}")
    engine.ok("stop", "-t", "20", name)
    assert engine.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name) == "exited 5"
    engine.ok("start", name)
    engine.ok("kill", name)
    assert eventually(lambda: engine.ok("inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", name) == "exited 137")


def test_an_engine_pauses(engine: Engine, running: Callable[..., str]) -> None:
    name = running("busybox", "sleep", "1000")
    engine.ok("pause", name)
    assert engine.ok("inspect", "--format", "{{.State.Status}}", name) == "paused"
    engine.ok("unpause", name)
    assert engine.ok("inspect", "--format", "{{.State.Status}}", name) == "running"


def test_an_engines_limits_and_mounts_hold(engine: Engine, place: Path) -> None:
    (place / "shared").mkdir(mode=0o777, exist_ok=True)
    (place / "shared").chmod(0o777)
    words = (
        "--rm",
        "--memory",
        "64m",
        "--pids-limit",
        "50",
        "-v",
        f"{place}/shared:/mnt:ro",
        "--read-only",
        "-u",
        "5:6",
        "--cap-drop",
        "ALL",
    )
    command = "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/memory.max " \
              "/sys/fs/cgroup/pids.max 2>/dev/null; touch /x /mnt/x; grep CapBnd /proc/self/status"  # fmt: skip
    result = engine("run", *words, "busybox", "sh", "-c", command)
    assert result.out.split() == [str(64 << 20), "50", "CapBnd:", "0000000000000000"]
    assert result.err.count("Read-only file system") == 2
