"""The keys, from the table that binds them; those that work at this moment stand out."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from tuidock.tui.keys import TABLE
from tuidock.tui.screens.dialog import Dialog
from tuidock.tui.words import fit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from textual.app import ComposeResult


class Help(Dialog[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("question_mark,q", "dismiss", "Back"),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(self, working: Mapping[str, bool]) -> None:
        """working: actions that can be done where the help was asked for."""
        super().__init__()
        self.working = working

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "Keys"
            box.border_subtitle = "bright: works here and now · esc goes back"
            yield Static(Content("\n").join(self._lines()))

    def _lines(self) -> list[Content]:
        lines = []
        room = max(12, min(70, self.app.size.width * 94 // 100 - 6) - 14)
        for title, keys in TABLE.items():
            lines.append(Content.styled(title, "bold $heading"))
            for key in keys:
                works = self.working.get(key.action, False)
                written = key.display or self.app.get_key_display(Binding(key.key.split(",")[0], key.action))
                for place, part in enumerate(Content.styled(key.meaning, "" if works else "$muted").wrap(room)):
                    head = fit("" if place else written, 12)
                    lines.append(Content.assemble("  ", (head, "bold $accent" if works else "$faint"), part))
            lines.append(Content(""))
        return lines[:-1]

    def action_scroll(self, step: int) -> None:
        self.query_one(VerticalScroll).scroll_relative(y=step, animate=False)
