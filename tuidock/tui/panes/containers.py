"""The list of containers: state, name, image, for how long."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tuidock.tui import state
from tuidock.tui.messages import Subject
from tuidock.tui.widgets.listing import Listing
from tuidock.tui.words import fit, right

if TYPE_CHECKING:
    from tuidock.engine.reconcile import Container
else:
    Container = object


class Containers(Listing[Container]):
    TITLE = "1 Containers"
    KIND = "container"

    def subject(self, row: Container) -> Subject:
        return Subject("container", row.id, row.name)

    def draw(self, row: Container, width: int) -> Content:
        sign, role = state.look(row)
        last = state.short(row)
        room = width - 2 - 11
        image = 0 if room < 26 else min(28, room // 2)
        return Content.assemble(
            (f"{sign} ", role),
            (fit(row.name, room - image), "" if row.running else "$muted"),
            (fit(row.image, image - 1) + " " if image else "", "$muted"),
            (right(last, 11), role if sign == "✗" else "$muted"),
        )

    def text(self, row: Container) -> str:
        return f"{row.name} {row.id[:12]} {row.image} {row.status} {' '.join(row.command)}"

    def empty(self) -> str:
        return "none yet"

    def count(self) -> str:
        rows = self.rows or []
        return f"{sum(row.running for row in rows)} of {len(rows)} running" if rows else ""
