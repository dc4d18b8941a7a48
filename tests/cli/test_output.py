"""What docker's columns say: durations, sizes, tables, times, filters."""

from __future__ import annotations

import time

import pytest

from tests.cli.columns import container
from tuidock.cli.filters import BadFilter, Filters
from tuidock.cli.formats import Listing, label_method, label_title, row
from tuidock.cli.output import ago, binary_size, ellipsis, human_duration, human_size, rfc3339, short_id, status_text, table
from tuidock.cli.progress import line
from tuidock.cli.times import BadTime, moment
from tuidock.engine.quantities import duration, integer, quote
from tuidock.image.intake import Progress

MINUTE, HOUR, DAY = 60, 3600, 86400
NANO = 1_000_000_000


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.45, "Less than a second"), (1, "1 second"), (45, "45 seconds"), (59.9, "59 seconds"), (MINUTE, "About a minute"),
        (119, "About a minute"), (2 * MINUTE, "2 minutes"), (59 * MINUTE + 59, "59 minutes"), (HOUR, "About an hour"),
        (89 * MINUTE, "About an hour"), (90 * MINUTE, "2 hours"), (47 * HOUR, "47 hours"), (48 * HOUR, "2 days"),
        (13 * DAY, "13 days"), (14 * DAY, "2 weeks"), (30 * DAY, "4 weeks"), (60 * DAY, "2 months"), (364 * DAY, "12 months"),
        (730 * DAY, "2 years"), (3650 * DAY, "10 years"),
    ],
)  # fmt: skip
def test_durations(seconds: float, text: str) -> None:
    """go-units duration_test.go."""
    assert human_duration(seconds) == text


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0B"), (999, "999B"), (1000, "1kB"), (1024, "1.024kB"), (1984302, "1.984MB"), (10**15, "1PB"), (2746e9, "2.746TB")],
)
def test_decimal_sizes(size: float, text: str) -> None:
    """go-units size_test.go."""
    assert human_size(size) == text


def test_other_sizes() -> None:
    assert human_size(1984302, 3) == "1.98MB"
    assert binary_size(1024) == "1KiB"
    assert binary_size(25276502016) == "23.54GiB"
    assert binary_size(876544) == "856KiB"


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ("created", "Created"),
        ("running", "Up 5 minutes"),
        ("paused", "Up 5 minutes (Paused)"),
        ("exited", "Exited (137) 3 seconds ago"),
        ("removing", "Removal In Progress"),
    ],
)
def test_status(status: str, text: str) -> None:
    now = 10_000 * NANO
    shown = container(status=status, started_at=now - 300 * NANO, finished_at=now - 3 * NANO, exit_code=137)
    assert status_text(shown, now) == text


def test_words_cut_short() -> None:
    assert ellipsis("sh -c 'for i in 1 2 3; do", 20) == "sh -c 'for i in 1 2…"
    assert ellipsis("twenty characters ok", 20) == "twenty characters ok"
    assert ellipsis("ＡＢＣＤＥ", 6) == "ＡＢ…"
    assert short_id("sha256:0123456789abcdef") == "0123456789ab"
    assert short_id("0123456789abcdef") == "0123456789ab"
    assert ago(7 * NANO, 12 * NANO) == "5 seconds ago"


def test_a_table_is_aligned_as_tabwriter_does_it() -> None:
    assert table("ID\tNAME\nabc\ta\nabcdefghijkl\tb\n") == "ID             NAME\nabc            a\nabcdefghijkl   b\n"
    assert table("A\tB\tC\nD\tE\tF\n") == "A         B         C\nD         E         F\n"


def test_a_line_without_the_column_ends_its_run() -> None:
    assert table("a\tb\nlonger than ten\nc\td\n") == "a         b\nlonger than ten\nc         d\n"


LISTING = Listing({"ID": "CONTAINER ID", "Names": "NAMES"}, "{{.ID}}\t{{.Names}}")
ROWS = [
    row("ContainerContext", ID="1", Names="a", Label=label_method({"my.app-x": "v"})),
    row("ContainerContext", ID="2", Names="b"),
]


