"""A choice of yes and no in one line: ☑ or ☐, not a colour."""

from __future__ import annotations

from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget

from tuidock.tui.keys import TICK, bindings


class Tick(Widget, can_focus=True):
    BINDINGS = bindings(TICK)

    DEFAULT_CSS = """
    Tick { width: auto; height: 1; margin-right: 2; padding: 0 1; }
    Tick:focus { background: $cursor; text-style: bold; }
    """

    value: reactive[bool] = reactive(False)

    class Changed(Message):
        """It was turned over."""

    def __init__(self, words: str, *, value: bool, id: str) -> None:
        super().__init__(id=id)
        self.words = words
        self.set_reactive(Tick.value, value)

    def render(self) -> Content:
        return Content.assemble(("☑" if self.value else "☐", "$accent"), f" {self.words}")

    def action_turn(self) -> None:
        self.value = not self.value
        self.post_message(self.Changed())

    def on_click(self) -> None:
        self.focus()
        self.action_turn()
