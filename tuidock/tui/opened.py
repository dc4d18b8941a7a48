"""The engine that the application has opened, for every widget in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, cast

if TYPE_CHECKING:
    from textual.message_pump import MessagePump

    from tuidock.engine import Engine


class WithEngine(Protocol):
    """What the application has for its widgets."""

    engine: Engine | None


def engine_of(node: MessagePump) -> Engine:
    """The engine of the application that a widget is in.  For threads: by then it is open."""
    engine = cast("WithEngine", node.app).engine
    assert engine is not None
    return engine
