"""What a container writes, followed.

A thread reads the engine's lines into a queue and posts one message for as many as have come; the pane keeps the last
100,000 as bytes and decodes only those on the screen.  A container may write what it likes: of its control sequences only
colours are kept.
"""

from __future__ import annotations

import os
import re
from collections import deque
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content
from textual.message import Message

from tuidock.tui.keys import FINDING, LINES, LOG, bindings
from tuidock.tui.opened import engine_of
from tuidock.tui.panes.pane import Pane, trouble

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.runtime.log import LogLine
    from tuidock.tui.messages import Subject

KEPT = 100_000
SPARE = 10_000
"""How many more may gather before the oldest are cut off, all at once."""

_CONTROL = re.compile(
    r"\x1b\][^\x07\x1b]*(?:\x07|\x1b\\|$)"  # OSC: titles, links, the clipboard
    r"|\x1b[PX^_].*?(?:\x1b\\|$)"  # DCS, SOS, PM, APC
    r"|(?:\x1b\[(?![0-9;:]*m)|\x9b)[0-?]*[ -/]*[@-~]?"  # CSI, but for colours (SGR)
    r"|\x1b(?!\[)[ -/]*[0-~]?"
    r"|[\x00-\x08\x0a-\x1a\x1c-\x1f\x7f-\x9f]"  # C0 and C1, but for tab and the escape of a colour
)  # ECMA-48, 5.4 and 5.6


