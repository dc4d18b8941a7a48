"""What a network may not cost the start of a container: nothing slow is imported for one, with a published port or a name."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.machine import REPOSITORY
from tests.test_imports import COMMAND, FORBIDDEN, imported
from tuidock.engine.networks import Wanted


@pytest.mark.parametrize("words", [("--net", "bridge"), ("-p", "80"), ("--net", "mine"), ("--net", "mine", "-p", "80")])
def test_nothing_slow_is_imported(engine, roots, busybox, words):
    engine.networks.create(Wanted("mine"))
    command = [sys.executable, "-X", "importtime", "-c", COMMAND, "--root", roots.data, "--run-root", roots.run]
    finished = subprocess.run(
        [*command, "run", "--rm", *words, busybox, "echo", "hi"], capture_output=True, text=True, cwd=REPOSITORY, timeout=60
    )
    assert finished.stdout == "hi\n", finished.stderr
    names = imported(finished.stderr)
    assert "tuidock.network.endpoint" in names
    forbidden = {*FORBIDDEN, "dns", "sqlite3", "tuidock.engine.networks"} - {"tuidock.network"}
    assert sorted(forbidden & names) == []
