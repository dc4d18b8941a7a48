"""All that the engine knows of a subject, as docker's inspect has it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from textual.content import Content

from tuidock.tui.panes.pane import Pane

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.tui.messages import Subject

_KEY_AND_REST = re.compile(r'(\s*)("(?:[^"\\]|\\.)*")(: ?)(.*)')


class Inspect(Pane):
    def read(self, engine: Engine, subject: Subject) -> Any:
        from json import dumps

        places: dict[str, Any] = {"container": engine.containers, "image": engine.images, "volume": engine.volumes}
        return dumps(places[subject.kind].inspect(subject.key), indent=2, ensure_ascii=False).splitlines()

    def draw(self, value: Any, width: int) -> list[Content]:
        return [_coloured(line) for line in value]

    def longest(self) -> int:
        return max((line.cell_length for line in self._lines), default=0)


def _coloured(line: str) -> Content:
    if found := _KEY_AND_REST.fullmatch(line):
        indent, key, colon, rest = found.groups()
        return Content.assemble(indent, (key, "$image"), (colon, "$muted"), (rest, _kind(rest)))
    return Content.styled(line, _kind(line.strip()))


def _kind(word: str) -> str:
    if word.startswith('"'):
        return "$foreground"
    return "$muted" if word.rstrip(",") in ("null", "{", "}", "[", "]", "{}", "[]") else "$accent"
