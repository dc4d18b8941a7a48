"""Make an image of what a container has written: what would go in, its name, and the command line that does the same."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.widgets import Input, Static

from tuidock.errors import UsageError
from tuidock.tui.screens.dialog import Dialog
from tuidock.tui.widgets.tick import Tick
from tuidock.tui.words import fit_path, plural, right, shell_line, size, visible

if TYPE_CHECKING:
    from textual.app import ComposeResult

    from tuidock.engine.commit import Preview
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import CommitRequest
    from tuidock.image.changes import Change

_SIGNS = {"A": ("+", "$added"), "C": ("~", "$changed"), "D": ("−", "$removed"), "": ("=", "$muted")}
SHOWN = 500
"""Lines of the preview that are drawn."""
WIDTH = 80


class CommitForm(Dialog["CommitRequest"]):
    """Answers what to commit, or None."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,enter", "go", "Commit"),
        Binding("ctrl+y", "copy", "Copy the command"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]
    CSS = """
    CommitForm > VerticalScroll { width: 80; }
    CommitForm Horizontal { height: 1; }
    CommitForm .name { width: 10; color: $muted; }
    CommitForm Input { width: 1fr; }
    CommitForm #preview { margin: 1 0; padding: 0 1; scrollbar-size-vertical: 1; }
    CommitForm #preview:focus { background: $panel; }
    CommitForm #wrong { color: $failed; height: auto; }
    """

    def __init__(self, container: Container, preview: Preview) -> None:
        super().__init__()
        self.container = container
        self.preview = preview
        self.drawn: list[Content] = []

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = f"Make an image of {self.container.name}".replace("[", r"\[")
            box.border_subtitle = "enter commits · ctrl+y copies · esc goes back"
            yield from self._line("image", "NAME[:TAG], or none")
            yield from self._line("message", "why")
            yield from self._line("change", "'CMD [\"sh\"]' 'ENV A=b' …")
            yield Tick("stands still while it is read", id="pause", value=True)
            with VerticalScroll(id="preview"):
                self.drawn = lines(self.preview, min(WIDTH, self.app.size.width * 94 // 100) - 10)
                yield Static(Content("\n").join(self.drawn))
            yield Static(summary(self.preview), classes="muted")
            yield Static(classes="command", id="line")
            yield Static(id="wrong")

    def _line(self, name: str, example: str) -> ComposeResult:
        with Horizontal():
            yield Static(name, classes="name")
            yield Input(placeholder=example, id=name, compact=True)

    def on_mount(self) -> None:
        self.query_one("#pause", Tick).display = self.container.status == "running"
        self.query_one("#preview").styles.height = min(len(self.drawn), max(3, self.app.size.height - 17))
        self.query_one("#image", Input).focus()
        self._show()

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _request(self) -> CommitRequest:
        """Raises UsageError for a name that is none, ValueError for quotes that do not end."""
        import shlex

        from tuidock.engine.requests import CommitRequest
        from tuidock.oci.reference import parse

        reference = self._text("image")
        if reference:
            parse(reference)
        return CommitRequest(
            self.container.name, reference, message=self._text("message"), changes=tuple(shlex.split(self._text("change"))),
            pause=self.query_one("#pause", Tick).value,
        )  # fmt: skip

    def _command(self, request: CommitRequest) -> str:
        words = ["tuidock", "commit"]
        if not request.pause:
            words.append("--no-pause")
        if request.message:
            words += ["-m", request.message]
        for change in request.changes:
            words += ["-c", change]
        return shell_line([*words, request.container, *([request.reference] if request.reference else [])])

    def _show(self) -> None:
        """The command line, or what is wrong with what is written so far."""
        line = wrong = ""
        try:
            line = self._command(self._request())
        except UsageError as error:
            wrong = error.message
        except ValueError as error:
            wrong = str(error)
        self.query_one("#line", Static).update(Content(f"$ {line}" if line else ""))
        self.query_one("#wrong", Static).update(Content(f"✗ {wrong}" if wrong else ""))

    def on_input_changed(self) -> None:
        self._show()

    def on_tick_changed(self) -> None:
        self._show()

    def on_input_submitted(self) -> None:
        self.action_go()

    def action_go(self) -> None:
        try:
            request = self._request()
        except (UsageError, ValueError):
            return  # it is on the screen
        self.dismiss(request)

    def action_copy(self) -> None:
        try:
            line = self._command(self._request())
        except (UsageError, ValueError):
            return
        self.app.copy_to_clipboard(line)
        self.notify(line, title="✓ copied", timeout=3, markup=False)


def lines(preview: Preview, room: int) -> list[Content]:
    """All that would go in; of what is mounted, that it would not.  room: columns."""
    mounts = dict(preview.mounts)
    drawn = [_line(change, mounts.pop(change.path, ""), room) for change in preview.changes[:SHOWN]]
    if len(preview.changes) > SHOWN:
        drawn.append(Content.styled(f"  and {len(preview.changes) - SHOWN} more", "$muted"))
        mounts = {}
    drawn += [
        Content.assemble(("◆ ", "$volume"), visible(where), (f" stays out: {visible(what)}", "$muted"))
        for where, what in mounts.items()
    ]
    return drawn or [Content.styled("nothing was written: the image would get no layer", "$muted")]


def _line(change: Change, mounted: str, room: int) -> Content:
    if mounted:
        text = f" empty: {visible(mounted)} stays out"
        return Content.assemble(("◆ ", "$volume"), visible(change.path), (text, "$muted")).truncate(room, ellipsis=True)
    sign, role = _SIGNS[change.kind]
    extent = "" if change.is_dir or change.kind == "D" else size(change.size)
    path = change.path + ("/" if change.is_dir else "")
    last = right(extent, 10)
    return Content.assemble((f"{sign} ", role), fit_path(path, room - 2 - len(last)), (last, "$muted"))


def summary(preview: Preview) -> str:
    """How much it is, and what is never taken."""
    files = sum(not change.is_dir and change.kind in ("A", "C") for change in preview.changes)
    gone = sum(change.kind == "D" for change in preview.changes)
    told = f"{plural(files, 'file')}, {size(preview.size)}" + (f", {gone} deleted" if gone else "")
    return f"{told}  ·  hosts, hostname, resolv.conf stay out"
