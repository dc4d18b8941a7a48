"""A machine of each test's own: nothing here sees the real one's links, routes and tables."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.network.places import Place, machine, outside


@pytest.fixture(autouse=True)
def host() -> Iterator[Place]:
    """The namespace that this test takes for the machine's."""
    with machine() as place:
        yield place


@pytest.fixture
def world(host: Place) -> Iterator[Place]:
    """What lies outside of it."""
    with outside(host) as place:
        yield place
