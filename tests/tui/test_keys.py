"""The table of keys is what the screen obeys."""

from __future__ import annotations

from collections import Counter
from itertools import chain

import pytest

from tuidock.tui import keys
from tuidock.tui.panes.logs import Logs
from tuidock.tui.screens.main import Main, Seek
from tuidock.tui.widgets.lines import Lines
from tuidock.tui.widgets.listing import Listing
from tuidock.tui.widgets.tick import Tick

WHO = {
    "A container": Main,
    "An image": Main,
    "A volume": Main,
    "Anywhere": Main,
    "In a list": Listing,
    "In a text": Lines,
    "In the log": Logs,
}


@pytest.mark.parametrize("title", keys.TABLE)
def test_each_action_of_the_table_exists(title: str) -> None:
    for key in keys.TABLE[title]:
        action = key.action.partition("(")[0]
        assert hasattr(WHO[title], f"action_{action}"), f"{key.key} promises {action}"


@pytest.mark.parametrize(("table", "widget"), [(keys.SEEK, Seek), (keys.TICK, Tick)])
def test_each_action_of_a_small_widget_exists(table: tuple[keys.Key, ...], widget: type) -> None:
    for key in table:
        name = key.action.rpartition(".")[2]
        assert hasattr(Main if key.action.startswith("screen.") else widget, f"action_{name}")


@pytest.mark.parametrize("kind", ["container", "image", "volume"])
def test_no_key_has_two_meanings_for_one_subject(kind: str) -> None:
    groups = (keys.CONTAINER, keys.IMAGE, keys.VOLUME, keys.EVERYWHERE)
    words = [word for key in chain(*groups) if key.subject in ("", kind) for word in key.key.split(",")]
    assert [word for word, count in Counter(words).items() if count > 1] == []


def test_every_key_has_a_meaning_and_every_label_is_short() -> None:
    for key in chain(*keys.TABLE.values()):
        assert key.meaning, key
        assert len(key.label) <= 13, key


def test_a_key_that_destroys_says_so_or_asks() -> None:
    """Upper case is the stronger form: K kills where t asks."""
    table = {key.action: key.key for key in keys.CONTAINER}
    assert table["kill"].isupper()
    assert table["stop"].islower()
