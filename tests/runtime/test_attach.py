"""What stands between a keyboard and a container."""

from __future__ import annotations

import pytest

from tuidock.errors import CommandNotFound, RuntimeFailure
from tuidock.runtime import attach


@pytest.mark.parametrize(
    ("keys", "typed", "passed", "left"),
    [
        (b"\x10\x11", [b"ls\x10\x11more"], b"ls", True),
        (b"\x10\x11", [b"\x10", b"\x11"], b"", True),
        (b"\x10\x11", [b"\x10", b"a"], b"\x10a", False),  # the first key is passed on when the second does not follow
        (b"\x10\x11", [b"\x10\x10", b"\x11"], b"\x10", True),
        (b"", [b"\x10\x11"], b"\x10\x11", False),
        (b"abc", [b"ababc"], b"ab", True),
    ],
)
def test_detach_keys(keys, typed, passed, left):
    detach = attach._Detach(keys)
    came = [detach.feed(piece) for piece in typed]
    assert b"".join(content for content, _ in came) == passed
    assert any(done for _, done in came) is left


def test_what_the_other_side_raised_is_raised_here():
    error = attach.failure({"kind": "CommandNotFound", "message": "m", "hint": "h"})
    assert isinstance(error, CommandNotFound)
    assert (error.exit_status, error.message, error.hint) == (127, "m", "h")


@pytest.mark.parametrize("kind", ["Exception", "SystemExit", "annotations", "", None])
def test_a_kind_that_is_no_error_of_ours_is_a_failure(kind):
    assert type(attach.failure({"kind": kind, "message": "m"})) is RuntimeFailure
