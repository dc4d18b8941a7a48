"""A terminal that a test types into and reads from: tmux on a socket of its own."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest


class Terminal:
    """One window."""

    def __init__(self, socket: Path) -> None:
        self.socket = socket

    def _tmux(self, *words: str) -> str:
        command = ["tmux", "-S", str(self.socket), "-f", "/dev/null", *words]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout

    def keys(self, *keys: str) -> None:
        """Press keys by tmux's names: "a", "Enter", "C-c", "Escape", "Down"."""
        self._tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        """Type a text and Enter."""
        self._tmux("send-keys", "-l", text)
        self._tmux("send-keys", "Enter")

    def resize(self, columns: int, rows: int) -> None:
        self._tmux("resize-window", "-x", str(columns), "-y", str(rows))

    @property
    def text(self) -> str:
        """What is on the screen."""
        return self._tmux("capture-pane", "-p")

    def waits_for(self, text: str, seconds: float = 15) -> str:
        """The screen once it shows this.  Fails with what it shows instead."""
        until = time.monotonic() + seconds
        while text not in (shown := self.text):
            if time.monotonic() > until:
                pytest.fail(f"{text!r} is not on the screen after {seconds} s:\n{shown}")
            time.sleep(0.05)
        return shown


@contextmanager
def terminal(folder: Path, command: Sequence[str], columns: int = 80, rows: int = 24) -> Iterator[Terminal]:
    """A window that runs a command; when that ends, its status is shown ("ended: 0") and the window stays."""
    if not shutil.which("tmux"):
        pytest.skip("there is no tmux here")
    shown = Terminal(folder / "tmux")
    script = f"{shlex.join(command)}; echo ended: $?; exec sleep 1000"
    environment = {**os.environ, "TERM": "xterm-256color", "LANG": "C.UTF-8"}
    environment.pop("TMUX", None)
    start = ["tmux", "-u", "-S", str(shown.socket), "-f", "/dev/null", "new-session", "-d"]
    subprocess.run([*start, "-x", str(columns), "-y", str(rows), "sh", "-c", script], check=True, env=environment)
    try:
        yield shown
    finally:
        subprocess.run(["tmux", "-S", str(shown.socket), "kill-server"], check=False, capture_output=True)
