"""The layers of an image, the newest on top, each with the instruction that made it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.tui.panes.layers import image_layers
from tuidock.tui.panes.pane import Pane

if TYPE_CHECKING:
    from textual.content import Content

    from tuidock.engine import Engine
    from tuidock.image.views import HistoryRow
    from tuidock.tui.messages import Subject


class History(Pane):
    def read(self, engine: Engine, subject: Subject) -> list[HistoryRow]:
        return engine.images.history(subject.key)

    def draw(self, value: list[HistoryRow], width: int) -> list[Content]:
        from tuidock.engine.views import Layer

        layers = tuple(Layer("", row.created_by, row.size, row.empty) for row in reversed(value))
        name = self.subject.name if self.subject else ""
        return image_layers(layers, width, name)
