"""import: a root file system's tar becomes an image of one layer."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuidock.errors import Refused
from tuidock.image.compression import chunks_of
from tuidock.image.config import changed
from tuidock.image.intake import Intake, NewImage, NewLayer
from tuidock.image.times import now
from tuidock.oci import image as documents
from tuidock.oci.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import BinaryIO

    from tuidock.image.intake import Progress
    from tuidock.oci.reference import Reference
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

MESSAGE = "Imported from -"
"""Docker's, which gets the archive as a stream too."""


def import_(
    database: Database,
    roots: Roots,
    stream: BinaryIO,
    reference: str = "",
    changes: Sequence[str] = (),
    message: str = "",
    progress: Callable[[Progress], None] | None = None,
) -> str:
    """The tar of `stream`, plain or compressed, as an image.  reference: its name, or empty for none.

    changes: instructions for its config, as `import -c` takes them.  message: the comment in its history.
    Returns its id.  Raises Refused for a bad archive, UsageError for a bad name or change; nothing is left then.
    """
    name = parse(reference).tagged() if reference else None
    if name is not None and name.digest:
        raise Refused(f"{reference} has a digest", "what is imported gets its digest from what is in it")
    inner = changed({}, changes)
    with Intake(database, roots, progress) as intake:
        read = getattr(stream, "read1", stream.read)
        layer = intake.layer(chunks_of(read), (), "importing")
        if not layer.ended:
            raise Refused("the archive is cut off: its end mark is missing", "was all of it written?")
        step = {"created": now(), "comment": message or MESSAGE}
        intake.add(assembled(intake, inner, [(layer, step)], (name,) if name else ()))
        intake.commit("import")
        return intake.images[0].id


def assembled(
    intake: Intake, inner: dict[str, Any], steps: Sequence[tuple[NewLayer, dict[str, Any]]], names: Sequence[Reference]
) -> NewImage:
    """An image of our own making.  inner: Env, Cmd and so on.  steps: each layer, lowest first, with its line of history."""
    layers = tuple(layer for layer, _ in steps)
    config = documents.compact(
        {
            "architecture": documents.architecture(),
            "comment": steps[-1][1].get("comment", ""),
            "config": inner,
            "created": steps[-1][1]["created"],
            "history": [step for _, step in steps],
            "os": "linux",
            "rootfs": {"type": "layers", "diff_ids": [layer.diff_id for layer in layers]},
        }
    )
    described = intake.document(documents.CONFIG, config)
    manifest = documents.Manifest(described, tuple(layer.blob for layer in layers)).as_bytes()
    intake.document(documents.MANIFEST, manifest)
    return NewImage(config, manifest, layers, tuple(names))