class Logs(Pane):
    BINDINGS = bindings(LOG, LINES, FINDING)

    class Arrived(Message):
        """There are lines in the queue of this follower."""

        def __init__(self, follower: Follower) -> None:
            super().__init__()
            self.follower = follower

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.following = True
        self.wrapping = True
        self._kept: list[LogLine] = []
        self._rows: list[tuple[int, int]] = []
        """For each row on the screen, where lines are broken: (line, part)."""
        self._widest = 0
        self._follower: Follower | None = None
        self._running = False

    # being looked at

    def look(self, subject: Subject, row: object) -> None:
        running = bool(getattr(row, "running", False))
        same = self.subject is not None and subject.key == self.subject.key and self._follower is not None
        self.subject, self.row = subject, row
        if same and (self._running or not running):
            self._running = running
            self._say_state()
            return
        self._running = running
        self._begin(subject)

    def leave(self) -> None:
        self.subject = None
        if self._follower is not None:
            self._follower.end()
            self._follower = None

    def on_unmount(self) -> None:
        self.leave()

    def _begin(self, subject: Subject) -> None:
        """From the beginning of what is kept: another container, or this one has started again."""
        if self._follower is not None:
            self._follower.end()
        self._kept, self._rows, self._widest = [], [], 0
        self.value = None
        self.following = True
        self.redraw()
        self._follower = Follower(self, engine_of(self), subject.key)
        self.run_worker(self._follower.run, thread=True, group="follow", exit_on_error=False)
        self._say_state()

    def on_logs_arrived(self, arrived: Arrived) -> None:
        if arrived.follower is not self._follower:
            return
        lines, error = arrived.follower.take()
        if error is not None:
            self.value = error
        width = max(1, self.scrollable_content_region.width)
        for line in lines:
            self._kept.append(line)
            self._measure(len(self._kept) - 1, width)
        if len(self._kept) > KEPT + SPARE:
            self._cut(len(self._kept) - KEPT)
        self._grown()

    def _cut(self, count: int) -> None:
        """Forget the oldest; what is on the screen stays where it is."""
        before = self.total()
        del self._kept[:count]
        self._measure_all()
        if not self.following:
            self.scroll_to(y=max(0, self.scroll_offset.y - (before - self.total())), animate=False)

    def _grown(self) -> None:
        self.redraw()
        if self.following:
            self.scroll_end(animate=False, immediate=True, force=True)  # there may be no scrollbar yet

    # rows

    def _measure_all(self) -> None:
        self._rows, self._widest = [], 0
        width = max(1, self.scrollable_content_region.width)
        for number in range(len(self._kept)):
            self._measure(number, width)

    def _measure(self, number: int, width: int) -> None:
        text = self._kept[number].text
        # bytes are at least cells, so a short line needs no decoding
        length = len(text) if len(text) <= width else cell_len(plain(text))
        self._widest = max(self._widest, length)
        parts = -(-length // width) if self.wrapping and length > width else 1
        self._rows.extend((number, part) for part in range(parts))

    def total(self) -> int:
        if isinstance(self.value, Exception) or not self._kept:
            return 2
        return len(self._rows)

    def longest(self) -> int:
        return 0 if self.wrapping else self._widest

    def line(self, number: int) -> Content:
        if isinstance(self.value, Exception):
            return [*trouble(self.value), Content("")][number]
        if not self._kept:
            return Content.styled("" if number else self._nothing(), "$muted")
        which, part = self._rows[number]
        line = self._kept[which]
        content = coloured(line.text)
        if line.stream == "stderr":
            content = content.stylize_before("$failed")
        if self.wrapping:
            width = max(1, self.scrollable_content_region.width)
            if content.cell_length > width:
                parts = content.fold(width)
                return parts[min(part, len(parts) - 1)]
        return content

    def _nothing(self) -> str:
        return "It has written nothing yet." if self._running else "It wrote nothing."

    def on_resize(self) -> None:
        if self.wrapping:
            self._measure_all()
        self._grown()

    # keys

    def action_follow(self) -> None:
        self.following = not self.following
        self._say_state()
        self._grown()

    def action_wrap(self) -> None:
        self.wrapping = not self.wrapping
        self._measure_all()
        self.scroll_to(x=0, animate=False)
        self._grown()
        self._say_state()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Scrolling up stops following; coming to the end goes on with it."""
        super().watch_scroll_y(old_value, new_value)
        following = self.following
        if new_value >= self.max_scroll_y:
            self.following = True
        elif new_value < old_value:
            self.following = False
        if self.following != following:
            self._say_state()

    def watch_show_horizontal_scrollbar(self) -> None:
        """It takes the last row, and nobody is told by a Resize."""
        self.call_after_refresh(self._grown)

    def _say_state(self) -> None:
        """At the lower edge of the frame, where the eye is."""
        if self.parent is None or self.parent.parent is None:
            return
        live = "following" if self.following and self._running else "paused: f follows" if self._running else "ended"
        frame = self.parent.parent
        frame.border_subtitle = f"{live} · {'wrapped' if self.wrapping else 'cut: w wraps'}"  # type: ignore[attr-defined]


class Follower:
    """One reading of one log, in a thread of its own, until it is told to end."""

    def __init__(self, pane: Logs, engine: Engine, container: str) -> None:
        self.pane = pane
        self.engine = engine
        self.container = container
        self._queue: deque[LogLine] = deque()
        self._error: Exception | None = None
        self._posted = False
        self._ours, self._theirs = os.pipe()
        self._ended = False

    def run(self) -> None:
        from tuidock.engine.requests import LogRequest

        try:
            request = LogRequest(self.container, follow=True, tail=KEPT)
            for line in self.engine.containers.logs(request, self._ours):
                self._queue.append(line)
                self._post()
                if self._ended:
                    break
        except Exception as error:
            self._error = error
            self._post()
        finally:
            os.close(self._ours)

    def _post(self) -> None:
        """One message for all that has come since the last was answered."""
        if not self._posted:
            self._posted = True
            self.pane.post_message(Logs.Arrived(self))

    def take(self) -> tuple[list[LogLine], Exception | None]:
        """What has come, and the error that ended it."""
        self._posted = False
        lines = []
        while self._queue:
            lines.append(self._queue.popleft())
        return lines, self._error

    def end(self) -> None:
        if not self._ended:
            self._ended = True
            os.close(self._theirs)


def plain(text: bytes) -> str:
    """A line without any control sequence."""
    return re.sub(r"\x1b\[[0-9;:]*m", "", clean(text)).replace("\x1b", "")


def clean(text: bytes) -> str:
    """Decoded, with colours as the only control sequences; of what carriage returns overwrote, the last.

    Bytes that are no UTF-8 become U+FFFD.
    """
    line = text.decode("utf-8", "replace").rstrip("\r")
    return _CONTROL.sub("", line.rpartition("\r")[2]).expandtabs(8)


def coloured(text: bytes) -> Content:
    """A line with its own colours (SGR, ECMA-48 8.3.117)."""
    line = clean(text)
    if "\x1b" not in line:
        return Content(line)
    from rich.ansi import AnsiDecoder

    return Content.from_rich_text(AnsiDecoder().decode_line(line))
