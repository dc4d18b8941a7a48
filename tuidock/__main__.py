"""The `tuidock` command, also as `python -m tuidock`: what can begin before anything is read or loaded, and a short end.

For `run`, the monitor is spawned here, since it takes as long to load as all that follows until it is needed; for `exec`,
the kernel's slow path is woken (runtime/launch.py).
"""

from __future__ import annotations

import gc
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

WITH_VALUE = ("--root", "--run-root")
"""Options before the command's name that take the next word."""
OBJECTS = 50_000
"""A garbage collection for every so many new objects: a short command has none, and imports one less millisecond."""


def command() -> None:
    """Run the command that this process's words say, and end this process with its exit status."""
    gc.set_threshold(OBJECTS, 20, 100)
    first = first_word(sys.argv[1:])
    if first in ("run", "--run"):
        from tuidock.runtime import spawn

        spawn.ahead()
    elif first == "exec":
        from _thread import start_new_thread

        from tuidock.runtime.launch import hasten_attach

        start_new_thread(hasten_attach, ())
    from tuidock.cli.main import main

    status = main()
    for stream in (sys.stdout, sys.stderr):
        try:
            if stream is not None:
                stream.flush()
        except OSError:
            status = status or 1
    if "threading" in sys.modules:  # whoever has threads may have something to put in order at the end
        sys.exit(status)
    os._exit(status)  # taking the interpreter apart first would cost 4 ms


def first_word(words: Sequence[str]) -> str:
    """The command's name, or --run in its place; empty if there is none."""
    left = iter(words)
    for word in left:
        if word in WITH_VALUE:
            next(left, "")
        elif word == "--run" or not word.startswith("-"):
            return word
    return ""


if __name__ == "__main__":
    command()
