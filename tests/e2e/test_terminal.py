"""`-it` in a real terminal: what a person types, sees, resizes and leaves."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.tmux import terminal
from tests.machine import Cli


def test_exec_it_is_a_working_terminal(cli: Cli, busybox: str, tmp_path: Path) -> None:
    """Show 4."""
    cli.ok("run", "-d", "--name", "a", "-h", "inside", busybox, "sleep", "1000")
    with terminal(tmp_path, [*cli.words, "exec", "-it", "a", "/bin/sh"], columns=100, rows=30) as screen:
        screen.waits_for("#")
        screen.type("echo $(hostname)-$(tty)")
        screen.waits_for("inside-/dev/pts/")
        screen.type("stty size")
        screen.waits_for("30 100")
        screen.resize(90, 20)
        screen.type("stty size")
        screen.waits_for("20 90")
        screen.type("sleep 1000")
        screen.keys("C-c")  # the signal goes to what runs in the foreground, and not to the shell
        screen.type("echo still-$((40 + 2))")
        screen.waits_for("still-42")
        screen.type("touch /x; exit 3")
        screen.waits_for("ended: 3")
        assert cli("exec", "a", "ls", "/x").out == "/x\n"


def test_the_terminal_is_as_it_was_after_run_it(cli: Cli, busybox: str, tmp_path: Path) -> None:
    words = " ".join([*cli.words, "run", "--rm", "-it", busybox, "sh"])
    with terminal(tmp_path, ["sh", "-c", f"stty -a >{tmp_path}/before; {words}; stty -a >{tmp_path}/after"]) as screen:
        screen.waits_for("#")
        screen.type("vi")  # raw mode, cursor addressing
        screen.waits_for("~")
        screen.type(":q!")
        screen.type("exit")
        screen.waits_for("ended: 0")
    assert (tmp_path / "before").read_text() == (tmp_path / "after").read_text()


def test_the_detach_keys_leave_it_running(cli: Cli, busybox: str, tmp_path: Path) -> None:
    with terminal(tmp_path, [*cli.words, "run", "-it", "--name", "a", busybox, "sh"]) as screen:
        screen.waits_for("#")
        screen.type("word=kept")
        screen.keys("C-p", "C-q")
        screen.waits_for("ended: 0")
    assert cli.ok("ps", "--format", "{{.Names}}") == "a"
    with terminal(tmp_path, [*cli.words, "attach", "a"]) as screen:
        screen.keys("Enter")
        screen.waits_for("#")
        screen.type("echo word-$word")
        screen.waits_for("word-kept")
        screen.type("exit")
        screen.waits_for("ended: 0")
    assert cli.ok("ps", "-q") == ""


def test_t_without_a_terminal_is_refused(cli: Cli, busybox: str) -> None:
    """Docker's words: the input device is not a TTY."""
    result = cli("run", "--rm", "-it", busybox, "true")
    assert result.status != 0
    assert "not a TTY" in result.err
    assert cli.ok("run", "--rm", "-t", busybox, "tty").startswith("/dev/pts/")
