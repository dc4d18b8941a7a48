"""What all actions share: a subject, and a way to do work off the thread that draws."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING, Any, TypeVar

from textual.screen import Screen

from tuidock.tui.keys import BY_ACTION
from tuidock.tui.messages import Done, Failed, Subject, Told
from tuidock.tui.opened import engine_of

if TYPE_CHECKING:
    from tuidock.engine import Engine

Result = TypeVar("Result")
Tell = Callable[[str, int, int], None]
"""Says how far a task is: words, done, total (0: unknown).  May be called from any thread."""

_tasks = count(1)


class Acting(Screen[None]):
    """A screen on which something can be done to what is looked at."""

    @property
    def subject(self) -> Subject | None:
        """What is looked at, at this very moment: a key may come before the message of the key before it."""
        raise NotImplementedError

    @property
    def row(self) -> Any:
        """The subject's value: Container, ImageSummary or Volume."""
        raise NotImplementedError

    def perform(
        self,
        words: str,
        work: Callable[[Engine, Tell], Result],
        then: Callable[[Result], None] | None = None,
    ) -> None:
        """Do `work` in a thread, its `words` on the screen meanwhile, and `then` on the drawing thread with what came out.

        An error is shown with its hint; `then` is not called.
        """
        task = next(_tasks)
        self.post_message(Told(task, words))
        self.run_worker(partial(self._work, task, words, work, then), thread=True, group="work", exit_on_error=False)

    def _work(self, task: int, words: str, work: Callable[[Engine, Tell], Any], then: Callable[[Any], None] | None) -> None:
        def tell(progress: str, done: int = 0, total: int = 0) -> None:
            self.post_message(Told(task, f"{words}: {progress}" if progress else words, done, total))

        try:
            value = work(engine_of(self), tell)
        except Exception as error:  # shown by `on_failed`, whatever it is: no traceback ever covers the screen
            self.post_message(Failed(task, words, error))
        else:
            self.post_message(Done(task, value, then))

    def on_done(self, done: Done) -> None:
        if done.then is not None:
            done.then(done.value)

    def on_failed(self, failed: Failed) -> None:
        message = getattr(failed.error, "message", "") or f"{type(failed.error).__name__}: {failed.error}"
        hint = getattr(failed.error, "hint", "")
        self.notify(
            f"{message}\n{hint}" if hint else message, title=f"✗ {failed.words}", severity="error", timeout=12, markup=False
        )

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """A key of a subject works on subjects of that kind, and while their state allows it."""
        known = BY_ACTION.get(action)
        if known is None or not known.subject:
            return True
        return self.subject is not None and self.subject.kind == known.subject and known.when(self.row)
