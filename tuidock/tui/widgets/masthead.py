"""The first line of a tall terminal: whose root this is, on which kernel."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from textual.content import Content
from textual.widget import Widget

from tuidock.tui.words import right

if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


class Masthead(Widget):
    DEFAULT_CSS = """
    Masthead { height: 1; padding: 0 2; background: $background; }
    """

    def __init__(self, roots: Roots) -> None:
        super().__init__()
        self.roots = roots

    def render(self) -> Content:
        system = os.uname()
        left = "▟█▙ tuidock"
        place = f"{system.nodename} · linux {system.release} · {self.roots.data}"
        return Content.assemble((left, "bold $accent"), (right(place, max(0, self.size.width - len(left))), "$muted"))
