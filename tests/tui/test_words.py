from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tuidock.tui import words


@given(st.text(alphabet=st.characters(categories=("L", "N", "P"))), st.integers(1, 40))
def test_fit_is_exactly_as_wide_as_asked(text: str, width: int) -> None:
    """In cells, so also for letters that take two."""
    assert cell_len(words.fit(text, width)) == width


@pytest.mark.parametrize(
    ("text", "width", "shown"), [("abc", 5, "abc  "), ("abcdef", 4, "abc…"), ("容器容器", 5, "容器…"), ("x", 0, "")]
)
def test_fit(text: str, width: int, shown: str) -> None:
    assert words.fit(text, width) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0, "0 s"), (59, "59 s"), (61, "1 min"), (7300, "2 h"), (3 * 86400, "3 d"), (800 * 86400, "2 y")]
)
def test_span(seconds: float, shown: str) -> None:
    assert words.span(seconds) == shown


def test_never_is_said() -> None:
    assert words.since(0) == "–"
    assert words.ago(0) == "never"
    assert words.ago(time.time_ns() - 180 * 10**9) == "3 minutes ago"


@pytest.mark.parametrize(
    ("count", "shown"), [(0, "0 B"), (1, "1 B"), (999, "999 B"), (4_260_000, "4.26 MB"), (121_000_000, "121 MB")]
)
def test_sizes_are_dockers(count: int, shown: str) -> None:
    assert words.size(count) == shown


def test_plural() -> None:
    assert [words.plural(count, "layer") for count in (0, 1, 2)] == ["no layers", "1 layer", "2 layers"]


@given(st.text(), st.integers(1, 40))
def test_fit_of_anything_is_one_line_of_that_width(text: str, width: int) -> None:
    """Names of files and commands come from strangers."""
    shown = words.fit(text, width)
    assert cell_len(shown) == width
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in shown)


@pytest.mark.parametrize(
    ("path", "width", "shown"),
    [
        ("/a/b", 6, "/a/b  "),
        ("/usr/lib/x.so", 6, "…/x.so"),
        ("/data/容器", 5, "…容器"),
        ("/data/容器", 4, "…器 "),
        ("/a", 1, "…"),
    ],
)
def test_of_a_path_the_end_is_kept(path: str, width: int, shown: str) -> None:
    assert words.fit_path(path, width) == shown


@pytest.mark.parametrize(
    ("text", "cells", "shown"),
    [("sh -c 'a\n  b\n'", 40, "sh -c 'a ↵ b ↵ '"), ("abcdef", 4, "abc…"), ("\x1b[2Jx", 9, "␛[2Jx"), ("", 3, "")],
)
def test_a_script_as_one_line(text: str, cells: int, shown: str) -> None:
    assert words.brief(text, cells) == shown
