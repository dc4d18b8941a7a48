"""The footer: the keys that work now, for what has the focus, the most useful first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.content import Content
from textual.keys import key_to_character
from textual.widget import Widget

from tuidock.tui.keys import BY_ACTION

if TYPE_CHECKING:
    from textual import events
    from textual.screen import Screen


class KeyLine(Widget):
    """One line.  What does not fit is left out by rank; the last two, help and quit, always stay."""

    DEFAULT_CSS = """
    KeyLine { dock: bottom; height: 1; background: $panel; color: $foreground; padding: 0 1; }
    """

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._changed)

    def _changed(self, _screen: Screen[object]) -> None:
        self.refresh()

    def _keys(self) -> list[tuple[str, str, str]]:
        """(key, how it is written, label), in the order of rank, and as many as there is room for."""
        keys = []
        seen = set()
        focused = self.screen.focused
        for active in self.screen.active_bindings.values():
            binding = active.binding
            typed = focused is not None and focused.check_consume_key(binding.key, key_to_character(binding.key))
            if binding.show and active.enabled and not typed and binding.action not in seen:
                seen.add(binding.action)
                known = BY_ACTION.get(binding.action)
                shown = (binding.key, self.app.get_key_display(binding), binding.description)
                keys.append((known.rank if known else 1, shown))
        keys.sort(key=lambda entry: entry[0])
        room = self.size.width - sum(_width(shown) for rank, shown in keys if rank >= 90)
        kept = []
        for rank, shown in keys:
            if rank >= 90:
                kept.append(shown)
            elif room >= _width(shown):
                room -= _width(shown)
                kept.append(shown)
        return kept

    def render(self) -> Content:
        return Content.assemble(
            *(part for _key, written, label in self._keys() for part in ((written, "bold $accent"), f" {label}  "))
        )

    def on_click(self, event: events.Click) -> None:
        place = event.x - 1
        for shown in self._keys():
            place -= _width(shown)
            if place < 0:
                self.app.simulate_key(shown[0])
                return


def _width(shown: tuple[str, str, str]) -> int:
    return len(shown[1]) + len(shown[2]) + 3
