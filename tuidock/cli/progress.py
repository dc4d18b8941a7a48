"""How far long work is: bars that are redrawn on a terminal, a line per step in a pipe.  On stderr: stdout is for results."""

from __future__ import annotations

import os
import sys
import time

from tuidock.cli.output import human_size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.image.intake import Progress

BAR = 30
INTERVAL = 0.1
"""Seconds between two drawings; more often nobody sees."""


class Meter:
    """A context manager; `tell` is what the engine calls."""

    def __init__(self, *, quiet: bool = False) -> None:
        self.quiet = quiet
        self.terminal = os.isatty(2) and os.environ.get("TERM") != "dumb"
        self.steps: dict[str, Progress] = {}
        self.drawn = 0
        """lines on the terminal that are ours"""
        self.last = 0.0

    def __enter__(self) -> Meter:
        return self

    def __exit__(self, *_: object) -> None:
        if self.terminal and not self.quiet and self.steps:
            self.draw()

    def tell(self, progress: Progress) -> None:
        if self.quiet:
            return
        known = self.steps.get(progress.what)
        self.steps[progress.what] = progress
        if self.terminal:
            if time.monotonic() - self.last >= INTERVAL:
                self.draw()
        elif known is None:
            print(progress.what, file=sys.stderr, flush=True)

    def draw(self) -> None:
        """All steps that fit on the screen, the newest last."""
        self.last = time.monotonic()
        columns, rows = os.get_terminal_size(2)
        shown = list(self.steps.values())[-max(rows - 1, 1) :]
        lines = [line(step, columns) for step in shown]
        up = f"\x1b[{self.drawn}A" if self.drawn else ""
        sys.stderr.write("\r" + up + "".join(f"\x1b[2K{text}\n" for text in lines))
        sys.stderr.flush()
        self.drawn = len(lines)


def line(step: Progress, columns: int) -> str:
    """`layer 3f4b2a10c5d6 unpacking  [=====>    ]  1.2MB/4.5MB`, no wider than the terminal."""
    if not step.total:
        amount = human_size(step.done, 3) if step.done else ""
        return f"{step.what}  {amount}"[: columns - 1]
    share = min(step.done / step.total, 1.0)
    filled = int(share * BAR)
    bar = "=" * filled + (">" if filled < BAR else "")
    amount = f"{human_size(step.done, 3)}/{human_size(step.total, 3)}"
    return f"{step.what}  [{bar:<{BAR}}]  {amount}"[: columns - 1]
