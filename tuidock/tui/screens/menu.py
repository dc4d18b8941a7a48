"""What can be chosen, a line each, with the key that chooses it at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from tuidock.tui.keys import BY_ACTION
from tuidock.tui.screens.dialog import Dialog
from tuidock.tui.words import fit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult

_WRITTEN = {key.key.split(",")[0]: key.display for key in BY_ACTION.values() if key.display} | {"slash": "/"}


class Menu(Dialog[str]):
    """Answers the key of the line."""

    CSS = """
    Menu OptionList { height: auto; max-height: 30; background: $surface; border: none; padding: 0; }
    """

    def __init__(self, title: str, rows: Sequence[tuple[str, str, str]]) -> None:
        """rows: (key as Textual names it, a word, what it means)."""
        super().__init__()
        self.menu_title = title
        self.rows = rows

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.menu_title.replace("[", r"\[")
            box.border_subtitle = "a key or enter chooses · esc goes back"
            room = min(70, self.app.size.width * 94 // 100 - 6)
            widest = max((len(word) for _, word, _ in self.rows), default=0)
            yield OptionList(
                *(
                    Option(
                        Content.assemble(
                            (fit(_WRITTEN.get(key, key), 3), "bold $accent"),
                            fit(word, widest + 2),
                            (fit(meaning, max(8, room - widest - 5)), "$muted"),
                        ),
                        id=key,
                    )
                    for key, word, meaning in self.rows
                )
            )

    def on_option_list_option_selected(self, selected: OptionList.OptionSelected) -> None:
        self.dismiss(selected.option_id)

    def on_key(self, event: events.Key) -> None:
        if any(event.key == key for key, _, _ in self.rows) and event.key != "enter":
            event.stop()
            self.dismiss(event.key)
