"""Themes from files: one TOML file each, `themes/` of a checkout or `tuidock/themes/` of an installed wheel.

A file has the colours that Textual's design system starts from ([colors]) and the roles that tuidock's own drawing names
([roles]): `running`, `added`, `shared-1` …  No widget names a colour.  A theme that knows nothing of roles, as Textual's own,
gets them from its design colours, so that every theme there is can be chosen.
"""

from __future__ import annotations

import dataclasses
import os
import tomllib
from typing import TYPE_CHECKING

from rich.terminal_theme import TerminalTheme
from textual._ansi_theme import ALABASTER, MONOKAI
from textual.color import Color, ColorParseError
from textual.theme import Theme

from tuidock.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

DEFAULT = "dock-night"
DEFAULT_LIGHT = "dock-day"

_DERIVED = {
    "edge": "panel", "focus": "primary", "muted": "foreground 65%", "faint": "foreground 35%", "heading": "foreground",
    "cursor": "primary 30%", "match": "warning 40%",
    "running": "success", "stopped": "foreground 65%", "created": "warning", "paused": "secondary", "failed": "error",
    "added": "success", "changed": "warning", "removed": "error",
    "rw": "success", "init": "secondary", "image": "primary", "volume": "accent",
    "host": "foreground 65%", "own": "foreground",
    "shared-1": "accent", "shared-2": "primary", "shared-3": "secondary", "shared-4": "success", "shared-5": "warning",
    "shared-6": "error",
    "cpu": "primary", "memory": "secondary", "pids": "success",
}  # fmt: skip
"""Role to the design colour that stands in for it."""

ROLES = tuple(_DERIVED)


def folder() -> str:
    """Where the theme files lie: in the wheel below the package, in a checkout beside it."""
    package = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    installed = os.path.join(package, "themes")
    return installed if os.path.isdir(installed) else os.path.join(os.path.dirname(package), "themes")


def load(path: str) -> Theme:
    """The theme of one file; a role that it does not name follows from its colours.

    Raises Refused naming the file and what is wrong in it.
    """
    try:
        with open(path, "rb") as file:
            text = tomllib.load(file)
        colors, named = text["colors"], text.get("roles", {})
        unknown = sorted(set(named) - set(ROLES))
        if unknown:
            raise Refused(f"{path}: no such role: {', '.join(unknown)}", f"the roles are {', '.join(ROLES)}")
        for name, colour in {**colors, **named}.items():
            _parse(name, colour)
        bare = Theme(name=text["name"], dark=text.get("dark", True), **colors)
        roles = {**derived_roles(bare), **named}
        design = bare.to_color_system().generate()
        return dataclasses.replace(bare, variables={**roles, **_dress({**design, **colors}, roles)})
    except KeyError as error:
        raise Refused(f"{path}: {error.args[0]} is missing", "see the other files in the same folder") from error
    except (OSError, tomllib.TOMLDecodeError, TypeError, ValueError) as error:
        raise Refused(f"{path}: {error}") from error


def _parse(name: str, words: object) -> Color:
    """`#rrggbb`, a name of CSS, either with a share of opacity (`#808080 40%`).  Raises ValueError naming what it is of."""
    hue, _, percent = str(words).partition(" ")
    try:
        colour = Color.parse(hue)
        return colour.with_alpha(float(percent.rstrip("%")) / 100) if percent else colour
    except (ColorParseError, ValueError) as error:
        raise ValueError(f"{name} = {words!r} is no colour") from error


def every() -> Iterator[Theme]:
    """All of the folder, in the order of their names."""
    where = folder()
    for name in sorted(os.listdir(where)):
        if name.endswith(".toml"):
            yield load(os.path.join(where, name))


def of_user() -> tuple[list[Theme], list[Refused]]:
    """Those in the user's own folder (`$XDG_CONFIG_HOME/tuidock/themes`, else `~/.config/…`), and why others are none."""
    where = os.path.join(os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config"), "tuidock", "themes")
    found: list[Theme] = []
    wrong: list[Refused] = []
    try:
        names = sorted(os.listdir(where))
    except OSError:
        return found, wrong
    for name in names:
        if name.endswith(".toml"):
            try:
                found.append(load(os.path.join(where, name)))
            except Refused as error:
                wrong.append(error)
    return found, wrong


def derived_roles(theme: Theme) -> dict[str, str]:
    """The roles of a theme that has none of its own, as colours that Textual's CSS can read."""
    design = theme.to_color_system().generate()

    def colour(words: str) -> str:
        name, _, alpha = words.partition(" ")
        return f"{design[name]} {alpha}".strip()

    return {role: colour(words) for role, words in _DERIVED.items()}


_SIXTEEN = (
    "faint", "failed", "running", "created", "image", "shared-3", "shared-2", "foreground",
    "muted", "failed", "running", "created", "image", "shared-3", "shared-2", "foreground",
)  # fmt: skip
"""Roles in the order of SGR 30 to 37, then 90 to 97: black, red, green, yellow, blue, magenta, cyan, white."""


def sixteen(theme: Theme) -> TerminalTheme:
    """The colours that programs in containers write with (SGR), as this theme has them: they can be read on its ground.

    A theme of the terminal's own colours (Textual's ansi-dark) has no hues to take; it gets those of Textual.
    """
    design = theme.to_color_system().generate()
    words = {**design, **derived_roles(theme), **theme.variables}
    ground = Color.parse(design["background"])
    if ground.ansi is not None:
        return MONOKAI if theme.dark else ALABASTER

    def colour(name: str) -> tuple[int, int, int]:
        found = _parse(name, words[name])
        return ground.blend(found.with_alpha(1), found.a).rgb

    shades = [colour(name) for name in _SIXTEEN]
    return TerminalTheme(ground.rgb, colour("foreground"), shades[:8], shades[8:])


def _dress(colors: dict[str, str], roles: dict[str, str]) -> dict[str, str]:
    """What Textual's own widgets (inputs, palette, scrollbars) take from our roles, so that they look like ours."""
    return {
        "block-cursor-background": roles["cursor"],
        "block-cursor-foreground": colors["foreground"],
        "block-cursor-text-style": "none",
        "block-cursor-blurred-background": roles["cursor"],
        "border": roles["focus"],
        "border-blurred": roles["edge"],
        "footer-key-foreground": colors["accent"],
        "scrollbar": roles["faint"],
        "scrollbar-hover": roles["muted"],
        "scrollbar-active": roles["focus"],
        "scrollbar-background": colors["background"],
        "scrollbar-background-hover": colors["background"],
        "scrollbar-background-active": colors["background"],
        "scrollbar-corner-color": colors["background"],
    }
