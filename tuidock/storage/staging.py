"""A place for what is on its way in, and the way out.

Whatever is half done lies in a workspace: a folder of its own under `staging/`, held by a lock that ends with the process.
Whatever nobody needs any more is renamed into `trash/` first, so that it is gone at once, and deleted afterwards.  What a
killed process left in either is removed by the next one that works here.
"""

from __future__ import annotations

import ctypes
import fcntl
import os

from tuidock.oci.digest import PREFIX
from tuidock.storage.locks import Lock
from tuidock.storage.remove import remove_tree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from tuidock.storage.paths import Roots

KEPT = "kept"
"""The folder of a workspace with an empty file for each digest that it leans on."""

_libc = ctypes.CDLL(None, use_errno=True)


class Workspace:
    """A folder that is removed at the end, however the end comes.

    >>> with Workspace(roots) as workspace:          # doctest: +SKIP
    ...     path = workspace.path()                  # a name in it that nobody else has
    """

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self.folder = f"{roots.staging}/{os.urandom(8).hex()}"
        self._descriptor = -1
        self._names = 0

    def __enter__(self) -> Workspace:
        with Lock(f"{self.roots.locks}/staging"):  # between mkdir and flock a sweep would take it for a dead one's
            os.mkdir(self.folder, 0o700)
            self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        return self

    def path(self) -> str:
        """A new name in the folder; nothing is made."""
        self._names += 1
        return f"{self.folder}/{self._names}"

    def keep(self, digest: str) -> None:
        """A layer or a blob that is in its place already stays there as long as this workspace.  The store lock is held."""
        os.makedirs(f"{self.folder}/{KEPT}", mode=0o700, exist_ok=True)
        os.close(os.open(f"{self.folder}/{KEPT}/{digest.removeprefix(PREFIX)}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))

    def sync(self) -> None:
        """syncfs(2): all that was written here is on the disk, by one call instead of one for each file."""
        if _libc.syncfs(self._descriptor):
            error = ctypes.get_errno()
            raise OSError(error, os.strerror(error), self.folder)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        remove_tree(self.folder)
        os.close(self._descriptor)


def kept(roots: Roots) -> set[str]:
    """What workspaces lean on, also those whose process is gone and that nobody has swept yet."""
    found: set[str] = set()
    for name in os.listdir(roots.staging):
        try:
            found.update(PREFIX + digest for digest in os.listdir(f"{roots.staging}/{name}/{KEPT}"))
        except (FileNotFoundError, NotADirectoryError):
            pass
    return found


def sweep(roots: Roots) -> None:
    """Remove workspaces whose process is gone, and all that is in the trash."""
    with Lock(f"{roots.locks}/staging"):
        for name in os.listdir(roots.staging):
            path = f"{roots.staging}/{name}"
            try:
                descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                os.rename(path, f"{roots.trash}/{name}")
            except (BlockingIOError, FileNotFoundError):
                pass  # its process lives, or has just finished
            finally:
                os.close(descriptor)
    empty_trash(roots)


def empty_trash(roots: Roots) -> None:
    """Delete what lies in the trash; one process at a time, the others find it empty."""
    with Lock(f"{roots.locks}/trash"):
        for name in os.listdir(roots.trash):
            remove_tree(f"{roots.trash}/{name}")
