"""The list of volumes: name, and who mounts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tuidock.tui.messages import Subject
from tuidock.tui.widgets.listing import Listing
from tuidock.tui.words import fit, plural

if TYPE_CHECKING:
    from tuidock.engine.volumes import Volume
else:
    Volume = object


def name_of(row: Volume) -> str:
    """Its name; of an anonymous one the first twelve digits."""
    return row.name[:12] if row.anonymous else row.name


class Volumes(Listing[Volume]):
    TITLE = "3 Volumes"
    KIND = "volume"

    def subject(self, row: Volume) -> Subject:
        return Subject("volume", row.name, name_of(row))

    def draw(self, row: Volume, width: int) -> Content:
        users = ", ".join(row.containers)
        room = width - 2
        used = min(len(users) + 2, room // 2) if users else 0
        return Content.assemble(
            ("◆ " if users else "◇ ", "$volume" if users else "$muted"),
            (fit(name_of(row), room - used), "$muted" if row.anonymous else ""),
            (fit("← " + users, used) if users else "", "$muted"),
        )

    def text(self, row: Volume) -> str:
        return f"{row.name} {' '.join(row.containers)}"

    def empty(self) -> str:
        return "none yet"

    def count(self) -> str:
        return plural(len(self.rows), "volume") if self.rows else ""
