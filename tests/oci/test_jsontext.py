"""The quick way to JSON agrees with the slow one."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.oci import jsontext

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(VALUES)
def test_what_goes_out_comes_back(value):
    assert json.loads(jsontext.dumps(value)) == value
    assert jsontext.loads(json.dumps(value, indent=2)) == value


@given(st.text())
def test_what_json_refuses_is_refused(text):
    try:
        expected = json.loads(text, parse_constant=lambda name: pytest.skip(name))
    except ValueError:
        with pytest.raises(ValueError):
            jsontext.loads(text)
    else:
        assert jsontext.loads(text) == expected


@pytest.mark.parametrize("text", ["", "{", "{}x", "[1,]", '"\x01"', "NaN", "nul", "\x00", "{1:2}"])
def test_broken_texts_are_a_value_error(text):
    with pytest.raises(ValueError):
        jsontext.loads(text)


def test_bytes_are_utf8():
    assert jsontext.loads('{"é": "ü"}'.encode()) == {"é": "ü"}
