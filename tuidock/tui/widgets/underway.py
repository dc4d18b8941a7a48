"""What is being done at the moment: a line for each, with a bar where its end is known.  No line, no height, no timer."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content
from textual.widget import Widget

from tuidock.tui.words import fit

if TYPE_CHECKING:
    from textual.timer import Timer

_TURNING = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_BAR = 24


class _Task(NamedTuple):
    words: str
    done: int
    total: int


class Underway(Widget):
    DEFAULT_CSS = """
    Underway { height: auto; max-height: 3; padding: 0 1; background: $background; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._tasks: dict[int, _Task] = {}
        self._timer: Timer | None = None
        self._turn = 0

    def tell(self, task: int, words: str, done: int, total: int) -> None:
        grown = task not in self._tasks
        self._tasks[task] = _Task(words, done, total)
        if self._timer is None:
            self._timer = self.set_interval(0.1, self._tick)
        self.refresh(layout=grown)

    def end(self, task: int) -> None:
        self._tasks.pop(task, None)
        if not self._tasks and self._timer is not None:
            self._timer.stop()
            self._timer = None
        self.refresh(layout=True)

    def _tick(self) -> None:
        self._turn += 1
        self.refresh()

    def get_content_height(self, container: object, viewport: object, width: int) -> int:
        return len(self._tasks)

    def render(self) -> Content:
        sign = _TURNING[self._turn % len(_TURNING)]
        lines = []
        for words, done, total in list(self._tasks.values())[-3:]:
            bar = Content("")
            if total:
                full = min(_BAR, _BAR * done // total)
                bar = Content.assemble(
                    ("━" * full, "$accent"), ("━" * (_BAR - full), "$faint"), (f" {100 * done // total:3d} % ", "$muted")
                )
            room = max(1, self.size.width - 2 - bar.cell_length)
            lines.append(Content.assemble((f"{sign} ", "$accent"), bar, fit(words, room)))
        return Content("\n").join(lines)
