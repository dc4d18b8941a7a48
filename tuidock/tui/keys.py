"""One table of what a key does.  Bindings, footer, help, menu and palette are all made from it.

A key of a subject (a container, an image, a volume) works wherever that subject is looked at, in its list and in every
pane of its details, and only while its state allows it: `when` says so, and the footer shows no other.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from textual.binding import Binding

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from textual.binding import BindingType

    from tuidock.engine.reconcile import Container


def _always(_subject: Any) -> bool:
    return True


def _running(container: Container) -> bool:
    return container.status in ("running", "paused")


def _idle(container: Container) -> bool:
    return not _running(container)


class Key(NamedTuple):
    key: str
    """As Textual names it; several that do the same are separated by commas, the first is shown."""
    action: str
    label: str
    """One word for the footer; empty for keys that hands know or that need the help's sentence."""
    meaning: str
    """A sentence for the help, the palette and the menu."""
    subject: str = ""
    """container, image, volume; empty: of no subject."""
    rank: int = 50
    """The footer's order; where room is short, high ranks go first."""
    when: Callable[[Any], bool] = _always
    """Given the subject's value (Container, ImageSummary, Volume): can it be done now?"""
    display: str = ""
    """How the key is written, if not as Textual writes it."""


CONTAINER = (
    Key("u", "start", "Start", "Start the container", "container", 10, _idle),
    Key("s", "shell", "Shell", "Open a shell in it, full screen", "container", 11, _running),
    Key("L", "logs", "Logs", "Show what it writes, and follow", "container", 12),
    Key("e", "execute", "Exec", "Run one command in the container", "container", 13, _running),
    Key("t", "stop", "Stop", "Ask it to end; end it after its time of grace", "container", 14, _running),
    Key("r", "restart", "Restart", "Stop the container and start it again", "container", 15, _running),
    Key("p", "pause", "Pause", "Freeze all its processes; once more lets them go on", "container", 16, _running),
    Key("a", "attach", "Attach", "Attach the terminal; ctrl+p ctrl+q leaves it", "container", 31, _running),
    Key("K", "kill", "Kill", "End the container at once, by SIGKILL", "container", 32, _running),
    Key("C", "commit", "Commit", "Make an image of what it has written; shows first what would go in", "container", 33),
    Key("d", "remove_container", "Remove", "Remove it with its read-write layer and its log", "container", 20),
)  # fmt: skip

IMAGE = (
    Key("enter", "run_image", "Run", "Run a container of it: a form", "image", 10, display="⏎"),
    Key("d", "remove_image", "Remove", "Remove the image, or one of its tags", "image", 20),
)

VOLUME = (
    Key("d", "remove_volume", "Remove", "Remove the volume and all that lies in it", "volume", 20),
)  # fmt: skip

EVERYWHERE = (
    Key("i", "starter", "Starter image", "Assemble tuidock/starter from this machine", rank=35),
    Key("c", "create", "Create", "Create or run a container: a form", rank=30),
    Key("y", "copy", "Copy", "Copy a name, an id, a command", rank=40),
    Key("x", "menu", "Menu", "All that can be done here, as a menu", rank=41),
    Key("slash", "seek", "Filter", "Filter a list, or find in what is shown", rank=42, display="/"),
    Key("left_square_bracket", "tab(-1)", "", "The tab before", display="["),
    Key("right_square_bracket", "tab(1)", "", "The tab after", display="]"),
    Key("1", "area('containers')", "", "Go to the containers"),
    Key("2", "area('images')", "", "Go to the images"),
    Key("3", "area('volumes')", "", "Go to the volumes"),
    Key("4", "area('detail')", "", "Go to the details"),
    Key("tab", "next_area(1)", "", "The next area"),
    Key("shift+tab", "next_area(-1)", "", "The area before"),
    Key("right,l", "into_detail", "", "From a list into the details", display="→ l"),
    Key("left,h", "out_of_detail", "", "Back to the list", display="← h"),
    Key("escape", "back", "", "Back; drop the filter"),
    Key("T", "theme", "", "Light or dark"),
    Key("question_mark", "help", "Help", "The keys that work here, and what they do", rank=90, display="?"),
    Key("colon,ctrl+p", "palette", "", "Every action by its name", display=":"),
    Key("q", "quit", "Quit", "Leave; containers go on running", rank=91),
    Key("ctrl+c", "interrupt", "", "Twice: leave"),
)

LIST = (
    Key("down,j", "cursor(1)", "", "The next row", display="↓ j"),
    Key("up,k", "cursor(-1)", "", "The row before", display="↑ k"),
    Key("g,home", "first", "", "The first row", display="g"),
    Key("G,end", "last", "", "The last row", display="G"),
    Key("pagedown", "page(1)", "", "A page down"),
    Key("pageup", "page(-1)", "", "A page up"),
)
OPENING_LIST = (Key("enter", "open", "Open", "Show it large", rank=8, display="⏎"),)

LINES = (
    Key("down,j", "scroll_down", "", "A line down", display="↓ j"),
    Key("up,k", "scroll_up", "", "A line up", display="↑ k"),
    Key("g,home", "scroll_home", "", "To the top", display="g"),
    Key("G,end", "scroll_end", "", "To the end", display="G"),
    Key("pagedown,space", "page_down", "", "A page down"),
    Key("pageup", "page_up", "", "A page up"),
)
FINDING = (
    Key("n", "find_next(1)", "Next", "The next match", rank=2),
    Key("N", "find_next(-1)", "Previous", "The match before", rank=3),
)
SEEK = (
    Key("enter", "submit", "Keep", "Keep the filter, go back to the list", rank=1, display="⏎"),
    Key("escape", "screen.back", "Drop", "Drop the filter", rank=2, display="esc"),
)
TICK = (Key("space", "turn", "Turn over", "Yes or no", rank=1),)
LOG = (
    Key("f", "follow", "Follow", "Follow what is written, or stay here", rank=6),
    Key("w", "wrap", "Wrap", "Break long lines, or cut them", rank=7),
)

TABLE: dict[str, tuple[Key, ...]] = {
    "A container": CONTAINER,
    "An image": IMAGE,
    "A volume": VOLUME,
    "Anywhere": EVERYWHERE,
    "In a list": LIST + OPENING_LIST,
    "In a text": LINES + FINDING,
    "In the log": LOG,
}

BY_ACTION = {key.action: key for keys in TABLE.values() for key in keys}


def bindings(*groups: Iterable[Key]) -> list[BindingType]:
    """Textual's bindings for these keys, in the table's order; `id` is the action, for a keymap of the user."""
    return [
        Binding(
            key.key, key.action, key.label, show=bool(key.label), key_display=key.display or None, tooltip=key.meaning,
            id=key.action,
        )
        for keys in groups
        for key in keys
    ]  # fmt: skip
