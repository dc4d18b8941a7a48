"""Messages between the processes of the runtime."""

from __future__ import annotations

import _socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.runtime import wire

MESSAGES = st.lists(st.tuples(st.sampled_from([wire.INPUT, wire.OUTPUT, wire.EXITED]), st.binary(max_size=200)), max_size=10)


@given(MESSAGES, st.integers(1, 50))
def test_messages_survive_any_cutting(messages, size):
    stream = b"".join(wire.pack(kind, payload) for kind, payload in messages)
    unpacker = wire.Unpacker()
    came = [message for start in range(0, len(stream), size) for message in unpacker.feed(stream[start : start + size])]
    assert came == messages


def test_a_length_that_lies_is_refused_before_it_is_believed():
    with pytest.raises(wire.Broken):
        list(wire.Unpacker().feed(b"i\xff\xff\xff\xff"))


def test_reading_from_a_socket_ends_with_none_and_a_cut_message_is_broken():
    ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
    theirs.sendall(wire.pack_json(wire.READY, {"pid": 7}) + b"o\0\0\0\x05ab")
    theirs.close()
    kind, payload = wire.read(ours)
    assert (kind, wire.read_json(payload)) == (wire.READY, {"pid": 7})
    with pytest.raises(wire.Broken):
        wire.read(ours)
    ours.close()


def test_an_object_is_an_object():
    with pytest.raises(wire.Broken):
        wire.read_json(b"[1]")
