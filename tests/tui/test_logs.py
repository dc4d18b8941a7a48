"""A log is what a stranger wrote: nothing of it may reach the terminal but text and colour."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.engine.running import running
from tests.tui.screens import SMALL, screen
from tuidock.engine import Engine
from tuidock.storage.paths import Roots
from tuidock.tui.panes.logs import clean, coloured, plain

HOSTILE = [
    b"\x1b]0;title\x07after",
    b"\x1b]52;c;ZXZpbA==\x1b\\after",
    b"\x1b]8;;http://evil\x1b\\after\x1b]8;;\x1b\\",
    b"\x1b[2J\x1b[Hafter",
    b"\x1b[?1049hafter",
    b"\x1bPq#0\x1b\\after",
    b"\x1bcafter",
    b"\x1b(0after",
    b"\x9b2Jafter".replace(b"\x9b", "\x9b".encode()),
    b"over\rafter",
    b"after\r",
    b"a\x08\x00fter",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_control_sequences_are_taken_out(text: bytes) -> None:
    assert clean(text).endswith("after")
    assert clean(text).strip("after") == ""


@given(st.binary(max_size=80))
@example(b"\x1b\x1b[31m")
@example(b"\x1b[\x1b[2J")
@example(b"\x1b")
def test_whatever_comes_only_colours_are_left(text: bytes) -> None:
    left = re.sub(r"\x1b\[[0-9;:]*m", "", clean(text))
    assert not re.search(r"[\x00-\x08\x0b-\x1a\x1c-\x1f\x7f-\x9f]", left)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f]", coloured(text).plain)


def test_colours_are_kept() -> None:
    content = coloured(b"\x1b[1;32mready\x1b[0m to \x1b[38;5;208mserve\x1b[m")
    assert content.plain == "ready to serve"
    assert len(content.spans) == 2


def test_tabs_and_wide_letters_and_what_is_no_text() -> None:
    assert clean(b"a\tb") == "a       b"
    assert plain("日志\x1b[31m!".encode()) == "日志!"
    assert clean(b"\xff\xfe") == "��"


async def test_breaking_lines_or_not_changes_nothing_about_following(engine: Engine, roots: Roots, busybox: str) -> None:
    script = "i=0; while [ $i -lt 60 ]; do i=$((i + 1)); echo \"$i $(seq -s ' ' 60)\"; done; echo the end; sleep 1000"
    with running(engine, "sh", "-c", script):
        async with screen(roots, SMALL) as shown:
            await shown.waits_for("● ")
            await shown.press("L")
            await shown.waits_for("the end")
            for state in ("cut: w wraps", "wrapped", "cut: w wraps"):
                await shown.press("w")
                await shown.until(lambda state=state: f"following · {state}" in shown.text and "the end" in shown.text)
            await shown.press("k")
            await shown.waits_for("paused: f follows")
            await shown.press("G")
            await shown.waits_for("following")
