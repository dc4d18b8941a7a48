"""Locks, and the removal of trees."""

from __future__ import annotations

import os
import threading

import pytest

from tuidock.storage.locks import Lock
from tuidock.storage.remove import remove_tree


def test_a_lock_excludes_and_a_shared_one_does_not(tmp_path):
    path = str(tmp_path / "lock")
    with Lock(path):
        assert not Lock(path).take(wait=False)
    with Lock(path, shared=True):
        shared = Lock(path, shared=True)
        assert shared.take(wait=False)
        shared.release()
        assert not Lock(path).take(wait=False)


def test_a_lock_whose_subject_went_is_nobodys(tmp_path):
    """Who waited for it gets a lock on a file that exists, and not on the one that was removed."""
    path = str(tmp_path / "lock")
    first = Lock(path)
    first.take()
    second = Lock(path)
    waiting = threading.Thread(target=second.take)
    waiting.start()
    first.spent = True
    first.release()
    waiting.join(5)
    assert os.path.exists(path)
    assert not Lock(path).take(wait=False)
    second.release()


def test_a_tree_goes_and_what_its_links_point_to_stays(tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept").write_text("x")
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "link").symlink_to(outside)
    (tree / "a" / "file").write_text("y")
    remove_tree(str(tree))
    assert not tree.exists()
    assert (outside / "kept").read_text() == "x"


def test_a_tree_that_is_a_link_loses_the_link_only(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    remove_tree(str(tmp_path / "link"))
    assert (tmp_path / "there").exists()
    assert not (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("path", ["nothing", "no/such/parent"])
def test_what_is_not_there_is_removed_already(tmp_path, path):
    remove_tree(str(tmp_path / path))
