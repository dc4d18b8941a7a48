"""What lies over the screen shows what is typed into it, and goes away with escape."""

from __future__ import annotations

import pytest

from tests.engine.running import running
from tests.tui.screens import SMALL, WIDE, screen
from tuidock.engine import Engine
from tuidock.storage.paths import Roots

TINY = (40, 12)


@pytest.mark.parametrize("size", [TINY, SMALL, WIDE])
async def test_exec_shows_what_is_typed(engine: Engine, roots: Roots, busybox: str, size: tuple[int, int]) -> None:
    with running(engine, "sleep", "1000"):
        async with screen(roots, size) as shown:
            await shown.waits_for("● ")
            await shown.press("e")
            await shown.waits_for("Run a command")
            await shown.type("ls /tmp")
            await shown.waits_for("ls /tmp")
            await shown.press("escape")
            await shown.until(lambda: "Run a command" not in shown.text)


async def test_the_palette_has_our_actions_and_no_others(engine: Engine, roots: Roots, busybox: str) -> None:
    with running(engine, "sleep", "1000") as container:
        async with screen(roots, WIDE) as shown:
            await shown.waits_for("● ")
            await shown.press("colon")
            text = await shown.waits_for(f"Stop {container.name}")
            assert "Maximize" not in text
            assert "Start " not in text.replace("Starter", "")
            await shown.type("theme high")
            await shown.waits_for("Theme high-contrast")


@pytest.mark.parametrize("size", [TINY, (60, 20), SMALL, WIDE])
async def test_help_fits_its_dialog(roots: Roots, size: tuple[int, int]) -> None:
    """Sentences that are longer than a line go on below their beginning."""
    async with screen(roots, size) as shown:
        await shown.press("question_mark")
        await shown.waits_for("A container")

        def fits() -> bool:
            lines = shown.text.splitlines()
            place = next((place for place, line in enumerate(lines) if " u  " in line), 0)
            column = lines[place].find("Start")
            below = lines[place + 1].find("container") if size == TINY else column
            return column > 0 and below == column

        await shown.until(fits)


@pytest.mark.parametrize("area", ["containers", "images", "volumes"])
async def test_on_a_tiny_screen_the_list_that_is_looked_at_has_rows(
    engine: Engine, roots: Roots, busybox: str, area: str
) -> None:
    with running(engine, "sleep", "1000", volumes=("kept:/data",)) as container:
        async with screen(roots, TINY) as shown:
            await shown.waits_for("● ")
            await shown.press({"containers": "1", "images": "2", "volumes": "3"}[area])
            row = {"containers": f"● {container.name}", "images": "busybox:latest", "volumes": "◆ kept"}[area]
            await shown.waits_for(row)
            assert all(title in shown.text for title in ("1 Containers", "2 Images", "3 Volumes"))
