"""What the first frame must not wait for."""

from __future__ import annotations

import subprocess
import sys

LATER = ("psutil", "pyroute2", "humanize", "tuidock.engine.containers", "tuidock.tui.panes.overview", "tuidock.tui.screens.run")


def test_the_first_frame_imports_neither_engine_nor_panes() -> None:
    loaded = subprocess.run(
        [sys.executable, "-c", "import sys, tuidock.tui.app; print(*sys.modules)"], check=True, capture_output=True, text=True
    ).stdout.split()
    assert [name for name in LATER if name in loaded] == []
