"""The Python of the starter image: the one that runs this, wherever it is installed."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from tuidock.image.libraries import MissingLibrary

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuidock.image.contents import Contents

NAME = f"python{sys.version_info.major}.{sys.version_info.minor}"
LEFT_OUT = frozenset(
    ("__pycache__", "site-packages", "dist-packages", "test", "tests", "idle_test", "idlelib", "tkinter", "turtledemo")
)
"""Folders: what others installed, what tests, what wants a screen."""
LEFT_OUT_FILES = ("EXTERNALLY-MANAGED", "turtle.py")
LEFT_OUT_MODULES = ("_tkinter", "_test", "_xx", "xx")
OPEN = ("/usr", "/opt")
"""Where an installation can stay as it is; from elsewhere (a home that only its owner may enter) it moves to /usr/local."""
MOVED = "/usr/local"


def version() -> str:
    """Such as `Python 3.11.7 and its standard library`."""
    return f"Python {sys.version.partition(' ')[0]} and its standard library"


class Python:
    """The interpreter below all virtual environments."""

    def __init__(self) -> None:
        self.program = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
        self.prefix = os.path.realpath(sys.base_prefix)
        self.home = self.prefix if self.prefix.startswith(OPEN) else MOVED

    def place(self, path: str) -> str:
        """Where a path of the installation is in the image."""
        inside = os.path.realpath(path)
        if inside == self.prefix or inside.startswith(self.prefix + "/"):
            return self.home + inside[len(self.prefix) :]
        return path

    def copy(self, contents: Contents, needs: Callable[[str], None]) -> None:
        """Program, standard library and names.  needs: adds the libraries of a file, or raises MissingLibrary."""
        needs(self.program)
        program = self.place(self.program)
        contents.file(program, self.program)
        for name in ("python3", "python", NAME):
            if f"/usr/local/bin/{name}" != program:
                contents.link(f"/usr/local/bin/{name}", program)
        library = os.path.realpath(os.path.dirname(os.__file__))
        self._copy_tree(contents, library, needs)

    def _copy_tree(self, contents: Contents, tree: str, needs: Callable[[str], None]) -> None:
        for folder, folders, names in os.walk(tree):
            folders[:] = sorted(name for name in folders if name not in LEFT_OUT and not name.startswith("config-"))
            for name in sorted(names):
                path = f"{folder}/{name}"
                if name in LEFT_OUT_FILES or not os.path.isfile(path):
                    continue  # a link that leads nowhere here would lead nowhere there
                if name.endswith(".so") and folder.endswith("/lib-dynload"):
                    if name.startswith(LEFT_OUT_MODULES):
                        continue
                    try:
                        needs(path)
                    except MissingLibrary:
                        continue  # it cannot be imported on this machine either
                if not name.endswith((".pyc", ".a", ".exe")):
                    contents.file(self.place(folder) + f"/{name}", path)
