"""Commit from the screen: what would go in is seen first, and then it is in the image."""

from __future__ import annotations

import json

import pytest

from tests.engine.running import execute, run, running
from tests.tui.screens import SMALL, WIDE, screen
from tuidock.engine import Engine
from tuidock.storage.paths import Roots


@pytest.mark.parametrize("size", [(40, 12), SMALL, WIDE])
async def test_what_is_shown_is_what_the_image_gets(engine: Engine, roots: Roots, busybox: str, size: tuple[int, int]) -> None:
    """Walkthrough 10 and 18."""
    with running(engine, volumes=("/test",)) as container:
        execute(engine, container, "sh", "-c", "echo 12345 >/new; rm /etc/group; echo x >/test/in")
        async with screen(roots, size) as shown:
            await shown.waits_for("● ")
            await shown.press("C")
            await shown.waits_for("Make an image of")
            if size != (40, 12):
                text = await shown.waits_for("$ tuidock commit")
                for seen in ("+ /new", "− /etc/group", "◆ /test", "stays out", "1 file, 6 B, 1 deleted"):
                    assert seen in text
            await shown.type("Bad")
            await shown.press("enter")
            assert "Make an image of" in shown.text, "what is no name is not taken"
            await shown.press("backspace", "backspace", "backspace")
            await shown.type("app")
            await shown.press("enter")
            await shown.until(lambda: engine.images.list()[0].repository == "app")
    assert run(engine, "sh", "-c", "cat /new; ls /test /etc/group 2>&1", image="app").out.splitlines() == [
        "12345", "ls: /etc/group: No such file or directory", "/test:",
    ]  # fmt: skip


async def test_the_command_line_says_all_of_it(engine: Engine, roots: Roots, busybox: str) -> None:
    with running(engine, name="one") as container:
        async with screen(roots, WIDE) as shown:
            await shown.waits_for("● ")
            await shown.press("C")
            await shown.waits_for("nothing was written")
            await shown.type("app:2")
            await shown.press("down")
            await shown.type("by hand")
            await shown.press("down")
            await shown.type("'CMD [\"ls\"]'")
            await shown.press("down", "space")
            await shown.waits_for("$ tuidock commit --no-pause -m 'by hand' -c 'CMD [\"ls\"]' one app:2")
            await shown.press("up", "end", "x", "'")
            await shown.waits_for("No closing quotation")
            await shown.press("backspace", "backspace", "enter")
            await shown.until(lambda: engine.images.list()[0].tag == "2")
        assert container.name == "one"
    config = engine.images.get("app:2").config
    assert (config["config"]["Cmd"], config["comment"]) == (["ls"], "by hand")
    assert json.dumps(config["history"][-1]).count("empty_layer") == 1


async def test_escape_makes_nothing(engine: Engine, roots: Roots, busybox: str) -> None:
    with running(engine):
        async with screen(roots, WIDE) as shown:
            await shown.waits_for("● ")
            await shown.press("C")
            await shown.waits_for("Make an image of")
            await shown.press("escape")
            await shown.until(lambda: "Make an image of" not in shown.text)
    assert [image.repository for image in engine.images.list()] == ["busybox"]
