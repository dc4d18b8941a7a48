"""Make a container: a line for each option that people use daily, and the command line that does the same, always.

The options, their kinds and meanings are those of the command line (engine/options.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from textual.binding import Binding, BindingType
from textual.containers import Horizontal, VerticalScroll
from textual.content import Content
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from tuidock.tui.opened import engine_of
from tuidock.tui.screens.dialog import Dialog
from tuidock.tui.widgets.tick import Tick
from tuidock.tui.words import shell_line

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult

_LINES = (
    ("volume", "NAME:/inside  /outside:/inside  /inside"),
    ("env", "NAME=VALUE …"),
    ("memory", "64m"),
    ("cpus", "0.5"),
    ("network", "none, NAME, host, container:NAME"),
    ("user", "name or uid[:gid]"),
    ("workdir", "/"),
    ("hostname", ""),
)
"""Options with a value, by name, and an example; of those that may be given several times, words side by side."""
_MARKS = (("tty", "-t  terminal"), ("interactive", "-i  stdin open"), ("rm", "--rm  remove at end"))


class RunForm(Dialog[str]):
    """Answers the id of the container, which is made and started; None if none was."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+r,enter", "go(True)", "Run"),
        Binding("ctrl+n", "go(False)", "Create only"),
        Binding("ctrl+y", "copy", "Copy the command"),
        Binding("down", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
    ]

    CSS = """
    RunForm > VerticalScroll { width: 84; }
    RunForm Horizontal { height: 1; }
    RunForm .name { width: 12; color: $muted; }
    RunForm Input { width: 1fr; }
    RunForm #marks { margin: 1 0; }
    RunForm #wrong { color: $failed; height: auto; }
    """

    def __init__(self, image: str, images: Sequence[str]) -> None:
        """image: what stands there first.  images: what may be meant."""
        super().__init__()
        self.image = image
        self.images = images
        self._busy = False

    def compose(self) -> ComposeResult:
        with VerticalScroll(can_focus=False) as box:
            box.border_title = "Run a container"
            box.border_subtitle = "enter runs · ctrl+n creates only · ctrl+y copies · esc goes back"
            yield from self._line("image", "NAME[:TAG]", self.image, SuggestFromList(self.images))
            yield from self._line("command", "as the image says")
            yield from self._line("name", "found for you")
            for name, example in _LINES:
                yield from self._line(name, example)
            with Horizontal(id="marks"):
                for name, words in _MARKS:
                    yield Tick(words, id=name, value=name != "rm")
            yield Static(classes="command", id="line")
            yield Static(id="wrong")

    def _line(self, name: str, example: str, value: str = "", suggester: SuggestFromList | None = None) -> ComposeResult:
        with Horizontal():
            yield Static(name, classes="name")
            yield Input(value, placeholder=example, id=name, suggester=suggester, compact=True)

    def on_mount(self) -> None:
        self.query_one("#command", Input).focus()
        self._show()

    # what is written

    def _text(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _words(self) -> list[str]:
        """The command line, without `tuidock run -d`.  Raises ValueError for quotes that do not end."""
        import shlex

        from tuidock.engine.options import CREATE, LIST

        options = {option.name: option for option in CREATE}
        words = [f"--{name}" if len(name) > 1 and name == "rm" else f"-{name[0]}" for name, _ in _MARKS if self._marked(name)]
        if name := self._text("name"):
            words += ["--name", name]
        for name, _ in _LINES:
            if text := self._text(name):
                option = options[name]
                dashed = f"-{option.short}" if option.short else f"--{name}"
                for value in shlex.split(text) if option.kind == LIST else [text]:
                    words += [dashed, value]
        return [*words, self._text("image") or "IMAGE", *shlex.split(self._text("command"))]

    def _marked(self, name: str) -> bool:
        return self.query_one(f"#{name}", Tick).value

    def _show(self) -> None:
        try:
            line, wrong = shell_line(["tuidock", "run", "-d", *self._words()]), ""
        except ValueError as error:
            line, wrong = "", str(error)
        self.query_one("#line", Static).update(Content(f"$ {line}"))
        self.query_one("#wrong", Static).update(Content(wrong))

    def on_input_changed(self) -> None:
        self._show()

    def on_tick_changed(self) -> None:
        self._show()

    # doing it

    def _request(self) -> Any:
        """The RunRequest.  Raises ValueError with the option's name for what cannot be read as its kind."""
        import shlex

        from tuidock.engine import quantities
        from tuidock.engine.options import CREATE, LIST
        from tuidock.engine.requests import RunRequest

        options = {option.name: option for option in CREATE}
        fields: dict[str, Any] = {options[name].field: self._marked(name) for name, _ in _MARKS}
        for name, _ in _LINES:
            if text := self._text(name):
                option = options[name]
                try:
                    value = tuple(shlex.split(text)) if option.kind == LIST else quantities.read(option.kind, text, name)
                except ValueError as error:
                    self.query_one(f"#{name}", Input).focus()
                    raise ValueError(f"{name}: {error}") from error
                fields[option.field] = value
        if networks := fields.pop("network", ()):
            fields["network"], fields["networks"] = networks[0], networks[1:]
        return RunRequest(
            self._text("image"), tuple(shlex.split(self._text("command"))), self._text("name"), detach=True, **fields
        )

    def action_go(self, start: bool) -> None:
        """Make it, and start it; the form stays while that goes wrong, so that it can be put right."""
        if self._busy:
            return
        try:
            request = self._request()
        except ValueError as error:
            self.query_one("#wrong", Static).update(Content(f"✗ {error}"))
            return
        self._busy = True
        self.query_one("#wrong", Static).update(Content.styled("making it …", "$muted"))
        self.run_worker(lambda: self._make(request, start), thread=True, exit_on_error=False)

    def _make(self, request: Any, start: bool) -> None:
        """In a thread.  A container that could not be started is taken away again: the form has all that it takes."""
        engine = engine_of(self)
        container_id = ""
        try:
            container_id = engine.containers.create(request)
            if start:
                engine.containers.start(container_id)
        except Exception as error:
            if container_id and not request.remove:
                engine.containers.remove(container_id, force=True, volumes=True)
            self.app.call_from_thread(self._refused, error)
        else:
            self.app.call_from_thread(self.dismiss, container_id)

    def _refused(self, error: Exception) -> None:
        self._busy = False
        message, hint = getattr(error, "message", "") or str(error), getattr(error, "hint", "")
        wrong = self.query_one("#wrong", Static)
        wrong.update(Content.assemble(f"✗ {message}", (f"\n  {hint}" if hint else "", "$muted")))
        wrong.scroll_visible()

    def on_input_submitted(self) -> None:
        self.action_go(True)

    def action_copy(self) -> None:
        try:
            line = shell_line(["tuidock", "run", "-d", *self._words()])
        except ValueError:
            return
        self.app.copy_to_clipboard(line)
        self.notify(line, title="✓ copied", timeout=3, markup=False)
