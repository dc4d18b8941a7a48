"""The main screen: lists on the left, details of what is under the cursor on the right, the keys that work now below."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, ClassVar

from textual import work
from textual.containers import Horizontal, Vertical
from textual.widgets import Input

from tuidock.tui import keys
from tuidock.tui.actions.container import ContainerActions
from tuidock.tui.actions.image import STARTER, ImageActions
from tuidock.tui.actions.volume import VolumeActions
from tuidock.tui.messages import Chosen, Done, Entered, Failed, Happened, Listed, Subject, Told
from tuidock.tui.opened import engine_of
from tuidock.tui.panes.containers import Containers
from tuidock.tui.panes.detail import Detail
from tuidock.tui.panes.images import Images
from tuidock.tui.panes.volumes import Volumes
from tuidock.tui.screens.palette import Actions
from tuidock.tui.widgets.keyline import KeyLine
from tuidock.tui.widgets.lines import Lines
from tuidock.tui.widgets.listing import AnyListing, Listing
from tuidock.tui.widgets.masthead import Masthead
from tuidock.tui.widgets.underway import Underway

if TYPE_CHECKING:
    from textual.app import ComposeResult
    from textual.timer import Timer

    from tuidock.storage.paths import Roots

OPENING, READING = "opening the engine", "reading the lists"
KINDS = {"container": "containers", "image": "images", "volume": "volumes"}
"""Kind of subject to the id of its list."""


class Seek(Input):
    """The line that filters a list or finds in a text, as one types."""

    BINDINGS = keys.bindings(keys.SEEK)


class Main(ContainerActions, ImageActions, VolumeActions):
    BINDINGS = keys.bindings(keys.CONTAINER, keys.IMAGE, keys.VOLUME, keys.EVERYWHERE)
    COMMANDS: ClassVar[set[Any]] = {Actions}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (72, "-normal"), (120, "-wide")]
    VERTICAL_BREAKPOINTS = [(0, "-tiny"), (18, "-short"), (36, "-tall")]
    AUTO_FOCUS = "#containers"

    CSS = """
    Main { background: $background; color: $foreground; }
    #lists { width: 34; }
    #lists Listing { height: 5; }
    #lists Listing.-current { height: 1fr; }
    #seek {
        display: none; height: 1; border: none; padding: 0 1; background: $panel; dock: bottom; margin-bottom: 1;
        &.-open { display: block; }
    }
    Main.-wide #lists { width: 38%; max-width: 64; }
    Main.-tall #lists Containers { height: 1fr; }
    Main.-tall #lists Images, Main.-tall #lists Volumes { height: auto; min-height: 6; max-height: 28%; }
    Main.-short Masthead, Main.-tiny Masthead { display: none; }
    Main.-short Detail > TabLine, Main.-tiny Detail > TabLine { margin-bottom: 0; }
    Main.-tiny #lists Listing { height: 2; }
    Main.-tiny #lists Listing.-current { height: 1fr; }
    Main.-narrow #lists { width: 1fr; }
    Main.-narrow Detail { display: none; }
    Main.-narrow.-inside #lists { display: none; }
    Main.-narrow.-inside Detail { display: block; }
    """

    def __init__(self, roots: Roots) -> None:
        super().__init__()
        self.roots = roots
        self._area = "containers"
        """Id of the list that last had the focus."""
        self._stale: set[str] = set()
        self._timer: Timer | None = None
        self._follow_timer: Timer | None = None
        self._interrupted = 0.0
        self._stop: int = -1
        self._wanted: Subject | None = None

    def compose(self) -> ComposeResult:
        yield Masthead(self.roots)
        with Horizontal():
            with Vertical(id="lists"):
                yield Containers(id="containers")
                yield Images(id="images")
                yield Volumes(id="volumes")
            yield Detail(id="detail")
        yield Underway()
        yield Seek(id="seek", compact=True, select_on_focus=False)
        yield KeyLine()

    # the engine and what it tells

    def opened(self, error: Exception | None) -> None:
        """The application has the engine, or none."""
        if error is not None:
            self.post_message(Failed(0, OPENING, error))
            return
        self._watch()
        self.read_lists(set(KINDS))
        self.set_interval(1, self._tick)

    def _tick(self) -> None:
        """Nothing is asked of anybody: `up 3 s` becomes `up 4 s`."""
        for listing in self.query(Listing):
            listing.tick()

    @work(thread=True, exit_on_error=False)
    def _watch(self) -> None:
        """Sleep in the kernel until something happens; `on_unmount` ends it."""
        ours, theirs = os.pipe()
        self._stop = theirs
        events = engine_of(self).events
        try:
            for event in events.watch(events.latest(), ours):
                self.post_message(Happened(event))
        except Exception as error:
            self.post_message(Failed(0, "watching what happens", error))
        finally:
            os.close(ours)

    def on_unmount(self) -> None:
        if self._stop >= 0:
            os.close(self._stop)  # the other end becomes readable
            self._stop = -1

    def on_happened(self, happened: Happened) -> None:
        """Events come in swarms: what they make stale is read once, a moment later."""
        kind = happened.event.type
        self._stale |= {"container": {"container", "image", "volume"}, "image": {"image"}, "volume": {"volume"}}.get(
            kind, set()
        )
        if self._timer is None:
            self._timer = self.set_timer(0.05, self._read_stale)

    def _read_stale(self) -> None:
        self._timer = None
        kinds, self._stale = self._stale, set()
        self.read_lists(kinds)

    @work(thread=True, exit_on_error=False)
    def read_lists(self, kinds: set[str]) -> None:
        engine = engine_of(self)
        readers: dict[str, Any] = {
            "container": lambda: engine.containers.list(all=True),
            "image": engine.images.list,
            "volume": engine.volumes.list,
        }
        try:
            for kind in KINDS:
                if kind in kinds:
                    self.post_message(Listed(kind, readers[kind]()))
        except Exception as error:
            self.post_message(Failed(0, READING, error))

    async def on_listed(self, listed: Listed) -> None:
        listing = self.listing(KINDS[listed.kind])
        listing.fill(listed.values)
        self.query_one(Detail).read = all(self.listing(name).rows is not None for name in KINDS.values())
        if self._wanted and self._wanted.kind == listed.kind and listing.go_to_key(self._wanted.key):
            self._wanted = None
        if listed.kind == self.listing(self._area).KIND or not self.listing(self._area).rows:
            await self._follow()

    # the subject

    def listing(self, name: str) -> AnyListing:
        return self.query_one(f"#{name}", Listing)

    @property
    def list_of_subject(self) -> AnyListing:
        """The list that has the focus, or had it before the details got it."""
        if isinstance(self.focused, Listing):
            self._area = self.focused.id or self._area
        return self.listing(self._area)

    @property
    def subject(self) -> Subject | None:
        return self.list_of_subject.current_subject if self.is_mounted else None

    @property
    def row(self) -> Any:
        return self.list_of_subject.current

    def on_chosen(self, chosen: Chosen) -> None:
        """The cursor moved.  Details follow when it rests for a moment, keys at once."""
        for listing in self.query(Listing):
            listing.set_class(listing is self.list_of_subject, "-current")
        self.refresh_bindings()
        if self._follow_timer is None:
            self._follow_timer = self.set_timer(0.03, self._follow)

    async def _follow(self) -> None:
        self._follow_timer = None
        self.refresh_bindings()
        detail = self.query_one(Detail)
        empty = not any(self.listing(name).rows for name in ("containers", "images"))
        detail.nothing = (self._area, empty, self.listing(self._area).hides_all)
        await detail.look(self.subject, self.row)

    async def on_entered(self, entered: Entered) -> None:
        if entered.subject.kind == "image":
            self.open_run_form(entered.subject.key)
        else:
            self.action_into_detail()

    # moving about

    def action_area(self, name: str) -> None:
        if name == "detail":
            self.action_into_detail()
        else:
            self.remove_class("-inside")
            self.set_focus(self.listing(name))  # at once: `focus()` would be after the next key

    def action_next_area(self, step: int) -> None:
        areas = [*KINDS.values(), "detail"]
        here = "detail" if self.query_one(Detail).has_focus_within else self._area
        self.action_area(areas[(areas.index(here) + step) % len(areas)])

    def action_into_detail(self) -> None:
        self.add_class("-inside")
        if pane := self.query_one(Detail).pane:
            self.set_focus(pane)

    def action_out_of_detail(self) -> None:
        self.remove_class("-inside")
        self.set_focus(self.list_of_subject)

    def action_back(self) -> None:
        """One step back: the search, then the filter, then out of the details."""
        seek = self.query_one("#seek", Input)
        focused = self.focused
        if focused is seek:
            self._close_seek(keep=False)
        elif isinstance(focused, Lines) and focused.sought:
            focused.seek("")
        else:
            self.action_out_of_detail()

    async def action_tab(self, step: int) -> None:
        await self.query_one(Detail).step(step)

    async def action_logs(self) -> None:  # type: ignore[override]
        await self.query_one(Detail).turn_to("Logs")
        self.action_into_detail()

    # finding

    def action_seek(self) -> None:
        if not isinstance(self.focused, Lines):
            self.set_focus(self.list_of_subject)
        target = self.focused
        assert isinstance(target, Lines)
        seek = self.query_one("#seek", Input)
        self._sought_in = target
        seek.add_class("-open")
        with seek.prevent(Input.Changed):
            seek.value = target.sought
        seek.placeholder = "filter: words" if isinstance(target, Listing) else "find"
        self.set_focus(seek)

    def on_input_changed(self, changed: Input.Changed) -> None:
        if changed.input.id == "seek":
            self._sought_in.seek(changed.value)

    def on_input_submitted(self, submitted: Input.Submitted) -> None:
        if submitted.input.id == "seek":
            self._close_seek(keep=True)

    def _close_seek(self, *, keep: bool) -> None:
        self.query_one("#seek").remove_class("-open")
        if not keep:
            self._sought_in.seek("")
        self.set_focus(self._sought_in)

    # what is under way

    def on_told(self, told: Told) -> None:
        self.query_one(Underway).tell(told.task, told.words, told.done, told.total)

    def on_done(self, done: Done) -> None:
        """Takes the line away; Textual goes on to the base class's handler of the same name, which calls `then`."""
        self.query_one(Underway).end(done.task)

    def on_failed(self, failed: Failed) -> None:
        self.query_one(Underway).end(failed.task)
        self.assembling = self.assembling and STARTER not in failed.words
        if failed.words in (OPENING, READING):  # what is missed stands where it would be, and stays when the toast has gone
            for listing in self.query(Listing):
                listing.unread()
            if self.subject is None:
                self.query_one(Detail).say(failed.error)

    # what has no subject

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        if not self.is_mounted:
            return True
        if action == "starter":
            images = self.listing("images").rows
            return images is not None and not self.assembling and not any(row.repository == STARTER for row in images)
        if action in ("create", "run_image") and not self.listing("images").rows:
            return False
        if action == "copy":
            return self.subject is not None
        return super().check_action(action, parameters)

    def starter_is_there(self, image: str) -> None:
        self.assembling = False
        self._wanted = Subject("image", f"{STARTER}:latest", STARTER)
        self.read_lists({"image"})
        self.action_area("images")
        self.notify("press enter to run it", title=f"✓ {STARTER} is here", markup=False)

    def action_create(self) -> None:
        self.open_run_form(self.subject.key if self.subject and self.subject.kind == "image" else "")

    def open_run_form(self, image: str) -> None:
        from tuidock.tui.screens.run import RunForm

        images = self.listing("images")
        names = [images.subject(row).key for row in images.rows or ()]

        def filled(container_id: str | None) -> None:
            if container_id:
                self._wanted = Subject("container", container_id, container_id[:12])
                self.read_lists({"container"})
                self.action_area("containers")

        self.app.push_screen(RunForm(image or (images.current_subject.key if images.current_subject else ""), names), filled)

    def action_copy(self) -> None:
        from tuidock.tui.screens.menu import Menu

        assert self.subject is not None
        kind, key, name = self.subject
        choices = {"n": ("name", name)}
        if kind == "container":
            choices |= {
                "i": ("id", key),
                "p": ("process id", str(self.row.pid)),
                "e": ("command to enter it", f"tuidock exec -it {name} sh"),
            }
        elif kind == "image":
            choices |= {"i": ("id", self.row.id), "r": ("command to run it", f"tuidock run -it --rm {name}")}
        else:
            choices |= {"n": ("name", key), "m": ("path on this machine", self.row.mountpoint)}

        def chosen(pressed: str | None) -> None:
            if pressed:
                self.app.copy_to_clipboard(choices[pressed][1])
                self.notify(choices[pressed][1], title="✓ copied", timeout=3, markup=False)

        rows = [(pressed, what, value) for pressed, (what, value) in choices.items()]
        self.app.push_screen(Menu(f"Copy of {kind} {name}", rows), chosen)

    def action_menu(self) -> None:
        from tuidock.tui.screens.menu import Menu

        active = {entry.binding.action: entry for entry in self.active_bindings.values() if entry.enabled}
        rows = [
            (active[key.action].binding.key, key.label, key.meaning)
            for group in (keys.CONTAINER, keys.IMAGE, keys.VOLUME, keys.LOG, keys.EVERYWHERE)
            for key in group
            if key.label and key.action in active and key.action not in ("menu", "help", "quit")
        ]

        def chosen(pressed: str | None) -> None:
            if pressed:
                self.app.simulate_key(pressed)

        title = f"{self.subject.kind} {self.subject.name}" if self.subject else "tuidock"
        self.app.push_screen(Menu(title, rows), chosen)

    def action_help(self) -> None:
        from tuidock.tui.screens.help import Help

        self.app.push_screen(Help({entry.binding.action: entry.enabled for entry in self.active_bindings.values()}))

    def action_palette(self) -> None:
        self.app.action_command_palette()

    def action_theme(self) -> None:
        from tuidock.tui import themes

        self.app.theme = themes.DEFAULT_LIGHT if self.app.current_theme.dark else themes.DEFAULT

    async def action_quit(self) -> None:
        self.app.exit()

    def action_interrupt(self) -> None:
        """ctrl+c twice within two seconds, as hands expect; once says so."""
        import time

        if time.monotonic() - self._interrupted < 2:
            self.app.exit()
        self._interrupted = time.monotonic()
        self.notify("once more to leave; containers go on running", title="ctrl+c", timeout=2)
