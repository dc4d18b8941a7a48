"""The right side: a line of tabs, and below it the pane of the chosen one, for the subject under the cursor."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from textual.containers import Vertical
from textual.content import Content
from textual.widgets import ContentSwitcher, Static

from tuidock.tui.widgets.tabs import TabLine

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tuidock.tui.messages import Subject
    from tuidock.tui.panes.pane import Pane

TABS: dict[str, dict[str, str]] = {
    "container": {
        "Overview": "overview:Overview",
        "Logs": "logs:Logs",
        "Layers": "layers:Layers",
        "Namespaces": "namespaces:Namespaces",
        "Inspect": "inspect:Inspect",
        "Explain": "explain:Explain",
    },
    "image": {"Overview": "image:ImageOverview", "Layers": "history:History", "Inspect": "inspect:Inspect"},
    "volume": {"Overview": "volume:VolumeOverview", "Inspect": "inspect:Inspect"},
}
"""Kind of subject to its tabs, each to the module of this folder and the class in it: imported when it is first looked at."""


class Detail(Vertical):
    DEFAULT_CSS = """
    Detail {
        border: round $edge;
        border-title-color: $heading;
        border-subtitle-color: $muted;
        padding: 0 0 0 1;
        & > TabLine { margin-bottom: 1; }
        & > #instead { padding: 1; }
        & > ContentSwitcher { height: 1fr; }
        &:focus-within { border: round $focus; border-title-color: $focus; border-title-style: bold; }
    }
    """

    def __init__(self, *, id: str) -> None:
        super().__init__(id=id)
        self.subject: Subject | None = None
        self._row: Any = None
        self._chosen = dict.fromkeys(TABS, "Overview")
        """Kind to the tab that was last looked at: the next container opens on the same."""

        self.read = False
        """Have the lists been read once?"""
        self.nothing = ("containers", False, False)
        """For when there is no subject: what `welcome.words` wants to know."""

    def compose(self) -> ComposeResult:
        yield TabLine()
        yield ContentSwitcher()
        yield Static(id="instead")

    @property
    def tab(self) -> str:
        return self._chosen[self.subject.kind] if self.subject else ""

    @property
    def pane(self) -> Pane | None:
        """The one that is looked at."""
        current = self.query_one(ContentSwitcher).visible_content
        return current if self.subject else None  # type: ignore[return-value]

    async def look(self, subject: Subject | None, row: Any) -> None:
        """Show a subject, or nothing.  Again and again: each event about it comes this way."""
        self.subject, self._row = subject, row
        tabs = self.query_one(TabLine)
        switcher = self.query_one(ContentSwitcher)
        before = switcher.visible_content
        if subject is None:
            self.border_title = ""
            tabs.names = ()
            switcher.current = None
            if before is not None:
                before.leave()  # type: ignore[attr-defined]
            self._show_instead(True)
            if self.read:
                from tuidock.tui.panes.welcome import words

                self.query_one("#instead", Static).update(words(*self.nothing))
            return
        self._show_instead(False)
        self.border_title = f"{subject.kind} {subject.name}".replace("[", r"\[")
        tabs.names = tuple(TABS[subject.kind])
        tabs.current = self.tab
        where = TABS[subject.kind][self.tab]
        name = where.partition(":")[2]
        if not switcher.query(f"#{name}"):
            module, _, _ = where.partition(":")
            await switcher.mount(getattr(import_module(f"tuidock.tui.panes.{module}"), name)(id=name))
            if not switcher.query(f"#{name}"):  # the application is being left
                return
        if before is not None and before.id != name:
            before.leave()  # type: ignore[attr-defined]
        had_focus = before is not None and before.has_focus_within
        switcher.current = name
        if before is None or before.id != name:
            self.border_subtitle = ""
        pane: Pane = switcher.get_child_by_id(name)  # type: ignore[assignment]
        pane.look(subject, row)
        if had_focus and before is not pane:
            self.screen.set_focus(pane)  # at once, for the next key is on its way

    def _show_instead(self, instead: bool) -> None:
        self.query_one("#instead").display = instead
        self.query_one(TabLine).display = self.query_one(ContentSwitcher).display = not instead

    def say(self, error: Exception) -> None:
        """In place of details: why there are none."""
        from tuidock.tui.panes.pane import trouble

        self._show_instead(True)
        self.query_one("#instead", Static).update(Content("\n").join(trouble(error)))

    async def turn_to(self, tab: str) -> None:
        """Another tab of the same subject."""
        if self.subject and tab in TABS[self.subject.kind]:
            self._chosen[self.subject.kind] = tab
            await self.look(self.subject, self._row)

    async def step(self, step: int) -> None:
        """The next tab, round and round."""
        if self.subject:
            names = list(TABS[self.subject.kind])
            await self.turn_to(names[(names.index(self.tab) + step) % len(names)])

    async def on_tab_line_picked(self, picked: TabLine.Picked) -> None:
        await self.turn_to(picked.name)
        if pane := self.pane:
            pane.focus()
