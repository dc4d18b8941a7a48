"""Trees are removed whatever is in them, and nothing else is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tuidock.errors import InUse
from tuidock.storage.remove import remove_tree


def test_a_tree_deeper_than_a_path_is_long(tmp_path: Path) -> None:
    """A container can make one with a loop of mkdir and cd."""
    script = "import os\nfor _ in range(3000): os.mkdir('d'); os.chdir('d')\nopen('file', 'w').close()"
    (tmp_path / "tree").mkdir()
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path / "tree", check=True)
    remove_tree(str(tmp_path / "tree"))
    assert os.listdir(tmp_path) == []


def test_links_are_not_followed(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    (kept / "file").touch()
    tree = tmp_path / "tree"
    (tree / "a" / "b").mkdir(parents=True)
    (tree / "a" / "link").symlink_to(kept)
    (tree / "a" / "b" / "link").symlink_to(kept / "file")
    remove_tree(str(tree))
    assert (kept / "file").exists()
    (tmp_path / "link").symlink_to(kept)
    remove_tree(str(tmp_path / "link"))
    assert os.listdir(tmp_path) == ["kept"]
    assert (kept / "file").exists()


def test_what_is_not_there_is_no_error(tmp_path: Path) -> None:
    remove_tree(str(tmp_path / "nothing"))
    remove_tree(str(tmp_path / "nothing" / "below"))


@pytest.mark.root
def test_a_mount_below_is_somebody_elses(tmp_path: Path) -> None:
    mounted = tmp_path / "tree" / "a" / "m"
    mounted.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", mounted], check=True)
    try:
        (mounted / "file").touch()
        with pytest.raises(InUse, match="something is mounted"):
            remove_tree(str(tmp_path / "tree"))
    finally:
        found = [line.split()[4] for line in open("/proc/self/mountinfo") if str(tmp_path) in line]
        assert len(found) == 1
        assert os.path.exists(f"{found[0]}/file")
        subprocess.run(["umount", found[0]], check=True)
