"""What goes by itself while a tree is removed does not keep the rest of it."""

from __future__ import annotations

import os

import pytest

from tuidock.storage.remove import remove_tree


@pytest.mark.parametrize("when", ["stat", "unlink"])
def test_a_file_that_somebody_else_takes_away(tmp_path, monkeypatch, when):
    tree = tmp_path / "tree"
    (tree / "sub").mkdir(parents=True)
    for name in ("a", "b", "sub/c"):
        (tree / name).write_text("x")
    real = getattr(os, when)

    def late(name, *words, **more):
        if name == "a":
            try:
                os.rename(tree / "a", tmp_path / "gone")
            except FileNotFoundError:
                pass
        return real(name, *words, **more)

    monkeypatch.setattr(os, when, late)
    remove_tree(str(tree))
    assert not tree.exists()
