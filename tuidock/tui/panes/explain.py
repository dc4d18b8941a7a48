"""The system calls that started the container, in their order: who, what, how long."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from rich.cells import cell_len
from textual.content import Content

from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import titled
from tuidock.tui.words import fit, fit_path, right

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.explain import Call
    from tuidock.tui.messages import Subject

_WHO = {
    "monitor": ("the monitor, outside", "$image"),
    "init": ("the container's first process, before it becomes the command", "$init"),
}

_DIGITS = re.compile(r"\b([0-9a-f]{12})[0-9a-f]{52}\b")
"""An id or a digest: its first twelve digits tell it from others."""


class Explain(Pane):
    def read(self, engine: Engine, subject: Subject) -> list[Call]:
        return engine.containers.explain(subject.key)

    def draw(self, value: list[Call], width: int) -> list[Content]:
        if not value:
            return [
                Content.styled("There is no record: it was never started.", "$muted"),
                Content.assemble(("u", "bold $accent"), (" starts it.", "$muted")),
            ]
        total = sum(call.nanoseconds for call in value)
        lines = [
            Content.assemble(
                (f"{len(value)} system calls made this container, in {total / 1e6:.1f} ms of the kernel's time.", "$muted")
            ),
            Content(""),
        ]
        process = meaning = ""
        for number, call in enumerate(value, 1):
            if call.process != process:
                process = call.process
                words, role = _WHO.get(process, (process, "$heading"))
                if number > 1:
                    lines.append(Content(""))
                lines.append(titled(words, width, role))
            lines.append(_call(number, call, width))
            if width < 100 and call.meaning and call.meaning != meaning:
                lines.append(Content.styled(fit(f"      {call.meaning}", width), "$muted"))
            meaning = call.meaning
        return lines


def _call(number: int, call: Call, width: int) -> Content:
    role = "$failed" if call.error else _WHO.get(call.process, ("", "$heading"))[1]
    result = f" = {call.error}" if call.error else ""
    time = right(f"{call.nanoseconds / 1000:.0f} µs", 9)
    meaning = fit(f"  {call.meaning}", width * 2 // 5) if width >= 100 else ""
    room = width - 5 - len(call.name) - len(time) - len(meaning)
    words = [_DIGITS.sub(r"\1…", word) for word in call.arguments]
    arguments = f"({', '.join(words)}){result}"
    if (over := cell_len(arguments) - room + 1) > 0 and words:  # the end of a path tells more than its beginning
        longest = max(range(len(words)), key=lambda place: len(words[place]))
        words[longest] = fit_path(words[longest], max(8, cell_len(words[longest]) - over)).rstrip()
        arguments = f"({', '.join(words)}){result}"
    return Content.assemble(
        (f"{number:>3}  ", "$faint"), (call.name, f"bold {role}"), fit(arguments, room), (meaning, "$muted"), (time, "$muted")
    )
