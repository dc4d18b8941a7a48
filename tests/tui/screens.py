"""The application on an engine of a test, driven by keys."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.content import Content
from textual.pilot import Pilot
from textual.widget import Widget

from tuidock.storage.paths import Roots
from tuidock.tui.app import Tuidock
from tuidock.tui.screens.main import Main
from tuidock.tui.widgets.listing import AnyListing

WIDE = (160, 48)
SMALL = (80, 24)


class Shown:
    """What a person sees, and the keys that they press."""

    def __init__(self, app: Tuidock, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.pilot.pause()

    async def type(self, text: str) -> None:
        await self.press(*("space" if letter == " " else letter for letter in text))

    async def until(self, holds: Callable[[], object], seconds: float = 10) -> None:
        """Go on until it holds.  Fails with the screen."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                pytest.fail(f"not within {seconds} s; on the screen is\n{self.text}")
            await self.pilot.pause()
            await asyncio.sleep(0.02)

    async def waits_for(self, text: str, seconds: float = 10) -> str:
        """The screen once it shows this."""
        await self.until(lambda: text in self.text, seconds)
        return self.text

    @property
    def main(self) -> Main:
        return next(screen for screen in self.app.screen_stack if isinstance(screen, Main))

    def listing(self, name: str) -> AnyListing:
        return self.main.listing(name)

    @property
    def text(self) -> str:
        """The whole screen as text."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips(self.app.size)
        return "\n".join(strip.crop(0, width).text.rstrip() for strip in lines[:height])

    @property
    def footer(self) -> str:
        return self.text.splitlines()[-1]


@asynccontextmanager
async def screen(roots: Roots, size: tuple[int, int] = WIDE, *, reads: bool = True) -> AsyncIterator[Shown]:
    """The application, from its first frame until the test is done with it.  reads: wait until the lists are there."""
    app = Tuidock(roots)
    async with app.run_test(size=size, notifications=True) as pilot:
        shown = Shown(app, pilot)
        await shown.until(lambda: any(isinstance(entry, Main) for entry in app.screen_stack))
        if reads:
            await shown.until(lambda: all(shown.listing(name).rows is not None for name in ("containers", "images", "volumes")))
        yield shown


def plain(lines: list[Content]) -> str:
    """Lines as text."""
    return "\n".join(line.plain for line in lines)


def focused_in(shown: Shown, kind: type[Widget]) -> bool:
    """Whether the focus is in a widget of that kind."""
    focused = shown.app.screen.focused
    return focused is not None and any(isinstance(node, kind) for node in focused.ancestors_with_self)
