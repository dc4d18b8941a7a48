"""A list whose rows have names: the cursor stays on the row, not on the place.

Textual's DataTable draws columns of fixed width; in the narrow column of lists they must share what room there is, so this
one draws whole lines.  Rows are compared by key: a new reading of the engine changes what differs, and neither cursor nor
scroll nor filter.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from textual.content import Content
from textual.geometry import Region, Size
from textual.strip import Strip

from tuidock.tui.keys import LIST, OPENING_LIST, bindings
from tuidock.tui.messages import Chosen, Entered, Subject
from tuidock.tui.widgets.lines import Lines, strip_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from textual import events

Row = TypeVar("Row")


class Listing(Lines, Generic[Row], inherit_bindings=False):
    BINDINGS = bindings(LIST, OPENING_LIST)
    COMPONENT_CLASSES: ClassVar[set[str]] = {"listing--cursor", "listing--cursor-blurred"}

    DEFAULT_CSS = """
    Listing {
        border: round $edge;
        border-title-color: $muted;
        border-subtitle-color: $muted;
        padding: 0 0 0 1;
        overflow-x: hidden;
        & > .listing--cursor { background: $cursor; text-style: bold; }
        & > .listing--cursor-blurred { background: $panel; }
        &:focus { border: round $focus; border-title-color: $focus; border-title-style: bold; }
    }
    """

    TITLE: ClassVar[str]
    """Its name on the screen."""
    KIND: ClassVar[str]
    """The kind of subject that its rows are."""

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.rows: list[Row] | None = None
        """Everything, in the engine's order; None until the engine has answered."""
        self._shown: list[Row] = []
        self._key: str | None = None
        self._place = 0
        self._unread = False
        self.border_title = self.TITLE

    # what a list of one kind gives

    def subject(self, row: Row) -> Subject:
        raise NotImplementedError

    def draw(self, row: Row, width: int) -> Content:
        """The row as one line of `width` cells."""
        raise NotImplementedError

    def text(self, row: Row) -> str:
        """What the filter looks at."""
        raise NotImplementedError

    def empty(self) -> str:
        """One line to show in place of rows."""
        return "none"

    def count(self) -> str:
        """What stands at the lower edge."""
        return str(len(self.rows or ()))

    # rows in

    def fill(self, rows: Sequence[Row]) -> None:
        """A new reading.  The cursor stays on its row; if that has gone, on the place where it was."""
        self._unread = False
        if self.rows == rows:
            self.redraw()
            return
        self.rows = list(rows)
        self._sift()

    def unread(self) -> None:
        """The engine could not be asked.  What is known stays."""
        self._unread = True
        self.redraw()

    def seek(self, text: str) -> None:
        """Show only the rows that have every word of `text`, letters of either case."""
        self.sought = text.lower()
        self._sift()

    def _sift(self) -> None:
        words = self.sought.split()
        shown = [row for row in self.rows or () if all(word in self.text(row).lower() for word in words)]
        keys = [self.subject(row).key for row in shown]
        self._shown = shown
        if self._key in keys:
            self._place = keys.index(self._key)
        else:
            self._place = max(0, min(self._place, len(shown) - 1))
        filtered = f"/{self.sought} · {len(shown)} of {len(self.rows or ())}".replace("[", r"\[")
        self.border_subtitle = filtered if self.sought else self.count()
        self.redraw()
        self._choose(self._place)

    # the cursor

    @property
    def current(self) -> Row | None:
        return self._shown[self._place] if self._shown else None

    @property
    def current_subject(self) -> Subject | None:
        return None if self.current is None else self.subject(self.current)

    @property
    def hides_all(self) -> bool:
        """Are there rows, and does the filter show none?"""
        return bool(self.rows and not self._shown)

    def find(self, key: str) -> Row | None:
        """The row of that key, shown or filtered away."""
        return next((row for row in self.rows or () if self.subject(row).key == key), None)

    def go_to(self, wanted: Callable[[Row], bool]) -> bool:
        """Move the cursor to the first row that is `wanted`; False if none is."""
        for place, row in enumerate(self._shown):
            if wanted(row):
                self._choose(place)
                return True
        return False

    def go_to_key(self, key: str) -> bool:
        """Move the cursor to the row of that key; False if it is not shown."""
        return self.go_to(lambda row: self.subject(row).key == key)

    def _choose(self, place: int) -> None:
        before = self._key
        if self._shown:
            self._place = max(0, min(place, len(self._shown) - 1))
            self._key = self.subject(self._shown[self._place]).key
            self.scroll_to_region(Region(0, self._place, 1, 1), animate=False, x_axis=False)
        else:
            self._place, self._key = 0, None
        self._strips.clear()
        self.refresh()
        if self._key != before or self.has_focus:
            self.post_message(Chosen(self.current_subject))

    def action_cursor(self, step: int) -> None:
        self._choose(self._place + step)

    def action_page(self, step: int) -> None:
        self._choose(self._place + step * max(1, self.size.height - 1))

    def action_first(self) -> None:
        self._choose(0)

    def action_last(self) -> None:
        self._choose(len(self._shown) - 1)

    def action_open(self) -> None:
        if subject := self.current_subject:
            self.post_message(Entered(subject))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self._shown) if action == "open" else True

    def on_click(self, event: events.Click) -> None:
        offset = event.get_content_offset(self)
        if offset is None:
            return
        place = self.scroll_offset.y + offset.y
        if place < len(self._shown):
            again = place == self._place and event.chain > 1
            self._choose(place)
            if again:
                self.action_open()

    def on_focus(self) -> None:
        self._strips.clear()
        self.post_message(Chosen(self.current_subject))

    def on_blur(self) -> None:
        self._strips.clear()

    # drawing

    def total(self) -> int:
        return len(self._shown)

    def redraw(self) -> None:
        self._strips.clear()
        self.virtual_size = Size(0, len(self._shown))
        self.refresh()

    def tick(self) -> None:
        """Times have gone on: draw again if a row on the screen reads otherwise than it did."""
        top, width = self.scroll_offset.y, self.scrollable_content_region.width
        for number in range(top, min(top + self.size.height, len(self._shown))):
            strip = self._strips.get(number)
            if strip is not None and strip.text.rstrip() != self.draw(self._shown[number], width).plain.rstrip():
                self._strips.clear()
                self.refresh()
                return

    def render_line(self, y: int) -> Strip:
        number, width, base = self.scroll_offset.y + y, self.scrollable_content_region.width, self.visual_style
        if number < len(self._shown):
            if (strip := self._strips.get(number)) is None:
                if number == self._place and (self.has_focus or self.has_class("-current")):
                    name = "listing--cursor" if self.has_focus else "listing--cursor-blurred"
                    base = self.get_visual_style(name)
                content = self.draw(self._shown[number], width)
                strip = self._strips[number] = strip_of(content, base).crop_extend(0, width, base.rich_style)
            return strip
        if number == 0:
            waiting = "could not be read" if self._unread else "reading …"
            words = waiting if self.rows is None else f"nothing has “{self.sought}”" if self.sought else self.empty()
            return strip_of(Content.styled(words, "$muted"), base).crop_extend(0, width, base.rich_style)
        return Strip.blank(width, base.rich_style)


AnyListing = Listing[Any]
