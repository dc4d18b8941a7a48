"""The lists: what they show of a stranger's container, and that their times go on."""

from __future__ import annotations

import time

import pytest

from tests.engine.running import running
from tests.tui.screens import SMALL, screen
from tuidock.engine import Engine
from tuidock.engine.requests import RunRequest
from tuidock.storage.paths import Roots


async def test_times_go_on(engine: Engine, roots: Roots, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing happens to the container, and still it gets older."""
    with running(engine, "sleep", "1000"):
        async with screen(roots, SMALL) as shown:
            await shown.waits_for("● ")
            now = time.time
            monkeypatch.setattr(time, "time", lambda: now() + 120)
            await shown.waits_for("up 2 min")


async def test_a_command_cannot_draw_on_the_screen(engine: Engine, roots: Roots, busybox: str) -> None:
    """Control sequences in a command are shown, not obeyed, and a script is no longer than three lines."""
    script = "printf '\x1b[2J\x1b]0;title\x07'\n" + "\n".join(f"echo {number}" for number in range(100)) + "\nsleep 1000"
    with running(engine, "sh", "-c", script):
        async with screen(roots, SMALL) as shown:
            text = await shown.waits_for("host name")
            assert "␛[2J␛]0;title␇" in text
            assert "↵" in text
            assert "echo 60" not in text
            assert "\x1b" not in text


async def test_a_filter_without_a_match_says_so_and_goes(engine: Engine, roots: Roots, busybox: str) -> None:
    engine.containers.create(RunRequest(busybox, ("true",), name="web"))
    async with screen(roots, SMALL) as shown:
        await shown.waits_for("web")
        await shown.press("slash")
        await shown.type("zq[b]")
        await shown.waits_for("Nothing matches the filter.")
        text = await shown.waits_for("─ /zq[b] · 0 of 1 ─")
        assert "No container yet" not in text
        await shown.press("enter")
        await shown.waits_for("esc  clears it")
        await shown.press("escape")
        await shown.until(lambda: "Nothing matches" not in shown.text)
        assert "web" in shown.text
