"""The schema of an older tuidock becomes this one's, and nothing of what it had is lost."""

from __future__ import annotations

import sqlite3

import pytest

from tuidock.errors import TuidockError
from tuidock.storage import database
from tuidock.storage.database import Database
from tuidock.storage.paths import Roots


def shape(path: str) -> set[str]:
    with sqlite3.connect(path) as connection:
        return {row[0] for row in connection.execute("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL")}


def first_schema() -> str:
    """As it was before there was anything to bring up to date."""
    text = database.SCHEMA
    for addition in database.MIGRATIONS.values():
        text = text.replace(addition, "")
    return text


@pytest.fixture
def places(tmp_path) -> tuple[Roots, Roots]:
    pair = tuple(Roots(str(tmp_path / name), str(tmp_path / f"{name}-run")) for name in ("old", "new"))
    for roots in pair:
        roots.make()
    return pair


def test_version_one_is_brought_up_to_date(places):
    old, new = places
    with sqlite3.connect(old.database) as connection:
        connection.executescript(first_schema())
        connection.execute("INSERT INTO volumes VALUES ('kept', 0, '', '{}', 1)")
        connection.execute("PRAGMA user_version=1")
    assert Database(old).rows("SELECT name FROM volumes") == [("kept",)]
    assert Database(old).row("PRAGMA user_version") == Database(new).row("PRAGMA user_version")
    assert shape(old.database) == shape(new.database)


def test_a_migration_that_fails_changes_nothing(places, monkeypatch):
    old, _ = places
    with sqlite3.connect(old.database) as connection:
        connection.executescript(first_schema())
        connection.execute("PRAGMA user_version=1")
    before = shape(old.database)
    monkeypatch.setitem(database.MIGRATIONS, 1, database.NETWORKS + ";\nCREATE TABLE volumes (name TEXT) STRICT;\n")
    with pytest.raises(TuidockError):
        Database(old).rows("SELECT 1")
    assert shape(old.database) == before


def test_a_version_of_the_future_is_refused(places):
    old, _ = places
    with sqlite3.connect(old.database) as connection:
        connection.execute("PRAGMA user_version=999")
    with pytest.raises(TuidockError, match="999"):
        Database(old).rows("SELECT 1")
