"""Frozen values."""

from __future__ import annotations

import pytest

from tuidock.oci.value import Value


class Point(Value):
    x: int
    y: int = 0
    """with a default"""


class Named(Point):
    name: str = "a"


def test_fields_come_by_place_by_name_and_by_default():
    assert Point(1) == Point(1, y=0) == Point(x=1)
    assert Named(1, name="b").as_dict() == {"x": 1, "y": 0, "name": "b"}
    assert repr(Point(1, 2)) == "Point(x=1, y=2)"


def test_values_of_different_kinds_differ():
    assert Point(1, 0) != Named(1, 0)
    assert len({Point(1), Point(1), Point(2)}) == 2


def test_a_value_stays_as_it_is():
    point = Point(1)
    with pytest.raises(AttributeError, match="frozen"):
        point.x = 2  # type: ignore[misc]
    assert point.replace(x=2) == Point(2)
    assert point == Point(1)


@pytest.mark.parametrize(("values", "named"), [((), {}), ((1, 2, 3), {}), ((1,), {"x": 2}), ((1,), {"z": 2})])
def test_wrong_fields_are_refused(values, named):
    with pytest.raises(TypeError):
        Point(*values, **named)
