"""Volumes: directories under `volumes/` with a name, made for a container or by hand."""

from __future__ import annotations

import os
import time

from tuidock.errors import InUse, NoSuchVolume
from tuidock.oci.jsontext import dumps, loads
from tuidock.oci.value import Value
from tuidock.storage.remove import remove_tree
from tuidock.volume import volume_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Mapping
    from typing import Any

    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots


class Volume(Value):
    """A volume and who uses it."""

    name: str
    anonymous: bool
    owner: str
    """id of the container that an anonymous one was made for"""
    labels: dict[str, str]
    created_at: int
    """ns since the epoch"""
    mountpoint: str
    containers: tuple[str, ...]
    """names"""
    driver: str = "local"

    @property
    def inode(self) -> int:
        """Of the directory on the host; the mount point in a container shows the same one."""
        try:
            return os.stat(self.mountpoint).st_ino
        except FileNotFoundError:
            return 0


class Volumes:
    def __init__(self, database: Database, roots: Roots) -> None:
        self.database = database
        self.roots = roots

    def list(self) -> builtins.list[Volume]:
        """All, by name."""
        return self._select("")

    def get(self, name: str) -> Volume:
        """By name, or by the beginning of one that no other has.  Raises NoSuchVolume."""
        found = self._select("WHERE name = ?", (name,)) or self._select("WHERE substr(name, 1, ?) = ?", (len(name), name))
        if len(found) != 1 or not name:
            raise NoSuchVolume(name)
        return found[0]

    def _select(self, condition: str, values: tuple[Any, ...] = ()) -> builtins.list[Volume]:
        users: dict[str, list[str]] = {}
        query = "SELECT DISTINCT volume, containers.name FROM mounts JOIN containers ON containers.id = container"
        for volume, container in self.database.rows(query):
            users.setdefault(volume, []).append(container)
        rows = self.database.rows(
            f"SELECT name, anonymous, owner, labels, created_at FROM volumes {condition} ORDER BY name", values
        )
        return [
            Volume(
                name,
                bool(anonymous),
                owner,
                loads(labels),
                created_at,
                self.roots.volume(name),
                tuple(users.get(name, ())),
            )
            for name, anonymous, owner, labels, created_at in rows
        ]

    def create(self, name: str = "", labels: Mapping[str, str] | None = None) -> str:
        """Make one; one that is there already is as good.  Without a name it gets 64 digits.  Returns the name."""
        anonymous = not name
        name = volume_name(name) if name else os.urandom(32).hex()
        make_folder(self.roots, name)
        with self.database.transaction() as transaction:
            if insert(transaction, name, anonymous=anonymous, owner="", labels=labels or {}):
                transaction.tell("volume", "create", name, {"driver": "local"})
        return name

    def inspect(self, name: str) -> dict[str, Any]:
        """Docker's object of a volume, and the inode of its directory.  Raises NoSuchVolume."""
        from tuidock.engine.inspect import rfc3339

        volume = self.get(name)
        return {
            "CreatedAt": rfc3339(volume.created_at),
            "Driver": volume.driver,
            "Labels": volume.labels or None,
            "Mountpoint": volume.mountpoint,
            "Name": volume.name,
            "Options": None,
            "Scope": "local",
            "Inode": volume.inode,
            "UsedBy": list(volume.containers),
        }

    def remove(self, name: str, *, force: bool = False) -> str:
        """Remove one and its content.  Raises InUse with who uses it; NoSuchVolume unless `force`."""
        try:
            volume = self.get(name)
        except NoSuchVolume:
            if force:
                return name
            raise
        if volume.containers:
            users = ", ".join(volume.containers)
            raise InUse(f"remove {volume.name}: volume is in use by {users}", f"`tuidock rm {users}` first")
        with self.database.transaction() as transaction:
            if transaction.row("SELECT 1 FROM mounts WHERE volume = ?", (volume.name,)):
                raise InUse(f"remove {volume.name}: a container has taken it just now")
            transaction.execute("DELETE FROM volumes WHERE name = ?", (volume.name,))
            transaction.tell("volume", "destroy", volume.name, {"driver": "local"})
        remove_tree(os.path.dirname(volume.mountpoint))
        return volume.name

    def prune(self, *, all: bool = False) -> builtins.list[str]:
        """Remove the anonymous ones that no container uses; with `all` the named ones, too.  Returns their names."""
        unused = [volume for volume in self.list() if not volume.containers and (all or volume.anonymous)]
        return [self.remove(volume.name) for volume in unused]


def make_folder(roots: Roots, name: str) -> None:
    """The directory comes before the row; one that is there is kept."""
    os.makedirs(os.path.dirname(roots.volume(name)), 0o701, exist_ok=True)
    try:
        os.mkdir(roots.volume(name), 0o755)
    except FileExistsError:
        pass


def insert(transaction: Any, name: str, *, anonymous: bool, owner: str, labels: Mapping[str, str]) -> bool:
    """The row of a volume; False if it was there."""
    cursor = transaction.execute(
        "INSERT OR IGNORE INTO volumes (name, anonymous, owner, labels, created_at) VALUES (?, ?, ?, ?, ?)",
        (name, int(anonymous), owner, dumps(dict(labels)), time.time_ns()),
    )
    return bool(cursor.rowcount)
