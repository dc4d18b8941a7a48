"""The log's frames, and lines from frames."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st

from tuidock.runtime import log


def frames(path):
    reader = log.Reader(str(path))
    try:
        return list(reader.frames())
    finally:
        reader.close()


def test_what_is_written_is_read(tmp_path):
    writer = log.Writer(str(tmp_path / "log"))
    writer.write(5, log.STDOUT, b"a\n")
    writer.write(6, log.STDERR, b"\xff\x00")
    writer.close()
    assert frames(tmp_path / "log") == [(5, 1, b"a\n"), (6, 2, b"\xff\x00")]


def test_a_frame_that_a_crash_cut_off_is_the_end(tmp_path):
    writer = log.Writer(str(tmp_path / "log"))
    writer.write(5, log.STDOUT, b"whole\n")
    writer.write(6, log.STDOUT, b"cut off\n")
    writer.close()
    os.truncate(tmp_path / "log", os.path.getsize(tmp_path / "log") - 3)
    assert frames(tmp_path / "log") == [(5, 1, b"whole\n")]


def test_a_reader_goes_on_where_it_was(tmp_path):
    writer = log.Writer(str(tmp_path / "log"))
    reader = log.Reader(str(tmp_path / "log"))
    writer.write(1, log.STDOUT, b"a")
    assert [content for _, _, content in reader.frames()] == [b"a"]
    assert list(reader.frames()) == []
    writer.write(2, log.STDOUT, b"b")
    assert [content for _, _, content in reader.frames()] == [b"b"]


def lines(*pieces):
    whole = log.Lines()
    return [line for piece in pieces for line in whole.feed(*piece)] + list(whole.rest())


def test_a_line_in_several_reads_is_one_line_with_the_time_of_its_first_byte():
    assert lines((1, 1, b"he"), (2, 2, b"err\n"), (3, 1, b"llo\nx")) == [
        log.LogLine(2, "stderr", b"err"),
        log.LogLine(1, "stdout", b"hello"),
        log.LogLine(3, "stdout", b"x", False),
    ]


def test_a_long_line_comes_in_parts():
    came = lines((1, 1, b"x" * (log.LINE_LIMIT + 5) + b"\n"))
    assert [(len(line.text), line.complete) for line in came] == [(log.LINE_LIMIT, False), (5, True)]


@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=60)), max_size=20))
def test_no_byte_is_lost_or_added(pieces):
    came = lines(*((number, stream, content) for number, (stream, content) in enumerate(pieces)))
    for stream, name in log.STREAMS.items():
        written = b"".join(content for its, content in pieces if its == stream)
        given_ = b"".join(line.text + (b"\n" if line.complete else b"") for line in came if line.stream == name)
        assert given_ == written
