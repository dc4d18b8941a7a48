"""Before something is destroyed: what exactly will be lost."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Button, Static

from tuidock.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult


class Confirm(Dialog[bool]):
    """Answers True for yes."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y,d", "answer(True)", "Yes"),
        Binding("n", "answer(False)", "No"),
        Binding("left,right,tab", "other", "The other", show=False),
    ]
    CSS = """
    Confirm Horizontal { height: 1; margin-top: 1; align-horizontal: right; }
    Confirm Button { margin-left: 2; min-width: 12; height: 1; border: none; background: $panel; color: $foreground; }
    Confirm Button:focus { background: $cursor; text-style: bold; }
    Confirm .command { margin-top: 1; }
    """
    AUTO_FOCUS = "#no"

    def __init__(self, question: str, losses: Sequence[str], command: str) -> None:
        """losses: a line for each thing that goes.  command: what does the same in a shell."""
        super().__init__()
        self.question = question
        self.losses = losses
        self.command = command

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.question.replace("[", r"\[")
            yield Static(Content("\n").join(Content.assemble(("• ", "$failed"), loss) for loss in self.losses))
            yield Static(Content(f"$ {self.command}"), classes="command")
            with Horizontal():
                yield Button("n  No", id="no")
                yield Button("y  Yes", id="yes")

    def on_button_pressed(self, pressed: Button.Pressed) -> None:
        self.dismiss(pressed.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)

    def action_other(self) -> None:
        self.focus_next()
