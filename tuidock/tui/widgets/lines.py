"""Any number of lines, of which only those on the screen are drawn."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.segment import Segment
from textual.cache import LRUCache
from textual.geometry import Region, Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tuidock.tui.keys import FINDING, LINES, bindings
from tuidock.tui.words import visible

if TYPE_CHECKING:
    from textual.content import Content


def strip_of(content: Content, base: Style) -> Strip:
    """One line of content as the compositor wants it, the theme's variables (`$running`) resolved, nothing in it to obey."""
    return Strip([Segment(visible(text), style.rich_style) for text, style in content.render(base, "", parse_style=_parse)])


def _parse(style: str | Style) -> Style:
    return style if isinstance(style, Style) else Style.parse(style)


class Lines(ScrollView, can_focus=True):
    """The base of every pane that is a text: a subclass says how many lines there are and gives one at a time."""

    BINDINGS = bindings(LINES, FINDING)

    DEFAULT_CSS = """
    Lines {
        background: $background;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        scrollbar-size-horizontal: 1;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._strips: LRUCache[int, Strip] = LRUCache(512)
        self.sought = ""
        self._found = -1

    # what a subclass gives

    def total(self) -> int:
        """How many lines there are."""
        raise NotImplementedError

    def line(self, number: int) -> Content:
        """Line `number`, from 0."""
        raise NotImplementedError

    def longest(self) -> int:
        """Cells of the longest line; 0 where lines are cut at the edge."""
        return 0

    # drawing

    def redraw(self) -> None:
        """Lines were added or changed."""
        self._strips.clear()
        self.virtual_size = Size(max(self.longest(), 0), self.total())
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._strips.clear()

    def on_resize(self) -> None:
        self.redraw()

    def render_line(self, y: int) -> Strip:
        scroll_x, scroll_y = self.scroll_offset
        number, width, base = scroll_y + y, self.scrollable_content_region.width, self.visual_style
        if number >= self.total():
            return Strip.blank(width, base.rich_style)
        if (strip := self._strips.get(number)) is None:
            content = self.line(number)
            if self.sought:
                content = _mark(content, self.sought)
            strip = self._strips[number] = strip_of(content, base)
        return strip.crop_extend(scroll_x, scroll_x + width, base.rich_style).apply_offsets(scroll_x, number)

    # finding

    def seek(self, text: str) -> None:
        """Mark `text` (letters of either case) and go to the first line from here that has it."""
        self.sought = text.lower()
        self._found = self.scroll_offset.y - 1
        self._strips.clear()
        self.refresh()
        if text:
            self.action_find_next(1)
        self.refresh_bindings()

    def action_find_next(self, step: int) -> None:
        total = self.total()
        for distance in range(1, total + 1):
            number = (self._found + step * distance) % total
            if self.sought in self.line(number).plain.lower():
                self._found = number
                if not self.scroll_offset.y <= number < self.scroll_offset.y + self.size.height:
                    self.scroll_to(y=max(0, number - self.size.height // 3), animate=False)
                self.scroll_to_region(Region(0, number, 1, 1), animate=False, x_axis=False)
                return
        self.app.bell()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return bool(self.sought) if action == "find_next" else True


def _mark(content: Content, sought: str) -> Content:
    text, place = content.plain.lower(), 0
    while (place := text.find(sought, place)) >= 0:
        content = content.stylize("on $match", place, place + len(sought))
        place += len(sought)
    return content
