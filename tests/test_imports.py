"""What starting a container must not import, and who may know whom: facts that fail when they stop being true.

Each of these modules costs milliseconds at every start: figures in docs/dependencies.md.  They are looked for in real
processes: the command itself (`python -X importtime`), and the monitor with the container's init, which get an audit hook.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.machine import REPOSITORY
from tuidock.storage.paths import Roots

FORBIDDEN = (
    "argparse", "asyncio", "concurrent", "contextlib", "dataclasses", "datetime", "difflib", "enum", "gettext", "inspect",
    "ipaddress", "json", "logging", "multiprocessing", "pathlib", "pickle", "platform", "random", "re", "shlex", "shutil",
    "socket", "string", "subprocess", "tarfile", "tempfile", "textwrap", "threading", "traceback", "typing", "urllib", "uuid",
    "dockerfile", "httpx", "humanize", "psutil", "pygments", "pyroute2", "rich", "textual",
    "tuidock.tui", "tuidock.engine.commit", "tuidock.engine.copying", "tuidock.engine.events", "tuidock.engine.explain",
    "tuidock.engine.images", "tuidock.engine.stats",
    "tuidock.image.archive", "tuidock.image.changes", "tuidock.image.tarwriter", "tuidock.image.unpack",
    "tuidock.runtime.scheduling", "tuidock.runtime.standalone",
)  # fmt: skip
"""Not on the path of `run`."""

HOOK = """\
import os, sys
def note(event, words, log=os.open({log!r}, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC)):
    if event == "import":
        try:
            os.write(log, (words[0] + "\\n").encode())
        except OSError:
            pass  # the container's init has closed what is not its own; from there on it imports nothing
sys.addaudithook(note)
"""
HOOKED = """\
import sys
from tuidock.runtime import spawn
spawn.BOOTSTRAP = {hook!r} + spawn.BOOTSTRAP
from tuidock.__main__ import command
command()
"""
"""The command, with one change: whatever it starts in a fresh interpreter writes the name of each import into a file."""


def imported(report: str) -> set[str]:
    """The module names of an `-X importtime` report."""
    return set(re.findall(r"^import time:\s+\d+ \|\s+\d+ \|\s+(\S+)$", report, re.MULTILINE))


def _run(roots: Roots, busybox: str, words: list[str]) -> subprocess.CompletedProcess[str]:
    command = [*words, "--root", roots.data, "--run-root", roots.run, "run", "--rm", "--net", "none", busybox, "echo", "hi"]
    finished = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, timeout=60)
    assert finished.stdout == "hi\n", finished.stderr
    return finished


COMMAND = "from tuidock.__main__ import command; command()"
"""What the installed `tuidock` does; `python -m` would bring `runpy`, and that `contextlib` and more."""


def test_the_command_imports_nothing_slow(roots: Roots, busybox: str) -> None:
    _run(roots, busybox, [sys.executable, "-c", COMMAND])  # the first start of a root also makes its database
    names = imported(_run(roots, busybox, [sys.executable, "-X", "importtime", "-c", COMMAND]).stderr)
    assert {"tuidock.runtime.lifecycle", "tuidock.engine.containers"} <= names
    assert [name for name in FORBIDDEN if name in names] == []


def test_the_monitor_and_the_containers_init_import_nothing_slow(roots: Roots, busybox: str, tmp_path: Path) -> None:
    log = tmp_path / "imports"
    _run(roots, busybox, [sys.executable, "-c", HOOKED.format(hook=HOOK.format(log=str(log)))])
    names = set(log.read_text().split())
    assert {"tuidock.runtime.monitor", "tuidock.runtime.init"} <= names
    assert [name for name in FORBIDDEN if name in names] == []
    above = {name for name in names if name.startswith("tuidock.") and name.split(".")[1] not in ("runtime", "oci", "errors")}
    assert above == set(), "the runtime knows nothing of what lies above it"


def test_the_hook_sees_an_import(tmp_path: Path) -> None:
    """The test above would not notice a hook that sees nothing."""
    log = tmp_path / "imports"
    subprocess.run([sys.executable, "-I", "-S", "-c", f"{HOOK.format(log=str(log))}import argparse"], check=True)
    assert "argparse" in log.read_text().split()


def test_the_installed_command_imports_no_re() -> None:
    """Old pips write a script that does."""
    script = Path(sys.executable).parent / "tuidock"
    if not script.exists():
        pytest.skip("tuidock is not installed beside this interpreter")
    report = subprocess.run([sys.executable, "-X", "importtime", script, "--version"], capture_output=True, text=True)
    assert report.returncode == 0, report.stderr
    assert not {"re", "argparse", "textual"} & imported(report.stderr)


def lint_imports(folder: Path) -> subprocess.CompletedProcess[str]:
    """The import order as pyproject.toml declares it, checked in a folder."""
    program = Path(sys.executable).parent / "lint-imports"
    return subprocess.run(
        [program, "--no-cache"], cwd=folder, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": str(folder)}
    )


def test_imports_go_one_way() -> None:
    checked = lint_imports(REPOSITORY)
    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize(
    ("where", "what"),
    [
        ("runtime/log.py", "from tuidock.storage import paths"),
        ("image/store.py", "from tuidock.engine import requests"),
        ("volume.py", "from tuidock.image import store"),
        ("engine/names.py", "def late():\n    from tuidock.cli import main"),
    ],
)
def test_an_import_the_other_way_is_found(tmp_path: Path, where: str, what: str) -> None:
    shutil.copytree(REPOSITORY / "tuidock", tmp_path / "tuidock", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(REPOSITORY / "pyproject.toml", tmp_path)
    with open(tmp_path / "tuidock" / where, "a") as file:
        file.write(f"\n{what}\n")
    checked = lint_imports(tmp_path)
    assert checked.returncode == 1, checked.stdout
    assert "BROKEN" in checked.stdout


def test_every_python_file_says_what_it_is_for() -> None:
    silent = [
        str(path.relative_to(REPOSITORY))
        for path in (REPOSITORY / "tuidock").rglob("*.py")
        if not path.read_text().startswith('"""')
    ]
    assert silent == []
