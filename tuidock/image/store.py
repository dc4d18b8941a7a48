"""Find an image by what the user wrote: a name, an id, or the beginning of an id.

On the path of `run`: one query when the name is right; what a wrong one may have meant is thought about only then.
"""

from __future__ import annotations

from tuidock.errors import AmbiguousName, NoSuchImage, UsageError
from tuidock.oci.digest import HEX, PREFIX
from tuidock.oci.jsontext import loads
from tuidock.oci.reference import familiar, parse
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

COLUMNS = "images.id, images.manifest, images.config, images.chain_ids, images.size, images.created"


class Image(Value):
    """An image that is here, with its layers unpacked."""

    id: str
    """digest of the config blob, `sha256:HEX`"""
    reference: str
    """the name it was found by, as Docker shows it (`busybox:latest`); empty if it was an id"""
    config: dict[str, Any]
    """the whole config JSON; what a container gets from it is under `config`"""
    chain_ids: tuple[str, ...]
    """lowest layer first"""
    manifest: str = ""
    """digest of the manifest blob"""
    size: int = 0
    """bytes of all unpacked layers"""


class Store:
    """The images of one root, for reading."""

    def __init__(self, database: Database, roots: Roots) -> None:
        self.database = database
        self.roots = roots

    def find(self, name: str) -> Image:
        """name: NAME[:TAG][@DIGEST] (`latest` is implied), an id, with or without `sha256:`, or a unique beginning of one.

        A name wins over the beginning of an id, as in Docker.  Raises NoSuchImage with the nearest name,
        AmbiguousName, UsageError if it can be neither name nor id.
        """
        prefix = id_prefix(name)
        try:
            reference = parse(name).tagged()
        except UsageError:
            if not prefix:
                raise
        else:
            if reference.digest:
                repository = f"{reference.domain}/{reference.path}:"
                row = self.database.row(
                    f"SELECT {COLUMNS} FROM images JOIN tags ON tags.image = images.id"
                    " WHERE images.manifest = ? AND substr(tags.reference, 1, ?) = ?",
                    (reference.digest, len(repository), repository),
                )
            else:
                row = self.database.row(
                    f"SELECT {COLUMNS} FROM tags JOIN images ON tags.image = images.id WHERE tags.reference = ?",
                    (reference.full,),
                )
            if row:
                return _image(row, reference.familiar)
        if prefix:
            rows = self.database.rows(
                f"SELECT {COLUMNS} FROM images WHERE id >= ? AND id < ? LIMIT 10", (PREFIX + prefix, f"{PREFIX}{prefix}g")
            )
            if len(rows) == 1:
                return _image(rows[0], "")
            if rows:
                raise AmbiguousName(name, [row[0].removeprefix(PREFIX) for row in rows])
        raise NoSuchImage(name, self.nearest(name))

    def nearest(self, name: str) -> str:
        """The name here that is most like a wrong one; empty if none is."""
        from difflib import get_close_matches

        names = [familiar(row[0]) for row in self.database.rows("SELECT reference FROM tags")]
        shorter = {found.rpartition(":")[0]: found for found in names} | {found: found for found in names}
        close = get_close_matches(name, shorter, n=1)
        return shorter[close[0]] if close else ""


def id_prefix(name: str) -> str:
    """The hexadecimal digits of what may be (the beginning of) an id, else an empty text."""
    digits = name.removeprefix(PREFIX)
    return digits if 0 < len(digits) <= 64 and HEX.issuperset(digits) else ""


def _image(row: tuple[Any, ...], reference: str) -> Image:
    return Image(row[0], reference, loads(row[2]), tuple(loads(row[3])), row[1], row[4])
