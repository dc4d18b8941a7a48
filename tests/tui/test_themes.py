"""Each theme file has every role, and can be read: contrast as WCAG 2.2 computes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from textual.color import Color
from textual.theme import BUILTIN_THEMES, Theme

from tests.tui.screens import screen
from tuidock.errors import Refused
from tuidock.storage.paths import Roots
from tuidock.tui import themes

OURS = {theme.name: theme for theme in themes.every()}
NOT_TEXT = {"edge", "faint", "cursor", "match"}
"""Roles of lines, grounds and what may be overlooked."""


def luminance(color: Color) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = (part / 255 for part in (color.r, color.g, color.b))
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(Color.parse(one)), luminance(Color.parse(other))), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def test_there_are_a_dark_a_light_and_a_high_contrast_one() -> None:
    assert OURS[themes.DEFAULT].dark
    assert not OURS[themes.DEFAULT_LIGHT].dark
    assert "high-contrast" in OURS


@pytest.mark.parametrize("name", OURS)
def test_a_theme_has_every_role(name: str) -> None:
    assert set(themes.ROLES) <= set(OURS[name].variables)


@pytest.mark.parametrize("name", OURS)
def test_what_is_text_can_be_read(name: str) -> None:
    theme = OURS[name]
    least = 7.0 if name == "high-contrast" else 4.5
    for ground in (theme.background, theme.variables["cursor"], theme.panel):
        assert ground is not None
        needed = least if ground == theme.background else 4.5 if name == "high-contrast" else 3.0
        for role in set(themes.ROLES) - NOT_TEXT:
            assert contrast(theme.variables[role], ground) >= needed, f"{role} on {ground}"


@pytest.mark.parametrize("theme", BUILTIN_THEMES.values(), ids=lambda theme: theme.name)
def test_themes_of_textual_get_their_roles(theme: Theme) -> None:
    assert set(themes.derived_roles(theme)) == set(themes.ROLES)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('name = "x"', "colors is missing"),
        ('name = "x"\n[colors]\n[roles]\nrunnning = "#fff"', "no such role: runnning"),
        ("name = ", "Invalid value"),
        ('name = "x"\n[colors]\nprimary = "blurple"', "primary = 'blurple' is no colour"),
        ('name = "x"\n[colors]\nprimary = "#123456"\n[roles]\nmuted = "#fff 4o%"', "muted = '#fff 4o%' is no colour"),
        ('name = "x"\n[colors]\nprimry = "#123456"', "primry"),
    ],
)
def test_a_wrong_file_is_named_with_what_is_wrong(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(Refused, match=r"mine\.toml") as caught:
        themes.load(str(tmp_path / "mine.toml"))
    assert says in caught.value.message


@pytest.mark.parametrize("name", OURS)
def test_what_containers_write_in_colour_can_be_read(name: str) -> None:
    theme = OURS[name]
    assert theme.background is not None
    shades = themes.sixteen(theme).ansi_colors
    for number in (*range(1, 8), *range(9, 16)):  # 0 and 8 are black, which programs choose to be seen less
        shade = Color(*shades[number]).hex
        assert contrast(shade, theme.background) >= 4.5, f"SGR colour {number} is {shade}"


@pytest.mark.parametrize("theme", BUILTIN_THEMES.values(), ids=lambda theme: theme.name)
def test_themes_of_textual_have_sixteen_colours(theme: Theme) -> None:
    assert len({themes.sixteen(theme).ansi_colors[number] for number in range(8)}) >= 2


MINE = """\
name = "mine"
[colors]
primary = "#ff8800"
background = "#101010"
foreground = "#eeeeee"
[roles]
running = "#00ff00"
muted = "#eeeeee 50%"
"""


async def test_a_theme_of_ones_own(roots: Roots, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A few colours are enough; a file that is wrong is named, and hinders nothing."""
    folder = tmp_path / "tuidock" / "themes"
    folder.mkdir(parents=True)
    (folder / "mine.toml").write_text(MINE)
    (folder / "broken.toml").write_text('name = "broken"\n[colors]\nprimary = "blurple"')
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("TUIDOCK_THEME", "mine")
    async with screen(roots) as shown:
        await shown.waits_for("blurple")
        assert shown.app.theme == "mine"
        assert shown.app.theme_variables["running"] == "#00ff00"
        assert shown.main.styles.background == Color.parse("#101010")
        assert contrast(Color(*shown.app.ansi_theme.ansi_colors[2]).hex, "#00ff00") == 1
