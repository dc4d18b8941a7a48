"""tag: a further name for an image."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tuidock.errors import UsageError
from tuidock.image import index
from tuidock.image.store import Store
from tuidock.oci.reference import parse
from tuidock.storage.blobs import Blobs
from tuidock.storage.locks import Lock

if TYPE_CHECKING:
    from tuidock.oci.reference import Reference
    from tuidock.storage.database import Database, Transaction
    from tuidock.storage.paths import Roots


def tag(database: Database, roots: Roots, source: str, target: str) -> None:
    """Docker's tag.  source: a name or an id.  target: `latest` is implied.  Raises NoSuchImage, UsageError."""
    name = parse(target).tagged()
    if name.digest:
        raise UsageError("refusing to create a tag with a digest reference", "a digest is what is in the image, not a name")
    with Lock(f"{roots.locks}/store"):
        image = Store(database, roots).find(source)
        with database.transaction() as transaction:
            give(transaction, name, image.id, time.time_ns())
            transaction.tell("image", "tag", image.id, {"name": name.familiar})
        index.write(database, Blobs(roots))


def give(transaction: Transaction, name: Reference, image_id: str, now: int) -> str:
    """Let a name lead to an image.  now: ns since the epoch.  Returns the id of the image that loses it, or an empty text."""
    before = transaction.row("SELECT image FROM tags WHERE reference = ?", (name.full,))
    transaction.execute(
        "INSERT INTO tags (reference, image, tagged_at) VALUES (?, ?, ?)"
        " ON CONFLICT (reference) DO UPDATE SET image = excluded.image, tagged_at = excluded.tagged_at",
        (name.full, image_id, now),
    )
    return str(before[0]) if before and before[0] != image_id else ""
