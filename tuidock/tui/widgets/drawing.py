"""Figures made of characters: charts, bars, boxes, facts.  Each gives lines of an exact width."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content

from tuidock.tui.words import fit

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def chart(values: Sequence[float], width: int, height: int, ceiling: float, role: str) -> list[Content]:
    """The last `width` values as columns, the newest at the right; a column that reaches the top has the value `ceiling`.

    A value above nothing is always seen, be it by an eighth.
    """
    shown = list(values)[-width:]
    columns = [0] * (width - len(shown))
    for value in shown:
        eighths = round(8 * height * min(1.0, value / ceiling)) if ceiling > 0 else 0
        columns.append(max(eighths, 1) if value > 0 else 0)
    return [
        Content.styled("".join(_EIGHTHS[max(0, min(8, column - 8 * row))] for column in columns), role)
        for row in reversed(range(height))
    ]


def bar(share: float, width: int, role: str) -> Content:
    """`share` (0 to 1) of a line."""
    full = round(width * max(0.0, min(1.0, share)))
    return Content.assemble(("━" * full, role), ("─" * (width - full), "$edge"))


def titled(title: Content | str, width: int, role: str = "$heading") -> Content:
    """A heading, and a line to the right edge."""
    head = title if isinstance(title, Content) else Content.styled(title, f"bold {role}")
    return Content.assemble(head, " ", ("─" * max(0, width - head.cell_length - 1), "$edge"))


def facts(pairs: Iterable[tuple[str, Content | str]], width: int) -> list[Content]:
    """Name and value, the values in one column, broken where they are longer than it."""
    kept = [(name, value if isinstance(value, Content) else Content(value)) for name, value in pairs]
    column = max((len(name) for name, _ in kept), default=0) + 2
    lines = []
    for name, value in kept:
        for place, part in enumerate(value.wrap(max(8, width - column)) or [Content("")]):
            lines.append(Content.assemble((fit(name if not place else "", column), "$muted"), part))
    return lines


def beside(blocks: Sequence[Sequence[Content]], gap: int = 2) -> list[Content]:
    """Blocks of lines side by side; each block's lines are as wide as its first."""
    lines = []
    for row in range(max((len(block) for block in blocks), default=0)):
        parts: list[Content] = []
        for block in blocks:
            width = block[0].cell_length if block else 0
            part = block[row] if row < len(block) else Content("")
            parts.append(part.pad_right(max(0, width - part.cell_length)))
        lines.append(Content(" " * gap).join(parts))
    return lines


def box(lines: Iterable[Content], width: int, title: Content, note: str, role: str) -> list[Content]:
    """Lines in a frame of `width` cells with a title on its upper edge, left, and a note on the right."""
    room = width - 4
    rule = max(1, room - title.cell_length - (len(note) + 2 if note else 0) - 1)
    top = Content.assemble(("╭─ ", role), title, " ", ("─" * rule, role), (f" {note} ", "$muted") if note else "", ("╮", role))
    if top.cell_length != width:  # no room for the note
        top = Content.assemble(("╭─ ", role), title.truncate(max(1, width - 6)), " ")
        top = Content.assemble(top, ("─" * max(0, width - 1 - top.cell_length), role), ("╮", role))
    middle = []
    for line in lines:
        cut = line.truncate(room, ellipsis=True)
        middle.append(Content.assemble(("│ ", role), cut, " " * (room - cut.cell_length), (" │", role)))
    return [top, *middle, Content.styled("╰" + "─" * (width - 2) + "╯", role)]
