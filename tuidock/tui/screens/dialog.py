"""What lies over the screen and asks for something: one look for all of them."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.binding import Binding, BindingType
from textual.screen import ModalScreen

Answered = TypeVar("Answered")


class Dialog(ModalScreen[Answered]):
    """Escape closes it with no answer (None)."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("escape", "dismiss", "Back")]

    DEFAULT_CSS = """
    Dialog {
        align: center middle;
        background: $background 60%;
        & > Vertical, & > VerticalScroll {
            width: 76;
            max-width: 94%;
            height: auto;
            max-height: 94%;
            background: $surface;
            border: round $focus;
            border-title-color: $focus;
            border-title-style: bold;
            border-subtitle-color: $muted;
            padding: 1 2;
        }
        & Input { border: none; height: 1; padding: 0 1; background: $panel; }
        & Input:focus { border: none; background: $cursor; }
        & .command { color: $accent; height: auto; }
        & .muted { color: $muted; height: auto; }
    }
    """
