"""The list of images: name, who uses it, size."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tuidock.tui.messages import Subject
from tuidock.tui.widgets.listing import Listing
from tuidock.tui.words import fit, plural, right, since, size

if TYPE_CHECKING:
    from tuidock.image.views import ImageSummary
else:
    ImageSummary = object


def name_of(row: ImageSummary) -> str:
    """`busybox:latest`, or the short id of an image without a name."""
    return row.id.removeprefix("sha256:")[:12] if row.dangling else f"{row.repository}:{row.tag}"


class Images(Listing[ImageSummary]):
    TITLE = "2 Images"
    KIND = "image"

    def subject(self, row: ImageSummary) -> Subject:
        return Subject("image", row.id if row.dangling else name_of(row), name_of(row))

    def draw(self, row: ImageSummary, width: int) -> Content:
        room = width - 2 - 9
        age = 9 if room >= 30 else 0
        return Content.assemble(
            ("▪ " if row.containers else "▫ ", "$image" if row.containers else "$muted"),
            (fit(name_of(row), room - age), "$muted" if row.dangling else ""),
            (right(since(row.created_at), age), "$muted"),
            (right(size(row.size), 9), "$muted"),
        )

    def text(self, row: ImageSummary) -> str:
        return f"{name_of(row)} {row.id.removeprefix('sha256:')[:12]}"

    def empty(self) -> str:
        return "none yet"

    def count(self) -> str:
        return plural(len({row.id for row in self.rows or ()}), "image") if self.rows else ""
