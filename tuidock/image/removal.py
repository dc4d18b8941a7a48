"""Take an image away: first its names, at the last one the image, then what nobody else stands on.

What may be removed is decided as moby decides it (daemon/images/image_delete.go); what goes with it is found by mark and
sweep: every blob and layer that no image and no container has.  So what a crash left in between goes too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.errors import InUse
from tuidock.image import index
from tuidock.image.store import Store
from tuidock.oci.image import MANIFEST_LIMIT, parse_manifest
from tuidock.oci.jsontext import loads
from tuidock.oci.reference import familiar, parse
from tuidock.storage.blobs import Blobs
from tuidock.storage.layers import Layers
from tuidock.storage.locks import Lock
from tuidock.storage.staging import empty_trash, kept

if TYPE_CHECKING:
    from tuidock.image.store import Image
    from tuidock.storage.database import Database, Transaction
    from tuidock.storage.paths import Roots

RUNNING = ("starting", "running", "paused", "restarting")


def remove(database: Database, roots: Roots, name: str, *, force: bool = False) -> list[str]:
    """Docker's rmi.  name: a reference, an id or the beginning of one.

    Returns `Untagged: NAME` for each name taken away and `Deleted: DIGEST` for the image and each layer that is gone.
    Raises NoSuchImage; InUse with the container that keeps it; -f overcomes all but a running one.
    """
    with Lock(f"{roots.locks}/store"):
        image = Store(database, roots).find(name)
        tags = [row[0] for row in database.rows("SELECT reference FROM tags WHERE image = ? ORDER BY reference", (image.id,))]
        going = _going(image, name, tags)
        last = len(going) == len(tags)
        gone = last and _may_go(database, image, name, tags, force=force)
        with database.transaction() as transaction:
            lines = [_untag(transaction, image, tag) for tag in going]
            if gone:
                transaction.execute("DELETE FROM images WHERE id = ?", (image.id,))
                transaction.tell("image", "delete", image.id, {"name": image.id})
                lines.append(f"Deleted: {image.id}")
        if gone:
            lines += [f"Deleted: {chain_id}" for chain_id in sweep(database, roots)]
        index.write(database, Blobs(roots))
    empty_trash(roots)
    return lines


def _going(image: Image, name: str, tags: list[str]) -> list[str]:
    """The names that are taken away: all of them by an id, those of the repository by a digest, else the one."""
    if not image.reference:
        return tags
    reference = parse(name).tagged()
    if reference.digest:
        return [tag for tag in tags if tag.startswith(f"{reference.domain}/{reference.path}:")]
    return [reference.full]


def _may_go(database: Database, image: Image, name: str, tags: list[str], *, force: bool) -> bool:
    """Whether the image goes with its last name; it stays, without one, where -f takes the name of a running container's."""
    short = image.id[7:19]
    by_id = not image.reference
    users = database.rows("SELECT id, name, status FROM containers WHERE image = ? ORDER BY created_at", (image.id,))
    running = next((user for user in users if user[2] in RUNNING), None)
    if by_id and len(tags) > 1 and not force and not running:
        raise InUse(
            f"conflict: unable to delete {short} (must be forced) - image is referenced in multiple repositories",
            "untag it by one of its names, or use -f: " + ", ".join(familiar(tag) for tag in tags),
        )
    if not users or (force and running is None):
        return True
    container_id, container_name, _ = running or users[0]
    if not by_id:
        if force:
            return False
        raise InUse(
            f'conflict: unable to remove repository reference "{name}" (must force) - '
            f"container {container_id[:12]} is using its referenced image {short}",
            f"`tuidock rm {'-f ' if running else ''}{container_name}` removes the container",
        )
    state, cure = ("running", "cannot be forced") if running else ("stopped", "must be forced")
    raise InUse(
        f"conflict: unable to delete {short} ({cure}) - image is being used by {state} container {container_id[:12]}",
        f"`tuidock rm {'-f ' if running else ''}{container_name}` removes the container",
    )


def _untag(transaction: Transaction, image: Image, tag: str) -> str:
    transaction.execute("DELETE FROM tags WHERE reference = ?", (tag,))
    transaction.tell("image", "untag", image.id, {"name": familiar(tag)})
    return f"Untagged: {familiar(tag)}"


def sweep(database: Database, roots: Roots) -> list[str]:
    """Move all layers and blobs that nothing stands on, and nothing that is coming in, to the trash.

    The store lock is held exclusively.

    Returns the chain ids of the layers that were known, highest first.
    """
    blobs, layers, coming = Blobs(roots), Layers(database, roots), kept(roots)
    images = database.rows("SELECT id, manifest, chain_ids FROM images")
    stacks = [row[2] for row in images] + [row[0] for row in database.rows("SELECT DISTINCT chain_ids FROM containers")]
    used = coming | {chain_id for stack in stacks for chain_id in loads(stack)}
    with database.transaction() as transaction:
        gone = layers.forget_others(transaction, used)
    layers.clear(used)
    listed_by = set(coming)
    for image_id, manifest, _ in images:
        listed = parse_manifest(blobs.read(manifest, MANIFEST_LIMIT), manifest).layers
        listed_by.update((image_id, manifest), (layer.digest for layer in listed))
    for blob in list(blobs.digests()):
        if blob not in listed_by:
            blobs.discard(blob)
    return gone
