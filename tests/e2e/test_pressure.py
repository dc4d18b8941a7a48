"""Streams under pressure: much in both directions, readers that do not read, and others that look meanwhile."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
from pathlib import Path

import pytest

from tests.machine import Cli, eventually


@pytest.mark.parametrize("command", [("run", "--rm", "-i", "--net", "none", "busybox", "cat"), ("exec", "-i", "a", "cat")])
def test_much_in_both_directions_at_once(cli: Cli, busybox: str, tmp_path: Path, command: tuple[str, ...]) -> None:
    """The output is read by somebody who is slower than the input."""
    cli.ok("run", "-d", "--name", "a", "--net", "none", busybox, "sleep", "1000")
    given = random.Random(1).randbytes(48 << 20)
    (tmp_path / "given").write_bytes(given)
    with open(tmp_path / "given", "rb") as stdin:
        process = subprocess.Popen([*cli.words, *command], stdin=stdin, stdout=subprocess.PIPE)
    try:
        came, _ = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0
    assert came == given


def test_who_does_not_read_holds_neither_the_end_nor_the_removal(cli: Cli, busybox: str) -> None:
    front = cli.start("run", "--rm", "--name", "stuck", "--net", "none", busybox, "yes")
    try:
        assert eventually(lambda: cli("top", "stuck").status == 0)
        assert front.stdout is not None
        assert front.stdout.read(2) == b"y\n"
        assert cli("rm", "-f", "stuck", timeout=30).out == "stuck\n"
        assert cli.ok("ps", "-aq") == ""
        for _ in range(3):  # it still has something to say, and nobody to say it to
            front.send_signal(signal.SIGTERM)
            eventually(lambda: front.poll() is not None, 0.3)
        assert front.wait(20) == 130
    finally:
        front.kill()
        front.communicate()


def test_the_status_of_run_is_the_commands_whoever_looks_meanwhile(cli: Cli, busybox: str) -> None:
    """Whoever looks settles what has ended, and may so do the removal that `run --rm` was about to do."""
    done = threading.Event()

    def look() -> None:
        while not done.is_set():
            cli("ps", "-aq")

    looking = [threading.Thread(target=look) for _ in range(max(2, len(os.sched_getaffinity(0))))]
    for one in looking:
        one.start()
    try:
        ends = [cli("run", "--rm", "--net", "none", busybox, "sh", "-c", "exit 3") for _ in range(25)]
    finally:
        done.set()
        for one in looking:
            one.join()
    assert [end.status for end in ends] == [3] * 25, {end.err for end in ends}
