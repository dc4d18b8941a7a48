"""The application: themes, the engine, the main screen.  It knows no pane by name.

The frame is drawn before anything is asked of the engine, which is opened in a thread.
"""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.app import App

from tuidock.tui import themes
from tuidock.tui.driver import lasting
from tuidock.tui.messages import Opened
from tuidock.tui.screens.main import Main

if TYPE_CHECKING:
    from rich.terminal_theme import TerminalTheme
    from textual.binding import BindingType
    from textual.driver import Driver

    from tuidock.engine import Engine
    from tuidock.storage.paths import Roots


class Tuidock(App[None]):
    TITLE = "tuidock"
    ENABLE_COMMAND_PALETTE = True
    COMMANDS: ClassVar[set[Any]] = set()
    """None of Textual's own (maximize, screenshot …): what can be done here is the main screen's to say."""
    BINDINGS: ClassVar[list[BindingType]] = []
    CSS = """
    Toast { background: $panel; }
    """

    def __init__(self, roots: Roots) -> None:
        super().__init__()
        self.roots = roots
        self.engine: Engine | None = None
        self._sixteen: dict[str, TerminalTheme] = {}
        self._dress()

    def get_driver_class(self) -> type[Driver]:
        """Asked once, by the constructor."""
        return lasting(super().get_driver_class())

    def _dress(self) -> None:
        """The theme, before any style sheet is read: a later change reads them all again."""
        own, self._wrong_themes = themes.of_user()
        for theme in (*themes.every(), *own):
            self.register_theme(theme)
        wanted = os.environ.get("TUIDOCK_THEME") or themes.DEFAULT
        self._no_such_theme = "" if wanted in self.available_themes else wanted
        self.theme = themes.DEFAULT if self._no_such_theme else wanted

    def get_theme_variable_defaults(self) -> dict[str, str]:
        """Roles for themes that have none of their own, as Textual's."""
        return themes.derived_roles(self.current_theme)

    @property
    def ansi_theme(self) -> TerminalTheme:
        """The sixteen colours of what a container writes."""
        theme = self.current_theme
        if theme.name not in self._sixteen:
            self._sixteen[theme.name] = themes.sixteen(theme)
        return self._sixteen[theme.name]

    def on_mount(self) -> None:
        for number in (signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, self.exit, None, 128 + number)
        for error in self._wrong_themes:
            self.notify(f"{error.message}\n{error.hint}".rstrip(), title="✗ a theme", severity="error", markup=False)
        if self._no_such_theme:
            known = ", ".join(sorted(self.available_themes))
            self.notify(f"there are {known}", title=f"✗ no theme {self._no_such_theme}", severity="error", markup=False)
        self.push_screen(Main(self.roots))
        self.open_engine()

    @work(thread=True, exit_on_error=False)
    def open_engine(self) -> None:
        """Import the engine and open its roots, beside the drawing of the first frame."""
        try:
            from tuidock.engine import Engine

            engine = Engine(self.roots)
        except Exception as error:
            self.post_message(Opened(None, error))
        else:
            self.post_message(Opened(engine))

    def on_opened(self, opened: Opened) -> None:
        self.engine = opened.engine
        for screen in self.screen_stack:
            if isinstance(screen, Main):
                screen.opened(opened.error)


def run(roots: Roots) -> int:
    """Open the screen on these roots until the user leaves it.  Returns the command's exit status."""
    app = Tuidock(roots)
    app.run()
    return app.return_code or 0
