"""Tabs in one line.  Textual's own take two or three, which a terminal of 24 has not."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

if TYPE_CHECKING:
    from textual import events


class TabLine(Widget):
    """Names side by side; the current one stands out by colour, weight and a bar."""

    DEFAULT_CSS = """
    TabLine { height: 1; width: 1fr; background: $background; }
    """

    names: reactive[tuple[str, ...]] = reactive(())
    current: reactive[str] = reactive("")

    class Picked(Message):
        def __init__(self, name: str) -> None:
            super().__init__()
            self.name = name

    def render(self) -> Content:
        return Content.assemble(
            *(
                (f"▎{name} ", "bold $focus on $panel") if name == self.current else (f" {name} ", "$muted")
                for name in self._labels()
            )
        )

    def _labels(self) -> list[str]:
        """Where the names do not fit, those that are not current are cut alike; a click counts on this too."""
        names = list(self.names)
        longest = max(map(len, names), default=0)
        while longest > 3 and sum(len(name) + 2 for name in names) > self.size.width:
            longest -= 1
            names = [name if name == self.current else name[:longest] for name in self.names]
        return names

    def on_click(self, event: events.Click) -> None:
        place = event.x
        for name, label in zip(self.names, self._labels(), strict=True):
            place -= len(label) + 2
            if place < 0:
                self.post_message(self.Picked(name))
                return
