"""A pane shows one thing about one subject.

It is told which, reads it in a thread that touches no widget, gets the answer as a message and drops it if the subject has
changed meanwhile.  What it shows are lines; only those on the screen are drawn.  A pane that is not looked at does nothing.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from textual.content import Content
from textual.worker import get_current_worker

from tuidock.tui.messages import Answer, Subject
from tuidock.tui.opened import engine_of
from tuidock.tui.widgets.lines import Lines

if TYPE_CHECKING:
    from textual.timer import Timer

    from tuidock.engine import Engine


class Pane(Lines):
    """A subclass says what to read and how to draw it."""

    PERIOD: ClassVar[float] = 0.0
    """Seconds after which what changes by itself is read again; 0: at events only."""
    PATIENCE: ClassVar[float] = 0.15
    """Seconds for which the last subject's lines stay while the new one's are read, so that nothing flickers."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.subject: Subject | None = None
        self.row: Any = None
        """The subject's value from its list, as new as the last event."""
        self.value: Any = None
        self._lines: list[Content] = []
        self._reading = self._again = False
        self._waiting: Timer | None = None
        self._clock: Timer | None = None

    # what a pane gives

    def read(self, engine: Engine, subject: Subject) -> Any:
        """In a thread: ask the engine.  TuidockError and OSError are shown in the pane."""
        raise NotImplementedError

    def draw(self, value: Any, width: int) -> list[Content]:
        """The answer as lines of at most `width` cells."""
        raise NotImplementedError

    def forget(self) -> None:
        """Another subject comes: what was kept of the last one goes."""

    # being looked at

    def look(self, subject: Subject, row: Any) -> None:
        """Show this subject from now on; also when something happened to it."""
        if subject.key != (self.subject.key if self.subject else None):
            self.value = None
            self.forget()
            self.scroll_home(animate=False)
            if self._waiting is not None:
                self._waiting.stop()
            self._waiting = self.set_timer(self.PATIENCE, self._wipe)
        self.subject, self.row = subject, row
        if self.PERIOD and self._clock is None:
            self._clock = self.set_interval(self.PERIOD, self.ask)
        self.ask()

    def leave(self) -> None:
        """Nobody looks any more."""
        self.subject = None
        if self._clock is not None:
            self._clock.stop()
            self._clock = None

    def _wipe(self) -> None:
        if self.value is None:
            self._lines = []
            self.redraw()

    def ask(self) -> None:
        """Read once more; while an answer is on its way, once it is there."""
        if self.subject is None:
            return
        if self._reading:
            self._again = True
            return
        self._reading = True
        self.run_worker(partial(self._read, self.subject), thread=True, group="read", exit_on_error=False)

    def _read(self, subject: Subject) -> None:
        try:
            value = self.read(engine_of(self), subject)
        except Exception as error:
            value = error
        if not get_current_worker().is_cancelled:
            self.post_message(Answer(subject, value))

    def on_answer(self, answer: Answer) -> None:
        answer.stop()
        self._reading = False
        if self.subject is not None and answer.subject.key == self.subject.key:
            self.value = answer.value
            self._compose_lines()
        if self._again:
            self._again = False
            self.ask()

    # drawing

    def on_resize(self) -> None:
        self._compose_lines()

    def _compose_lines(self) -> None:
        width = self.scrollable_content_region.width
        if isinstance(self.value, Exception):
            self._lines = [part for line in trouble(self.value) for part in line.wrap(max(8, width))]
        elif self.value is not None and width > 0:
            self._lines = self.draw(self.value, width)
        self.redraw()

    def total(self) -> int:
        return len(self._lines)

    def line(self, number: int) -> Content:
        return self._lines[number]


def trouble(error: Exception) -> list[Content]:
    """An error as lines: what, and what to do."""
    message, hint = getattr(error, "message", ""), getattr(error, "hint", "")
    lines = [Content.styled(message or f"{type(error).__name__}: {error}", "$failed")]
    return [*lines, Content.styled(hint, "$muted")] if hint else lines
