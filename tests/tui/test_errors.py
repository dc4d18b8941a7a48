"""What goes wrong is said where it was looked for, in words, and stays there."""

from __future__ import annotations

import pytest

from tests.engine.running import running
from tests.tui.screens import SMALL, screen
from tuidock import engine as engine_module
from tuidock.engine import Engine
from tuidock.engine.containers import Containers
from tuidock.errors import Refused
from tuidock.storage.paths import Roots


def refuses(*words: object, **more: object) -> None:
    raise Refused("the disk is on holiday", "ask it again tomorrow, when it is back from where disks go")


async def test_an_engine_that_does_not_open(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module.Engine, "__init__", refuses)
    async with screen(roots, SMALL, reads=False) as shown:
        await shown.waits_for("could not be read")
        await shown.waits_for("✗ opening the engine")
        shown.app.clear_notifications()
        text = await shown.waits_for("the disk is on holiday")
        assert "reading …" not in text
        await shown.press("x", "escape", "j", "tab", "q")


async def test_lists_that_cannot_be_read(roots: Roots, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Containers, "list", refuses)
    async with screen(roots, SMALL, reads=False) as shown:
        await shown.waits_for("could not be read")
        shown.app.clear_notifications()
        await shown.until(lambda: "✗" not in shown.text)
        assert "the disk is on holiday" in shown.text


async def test_a_pane_that_cannot_be_read(engine: Engine, roots: Roots, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the pane's place, and the whole of it: a narrow pane breaks the lines."""
    monkeypatch.setattr(Containers, "layers", refuses)
    with running(engine, "sleep", "1000"):
        async with screen(roots, SMALL) as shown:
            await shown.waits_for("● ")
            await shown.press("]", "]")
            text = await shown.waits_for("the disk is on holiday")
            assert "where disks go" in " ".join(text.replace("│", " ").split())
