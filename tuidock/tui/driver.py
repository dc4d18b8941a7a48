"""The terminal that the screen is drawn on may go away: its window is closed, the connection over ssh breaks.

Textual's driver writes in a thread; an error ends that thread, its queue fills, and the application waits for room in it
for ever instead of ending.  Here what is written to a terminal that is gone is dropped, so that the end, which SIGHUP asks
for, is reached.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.drivers.linux_driver import LinuxDriver

if TYPE_CHECKING:
    from typing import Any, TextIO

    from textual.app import App
    from textual.driver import Driver


class LastingDriver(LinuxDriver):
    """Linux's driver on a terminal that may go."""

    def __init__(self, app: App[Any], **options: Any) -> None:
        super().__init__(app, **options)
        if self._file is not None:
            self._file: Any = Lasting(self._file)


class Lasting:
    """A text file that takes what cannot be written any more."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def write(self, text: str) -> int:
        try:
            return self._file.write(text)
        except OSError:
            return len(text)

    def flush(self) -> None:
        try:
            self._file.flush()
        except OSError:
            pass

    def fileno(self) -> int:
        return self._file.fileno()

    def isatty(self) -> bool:
        return self._file.isatty()


def lasting(driver: type[Driver]) -> type[Driver]:
    """`driver`, or in the place of Linux's own the one that lasts."""
    return LastingDriver if driver is LinuxDriver else driver
