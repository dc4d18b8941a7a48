"""`tuidock explain`: which system calls made a container, in order, and how long each took."""

from __future__ import annotations

import json
import re
import shutil

from tuidock.cli.flags import Command, Words
from tuidock.cli.output import ellipsis
from tuidock.engine import Engine
from tuidock.engine.options import TEXT, Option
from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine.explain import Call
    from tuidock.storage.paths import Roots

PROCESSES = {
    "cli": "the front end",
    "monitor": "the monitor, parent of the container's first process",
    "init": "the container's first process, before it becomes the command",
}
NARROWEST = 100
"""Columns: on a narrower terminal lines wrap, as a cut argument would explain nothing."""


class NeverStarted(UsageError):
    exit_status = 1


def explain(words: Words, place: Roots) -> int:
    name = words.arguments[0]
    calls = Engine(place).containers.explain(name)
    if not calls:
        hint = f"`tuidock start {name}`, and there is something to tell"
        raise NeverStarted(f"container {name} has never been started", hint)
    if words.text("format") == "json":
        print(json.dumps([call.as_dict() for call in calls], indent=4))
        return 0
    width = max(NARROWEST, shutil.get_terminal_size((160, 0)).columns)
    process = ""
    for call in calls:
        if call.process != process:
            process = call.process
            print(f"{PROCESSES.get(process, process)}:")
        print(line(call, width, full=words.flag("no-trunc")))
    spent = sum(call.nanoseconds for call in calls) / 1e6
    print(f"{len(calls)} calls, {spent:.1f} ms in the kernel")
    return 0


def line(call: Call, width: int, *, full: bool) -> str:
    """`   12.3 µs  mount(proc, /proc, proc, MS_NOSUID) = 0   what it is for`."""
    result = f"-1 {call.error}" if call.error else str(call.result)
    words = ", ".join(call.arguments)
    text = f"{call.nanoseconds / 1000:>9.1f} µs  {call.name}({words if full else _shortened(words)}) = {result}"
    if call.meaning:
        text = f"{text:<72}  # {call.meaning}"
    return text if full else ellipsis(text, width)


def _shortened(text: str) -> str:
    """Ids and digests in paths with their first twelve digits."""
    return re.sub(r"\b([0-9a-f]{12})[0-9a-f]{52}\b", r"\1…", text)


COMMANDS = {
    "explain": Command(
        explain,
        "CONTAINER",
        (
            Option("format", "", TEXT, "'json': Print in JSON format"),
            Option("no-trunc", meaning="Don't truncate output"),
        ),
        1,
        1,
    )
}
