"""A container held still while it is looked at, and let go again however that ends.

The front end freezes; a process of its own thaws as soon as the pipe between the two is closed.  So a front end that is killed
in between leaves nobody frozen.
"""

from __future__ import annotations

import os
import subprocess

from tuidock.runtime import cgroups
from tuidock.runtime.spawn import interpreter_command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType


class Frozen:
    """All processes of a cgroup stand still inside `with`; nothing happens if there is no such cgroup."""

    def __init__(self, path: str) -> None:
        self._cgroup = cgroups.existing(path) if path else None
        self._path = path
        self._thaws: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Frozen:
        """Raises TuidockError if they cannot be made to stand still; nobody is frozen then."""
        if self._cgroup is not None:
            command = [*interpreter_command("tuidock.runtime.freezing", "sys.argv[2:]"), self._path]
            self._thaws = subprocess.Popen(command, stdin=subprocess.PIPE, env={}, start_new_session=True)
            try:
                self._cgroup.freeze()
            except BaseException:
                self.thaw()
                raise
        return self

    def thaw(self) -> None:
        """Let them go on, before the end of the `with`."""
        if self._thaws is not None:
            assert self._thaws.stdin is not None
            self._thaws.stdin.close()
            self._thaws.wait()
            self._thaws = None

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.thaw()


def main(arguments: Sequence[str]) -> None:
    """What thaws.  arguments: the cgroup."""
    os.read(0, 1)  # nothing ever comes but the end
    cgroup = cgroups.existing(arguments[0])
    if cgroup is not None:
        cgroup.thaw()
