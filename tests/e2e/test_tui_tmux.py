"""The main job on the screen, as a person does it in a terminal: nothing but keys go in, nothing but the screen is read."""

from __future__ import annotations

import os
import pty
import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.e2e.tmux import Terminal, terminal
from tests.machine import Cli, alive, eventually


def lasts(screen: Terminal, text: str) -> None:
    """The text goes from the screen."""
    assert eventually(lambda: text not in screen.text, 15), f"{text!r} stays:\n{screen.text}"


def test_the_main_job_on_the_screen(cli: Cli, busybox: str, tmp_path: Path) -> None:
    """Show 7: a container from an image, its log followed, a shell in it, and what it writes in the read-write layer."""
    with terminal(tmp_path, cli.words, columns=120, rows=40) as screen:
        screen.waits_for("busybox:latest")
        screen.keys("2", "Enter")  # the images, and the form for the one under the cursor
        screen.waits_for("Run a container")
        screen.type("sh -c 'while :; do i=$((i+1)); echo line-$i; sleep 0.2; done'")
        screen.waits_for("busybox")
        screen.waits_for("1 of 1 running")

        screen.keys("L")
        screen.waits_for("line-3")
        seen = max(int(number) for number in re.findall(r"line-(\d+)", screen.text))
        screen.waits_for(f"line-{seen + 5}")

        screen.keys("s")
        screen.waits_for("/ #")
        screen.type("touch /x")
        screen.type("exit")
        screen.waits_for("1 of 1 running")

        screen.keys("]")
        shown = screen.waits_for("+ /x ")
        assert "read-write layer ● live" in shown
        assert "/etc/resolv.conf" in shown
        assert cli.ok("exec", cli.ok("ps", "-q"), "ls", "/x") == "/x"

        pid = int(cli.ok("inspect", "--format", "{{.State.Pid}}", cli.ok("ps", "-q")))
        screen.keys("]")
        screen.waits_for(str(os.stat(f"/proc/{pid}/ns/net").st_ino))

        screen.keys("K")
        screen.waits_for("0 of 1 running")
        assert not alive(pid)
        screen.keys("d")
        screen.waits_for("read-write layer goes: 1 file")
        screen.keys("y")
        screen.waits_for("No container yet.")
        assert cli.ok("ps", "-aq") == ""

        screen.keys("q")
        screen.waits_for("ended: 0")


def test_an_empty_machine_shows_the_way(cli: Cli, tmp_path: Path) -> None:
    """One key brings the starter image, the next one runs it, the next one is inside."""
    with terminal(tmp_path, cli.words) as screen:
        screen.waits_for("There is nothing here yet.")
        screen.keys("i")
        screen.waits_for("press enter to run it", 90)
        screen.keys("Enter")
        screen.waits_for("tuidock run -d -t -i tuidock/starter:latest")
        screen.keys("Enter")
        screen.waits_for("1 of 1 running")
        screen.keys("s")
        screen.waits_for("exit or ctrl+d comes back")
        screen.type("python3 -c 'print(6 * 7)'")
        screen.waits_for("42")
        screen.keys("C-d")
        screen.waits_for("1 of 1 running")
        screen.keys("q")
        screen.waits_for("ended: 0")
    cli.ok("rm", "-f", cli.ok("ps", "-q"))


def test_what_happens_elsewhere_appears(cli: Cli, busybox: str, tmp_path: Path) -> None:
    """Events and no polling: another front end's work is on the screen within a moment."""
    with terminal(tmp_path, cli.words) as screen:
        screen.waits_for("busybox:latest")
        cli.ok("run", "-d", "--name", "elsewhere", busybox, "sleep", "1000")
        screen.waits_for("● elsewhere", 2)
        cli.ok("kill", "elsewhere")
        screen.waits_for("✗ elsewhere", 2)
        cli.ok("rm", "elsewhere")
        lasts(screen, "elsewhere")
        screen.keys("q")
        screen.waits_for("ended: 0")


@pytest.mark.parametrize("way", ["q", "ctrl+c twice", "kill -TERM"])
def test_the_terminal_is_given_back(cli: Cli, tmp_path: Path, way: str) -> None:
    """Modes as before, and the screen of before."""
    before, after, pid = tmp_path / "before", tmp_path / "after", tmp_path / "pid"
    start = f"sh -c 'echo $$ >{pid}; exec \"$@\"' sh {shlex.join(cli.words)}"
    script = f"echo what stood here; stty -a >{before}; {start}; echo status $?; stty -a >{after}"
    with terminal(tmp_path, ["sh", "-c", script]) as screen:
        screen.waits_for("There is nothing here yet.")
        if way == "kill -TERM":
            os.kill(int(pid.read_text()), signal.SIGTERM)
        else:
            screen.keys(*(["q"] if way == "q" else ["C-c", "C-c"]))
        shown = screen.waits_for("ended: 0")
        assert "what stood here" in shown
        assert f"status {143 if way == 'kill -TERM' else 0}" in shown
    assert before.read_text() == after.read_text()


def test_a_terminal_that_goes_away_takes_the_screen_with_it(cli: Cli, busybox: str) -> None:
    """Also when the screen is just being drawn."""
    for _ in range(3):
        pid, master = pty.fork()
        if pid == 0:
            os.environ["TERM"] = "xterm-256color"
            os.execvp(cli.words[0], cli.words)
        seen = b""
        while b"Containers" not in seen:
            seen += os.read(master, 65536)
        os.close(master)
        ended = eventually(lambda pid=pid: os.waitpid(pid, os.WNOHANG)[0] == pid, 15)
        if not ended:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
        assert ended
