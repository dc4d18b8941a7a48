from __future__ import annotations

from textual.content import Content

from tests.tui.screens import plain
from tuidock.tui.widgets import drawing


def test_a_chart_is_as_large_as_asked_and_full_at_its_ceiling() -> None:
    assert plain(drawing.chart([0, 50, 100], 5, 2, 100, "$cpu")) == "    █\n   ██"


def test_a_chart_shows_the_newest_and_never_hides_a_little() -> None:
    assert plain(drawing.chart([9, 9, 0, 0.01, 4], 3, 1, 8, "$cpu")) == " ▁▄"


def test_what_is_over_the_ceiling_stays_inside() -> None:
    assert plain(drawing.chart([300], 1, 1, 100, "$cpu")) == "█"


def test_every_line_of_a_box_has_its_width() -> None:
    for width in (20, 30, 80):
        lines = drawing.box([Content("x" * 50), Content("")], width, Content("read-write layer"), "3 files · 12 B", "$rw")
        assert {line.cell_length for line in lines} == {width}, width


def test_blocks_stand_side_by_side() -> None:
    left, right = [Content("aa"), Content("b")], [Content("c")]
    assert plain(drawing.beside([left, right])) == "aa  c\nb    "


def test_facts_have_their_values_in_one_column() -> None:
    assert plain(drawing.facts([("id", "x"), ("command", "y")], 40)) == "id       x\ncommand  y"
