"""One line of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input, Static

from tuidock.tui.screens.dialog import Dialog

if TYPE_CHECKING:
    from textual.app import ComposeResult


class Ask(Dialog[str]):
    """Answers the line, or None."""

    CSS = """
    Ask .command { margin-top: 1; }
    """

    def __init__(self, question: str, example: str, command: str) -> None:
        """example: shown while nothing is typed.  command: what does the same in a shell, as far as the line."""
        super().__init__()
        self.question = question
        self.example = example
        self.command = command

    def compose(self) -> ComposeResult:
        with Vertical() as box:
            box.border_title = self.question.replace("[", r"\[")
            box.border_subtitle = "enter does it · esc goes back"
            yield Input(placeholder=self.example)
            yield Static(Content(f"$ {self.command} …"), classes="command", id="command")

    def on_input_changed(self, changed: Input.Changed) -> None:
        self.query_one("#command", Static).update(Content(f"$ {self.command} {changed.value or '…'}"))

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        self.dismiss(submitted.value.strip())
