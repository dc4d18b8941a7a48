"""Numbers in words: sizes, times, shares; and texts cut to a width in cells."""

from __future__ import annotations

import time

from rich.cells import cell_len, set_cell_size

_VISIBLE = {code: 0x2400 + code for code in range(0x20)} | {0x7F: 0x2421} | dict.fromkeys(range(0x80, 0xA0), 0xFFFD)
_VISIBLE |= dict.fromkeys((0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)), 0xFFFD)
"""Control characters to pictures of them (Unicode, Control Pictures), and what turns the direction of writing."""


def visible(text: str) -> str:
    """Without control characters: names of files and commands are a stranger's, and the terminal would obey them."""
    return text if text.isascii() and text.isprintable() else text.translate(_VISIBLE)


def fit(text: str, width: int) -> str:
    """`text` in exactly `width` cells: padded, or cut with an ellipsis."""
    if width <= 0:
        return ""
    text = visible(text)
    length = cell_len(text)
    if length <= width:
        return text + " " * (width - length)
    return set_cell_size(text, width - 1) + "…"


def fit_path(path: str, width: int) -> str:
    """As `fit`, but what is cut away is the beginning: of a path, the end tells most."""
    path = visible(path)
    if (length := cell_len(path)) <= width or width < 2:
        return fit(path, width)
    kept = path
    while length > width - 1:
        length -= cell_len(kept[0])
        kept = kept[1:]
    return fit("…" + kept, width)


def brief(text: str, cells: int) -> str:
    """One line of at most `cells` cells: line breaks become ↵, and a long text is cut with an ellipsis."""
    line = visible(" ↵ ".join(filter(None, map(str.strip, text.splitlines()))))
    return line if cell_len(line) <= cells else fit(line, cells).rstrip(" ")


def right(text: str, width: int) -> str:
    """`text` at the right edge of `width` cells."""
    return " " * max(0, width - cell_len(text)) + text if cell_len(text) <= width else fit(text, width)


def size(count: float) -> str:
    """Bytes as docker writes them: 1000 to the step, three digits."""
    import humanize

    return humanize.naturalsize(count, format="%.3g").replace("Bytes", "B").replace("Byte", "B")


def binary_size(count: float) -> str:
    """Bytes of memory: 1024 to the step."""
    import humanize

    return humanize.naturalsize(count, binary=True, format="%.3g").replace("Bytes", "B").replace("Byte", "B")


def span(seconds: float) -> str:
    """A time in two words at most, for a narrow column: 5 s, 12 min, 3 h, 4 d."""
    for limit, unit, word in ((60, 1, "s"), (3600, 60, "min"), (86400, 3600, "h"), (365 * 86400, 86400, "d")):
        if seconds < limit:
            return f"{max(0, int(seconds // unit))} {word}"
    return f"{int(seconds // (365 * 86400))} y"


def since(nanoseconds: int) -> str:
    """How long ago, short.  nanoseconds: since the epoch; 0 is never."""
    return span(time.time() - nanoseconds / 1e9) if nanoseconds else "–"


def ago(nanoseconds: int) -> str:
    """How long ago, as one says it: 3 minutes ago."""
    if not nanoseconds:
        return "never"
    import datetime

    import humanize

    return humanize.naturaltime(datetime.timedelta(seconds=max(0.0, time.time() - nanoseconds / 1e9)))


def clock(nanoseconds: int) -> str:
    """The local time to the second: 2026-11-23 21:04:59."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(nanoseconds / 1e9)) if nanoseconds else "–"


def plural(count: int, word: str) -> str:
    """1 layer, 2 layers; none of them is `no layers`."""
    return f"{count or 'no'} {word}{'' if count == 1 else 's'}"


def shell_line(words: list[str] | tuple[str, ...]) -> str:
    """Words as one would type them to a shell."""
    from shlex import join

    return join(words)
