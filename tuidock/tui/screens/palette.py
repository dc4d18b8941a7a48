"""Every action that can be done now, by its name: what the command palette finds."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from textual.command import DiscoveryHit, Hit, Hits, Provider

from tuidock.tui import keys

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_LEFT_OUT = {"palette", "back", "interrupt", "menu"}


class Actions(Provider):
    """From the table of keys, and all themes there are."""

    def _actions(self) -> Iterator[tuple[str, str, Callable[[], object]]]:
        """(name, meaning, what to call)"""
        subject = getattr(self.screen, "subject", None)
        groups = (keys.CONTAINER, keys.IMAGE, keys.VOLUME, keys.LOG, keys.EVERYWHERE)
        for key in (key for group in groups for key in group if key.action not in _LEFT_OUT):
            action = key.action.partition("(")[0]
            node = next(
                (
                    widget
                    for widget in (self.focused, self.screen)
                    if widget is not None and hasattr(widget, f"action_{action}") and widget.check_action(action, ())
                ),
                None,
            )
            if node is not None:
                name = f"{key.label} {subject.name}" if key.subject and subject else key.label or key.meaning
                written = key.display or key.key.partition(",")[0]
                yield (
                    name,
                    f"{written}  {key.meaning}" if key.label else written,
                    partial(self.app.run_action, key.action, node),
                )
        for theme in self.app.available_themes:
            yield f"Theme {theme}", "Change the colours", partial(setattr, self.app, "theme", theme)

    async def discover(self) -> Hits:
        for name, meaning, call in self._actions():
            if not name.startswith("Theme"):
                yield DiscoveryHit(name, call, help=meaning)

    async def search(self, query: str) -> Hits:
        matcher = self.matcher(query)
        for name, meaning, call in self._actions():
            if (score := matcher.match(name)) > 0:
                yield Hit(score, matcher.highlight(name), call, help=meaning)