@pytest.mark.parametrize(
    ("form", "text"),
    [
        ("", "CONTAINER ID   NAMES\n1              a\n2              b\n"),
        ("table", "CONTAINER ID   NAMES\n1              a\n2              b\n"),
        ("table {{.Names}}", "NAMES\na\nb\n"),
        (r"table {{.Names}}\t{{.ID}}", "NAMES     CONTAINER ID\na         1\nb         2\n"),
        ("{{.Names}}", "a\nb\n"),
        (r"{{.Names}}\n-", "a\n-\nb\n-\n"),
        ("json", '{"ID":"1","Names":"a"}\n{"ID":"2","Names":"b"}\n'),
        ("{{json .Names}}", '"a"\n"b"\n'),
        ("table {{upper .Names}}", "NAMES\nA\nB\n"),
    ],
)
def test_formats(form: str, text: str) -> None:
    assert LISTING.text(ROWS, form) == text


def test_quiet_is_for_tables_only() -> None:
    assert LISTING.text(ROWS, "", quiet=True) == "1\n2\n"
    assert LISTING.text(ROWS, "{{.Names}}", quiet=True) == "a\nb\n"


def test_the_title_of_a_label() -> None:
    assert label_title("com.example.my-app_x") == "my app x"
    assert LISTING.text(ROWS[:1], 'table {{.Label "my.app-x"}}') == "app x\nv\n"


def test_filters() -> None:
    filters = Filters(["name=^a", "name=b$", "label=k", "label=l=1", "status=exited"], ("name", "label", "status"))
    assert filters.matching("name", "ax")
    assert filters.matching("name", "xb")
    assert not filters.matching("name", "xay")
    assert filters.labels({"k": "", "l": "1"})
    assert not filters.labels({"k": ""})
    assert filters.exact("status", "exited")
    assert not filters.exact("status", "running")
    assert filters.exact("volume", "anything")


def test_wrong_filters() -> None:
    with pytest.raises(BadFilter, match="invalid filter 'foo'"):
        Filters(["foo=bar"], ("name",))
    with pytest.raises(BadFilter, match="invalid filter 'name=\\['"):
        Filters(["name=["], ("name",)).matching("name", "a")
    with pytest.raises(BadFilter, match="true or false"):
        Filters(["dangling=perhaps"], ("dangling",)).truth("dangling")


def test_moments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    assert moment("", "since") == 0
    assert moment("2013-01-02T13:23:37Z", "since") == 1357133017 * NANO
    assert moment("2013-01-02T13:23:37.123456789Z", "since") == 1357133017 * NANO + 123456789
    assert moment("2013-01-02", "since") == 1357084800 * NANO
    assert moment("1136073845.000000001", "since") == 1136073845 * NANO + 1
    assert moment("1136073845", "since") == 1136073845 * NANO
    assert abs(time.time_ns() - 600 * NANO - moment("10m", "since")) < NANO
    with pytest.raises(BadTime, match='invalid value for "since": failed to parse value as time or duration: "soon"'):
        moment("soon", "since")


@pytest.mark.parametrize(("text", "seconds"), [("1h30m", 5400), ("1.5s", 1.5), ("300ms", 0.3), ("-2m", -120), ("0", 0)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'time: invalid duration ""'),
        ("5", 'time: missing unit in duration "5"'),
        ("5x", 'time: unknown unit "x" in duration "5x"'),
        ("s", 'time: invalid duration "s"'),
    ],
)
def test_wrong_durations(text: str, message: str) -> None:
    with pytest.raises(ValueError) as refused:
        duration(text)
    assert str(refused.value) == message


@pytest.mark.parametrize(("text", "value"), [("10", 10), ("-1", -1), ("0x1f", 31), ("017", 15), ("1_000", 1000)])
def test_integers(text: str, value: int) -> None:
    assert integer(text) == value


@pytest.mark.parametrize("text", ["", "1.5", " 1", "--1", "09", "1e3"])
def test_wrong_integers(text: str) -> None:
    with pytest.raises(ValueError, match="invalid syntax"):
        integer(text)


def test_quoting() -> None:
    assert quote('a "b"\\\n\x01é') == '"a \\"b\\"\\\\\\n\\x01é"'


def test_times_of_logs_and_events() -> None:
    assert rfc3339(1795467431685959638, local=False) == "2026-11-23T20:57:11.685959638Z"
    assert rfc3339(1795467431 * NANO, fraction=False, local=False) == "2026-11-23T20:57:11Z"


def test_a_line_of_progress() -> None:
    assert line(Progress("layer abc", 0, 0), 80) == "layer abc  "
    assert line(Progress("layer abc", 500_000, 1_000_000), 80) == f"layer abc  [{'=' * 15 + '>':<30}]  500kB/1MB"
    assert line(Progress("layer abc", 2, 2), 80) == f"layer abc  [{'=' * 30}]  2B/2B"
    assert len(line(Progress("x" * 100, 1, 2), 80)) == 79
