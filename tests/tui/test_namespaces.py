"""The interfaces of a container's network are read in its namespace, and nothing of ours is moved or copied for that."""

from __future__ import annotations

import os

import pytest

from tests.engine.running import running
from tests.machine import eventually, inode
from tuidock.engine import Engine
from tuidock.tui.panes.namespaces import interfaces


def test_interfaces_are_those_of_the_namespace(engine: Engine, busybox: str) -> None:
    with running(engine, "sleep", "1000", network="none") as container:
        found = interfaces(container.pid)
        assert not isinstance(found, str), found
        assert [(one.name, one.up) for one in found] == [("lo", True)]
        assert "127.0.0.1/8" in found[0].addresses


def test_reading_them_moves_no_thread_of_ours(engine: Engine, busybox: str) -> None:
    with running(engine, "sleep", "1000") as container:
        before = inode("self", "net")
        interfaces(container.pid)
        interfaces(container.pid)
        assert eventually(lambda: {inode(f"self/task/{thread}", "net") for thread in os.listdir("/proc/self/task")} == {before})


def test_reading_them_forks_nothing(engine: Engine, busybox: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child of a process with threads may wait for ever for a lock that nobody holds in it."""

    def fork() -> int:
        raise AssertionError("the screen forked")

    with running(engine, "sleep", "1000") as container:
        monkeypatch.setattr(os, "fork", fork)
        assert not isinstance(interfaces(container.pid), str)


def test_a_namespace_that_is_gone_is_said_in_words() -> None:
    assert str(interfaces(2**22 + 1)).startswith("they could not be read")
