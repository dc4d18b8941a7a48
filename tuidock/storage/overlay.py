"""A container's stack: image layers, the init layer above them, the read-write layer on top.  Paths only; the monitor mounts.

The init layer is what the engine puts into every container and nobody commits: hosts, hostname and resolv.conf with their
content, the empty places for the kernel's file systems, `.dockerenv`.  The three files are also bind-mounted from here over
themselves, so that what the container writes into them stays in this layer and out of the read-write one.
"""

from __future__ import annotations

import os
import stat

from tuidock.runtime.mounts import Overlay

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tuidock.storage.layers import Layers
    from tuidock.storage.paths import ContainerPaths, Roots

FOLDERS = ("dev", "dev/pts", "dev/shm", "proc", "sys", "etc")
EMPTY = (".dockerenv", "dev/console")


def stack(roots: Roots, layers: Layers, paths: ContainerPaths, chain_ids: Sequence[str]) -> Overlay:
    """The overlay of one container.  chain_ids: of its image, lowest first."""
    lower = (paths.init, *(layers.link(chain_id) for chain_id in reversed(chain_ids)))
    return Overlay(lower, roots.links, paths.rw, paths.work, paths.rootfs)


def make(paths: ContainerPaths, layers: Layers, chain_ids: Sequence[str], files: Mapping[str, str]) -> None:
    """Make the folders of a new container and fill its init layer.  files: below /etc, name to content."""
    os.makedirs(paths.data, 0o700)
    trees = [layers.path(chain_id) for chain_id in reversed(chain_ids)]
    for folder in (paths.init, paths.rw, paths.work):
        os.mkdir(folder, 0o755)  # the root of the stack is root's and 0755 whatever the image says, as with docker
    for name in FOLDERS:
        os.mkdir(f"{paths.init}/{name}", 0o755)
        _like(trees, name, f"{paths.init}/{name}")
    for name in EMPTY:
        _write(f"{paths.init}/{name}", "")
    for name, content in files.items():
        _write(f"{paths.init}/etc/{name}", content)
    os.symlink("/proc/mounts", f"{paths.init}/etc/mtab")


def _like(trees: Sequence[str], name: str, path: str) -> None:
    """Owner and mode of a directory as the highest image layer that has it: the init layer's would cover them."""
    for tree in trees:
        try:
            found = os.lstat(f"{tree}/{name}")
        except (FileNotFoundError, NotADirectoryError):
            continue
        if stat.S_ISDIR(found.st_mode):
            os.chown(path, found.st_uid, found.st_gid)
            os.chmod(path, stat.S_IMODE(found.st_mode))
        return


def _write(path: str, content: str) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o644)
    os.fchmod(descriptor, 0o644)
    os.write(descriptor, content.encode())
    os.close(descriptor)
