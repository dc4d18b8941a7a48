"""The whole conversation of the application, on one page.

thread of the watch   -> Happened(event)            -> main screen: marks lists stale, tells the visible pane
threads that read     -> Listed(kind, values)       -> main screen: hands them to the list of that kind
                      -> Answer(subject, value)     -> the pane that asked; dropped if it shows another subject by now
threads that act      -> Told(task, progress)       -> main screen: the line of what is under way
                      -> Done(task, value, then)    -> main screen: takes the line away, calls `then` with the value
                      -> Failed(words, error)       -> main screen: says it, with its hint
a list                -> Chosen(subject)            -> main screen: details follow the cursor
                      -> Entered(subject)           -> main screen: Enter or a second click
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from textual.message import Message

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuidock.engine import Engine
    from tuidock.engine.events import Event


class Subject(NamedTuple):
    """What is looked at.  The value itself (its state) is in the list that holds it."""

    kind: str
    """container, image, volume"""
    key: str
    """What the engine is asked with and rows are told apart by: container id, image reference or id, volume name."""
    name: str
    """What a person calls it."""


class Opened(Message):
    """The engine is there, or why it is not."""

    def __init__(self, engine: Engine | None, error: Exception | None = None) -> None:
        super().__init__()
        self.engine = engine
        self.error = error


class Happened(Message):
    """Something changed, here or through another front end."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class Listed(Message):
    def __init__(self, kind: str, values: list[Any]) -> None:
        super().__init__()
        self.kind = kind
        self.values = values


class Chosen(Message):
    def __init__(self, subject: Subject | None) -> None:
        super().__init__()
        self.subject = subject


class Entered(Message):
    def __init__(self, subject: Subject) -> None:
        super().__init__()
        self.subject = subject


class Answer(Message):
    def __init__(self, subject: Subject, value: Any) -> None:
        super().__init__()
        self.subject = subject
        self.value = value


class Told(Message):
    """How far a task is: `done` of `total` (0: unknown), and in words."""

    def __init__(self, task: int, words: str, done: int = 0, total: int = 0) -> None:
        super().__init__()
        self.task = task
        self.words = words
        self.done = done
        self.total = total


class Done(Message):
    def __init__(self, task: int, value: Any, then: Callable[[Any], None] | None) -> None:
        super().__init__()
        self.task = task
        self.value = value
        self.then = then


class Failed(Message):
    """task: the one that ends with it, or 0.  words: what was being done."""

    def __init__(self, task: int, words: str, error: Exception) -> None:
        super().__init__()
        self.task = task
        self.words = words
        self.error = error
