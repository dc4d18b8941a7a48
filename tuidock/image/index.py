"""index.json of the image layout: what the database knows, for the tools that do not know it."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tuidock.oci.image import IMAGE_NAME, MANIFEST, REF_NAME, Descriptor, parse_document
from tuidock.oci.reference import familiar

if TYPE_CHECKING:
    from tuidock.storage.blobs import Blobs
    from tuidock.storage.database import Database


def write(database: Database, blobs: Blobs) -> None:
    """Write it anew.  The store lock is held exclusively, so nobody writes an older one over it.

    Every name is a line, with the short name that `skopeo inspect oci:ROOT/image:busybox:latest` asks for; an image without
    a name is one too, so that its blobs are reachable.
    """
    rows = database.rows(
        "SELECT images.manifest, images.config, tags.reference FROM images LEFT JOIN tags ON tags.image = images.id"
        " ORDER BY tags.reference, images.manifest"
    )
    blobs.write_index([_descriptor(blobs, *row).as_json() for row in rows])


def _descriptor(blobs: Blobs, manifest: str, config: str, reference: str | None) -> Descriptor:
    annotations = {REF_NAME: familiar(reference), IMAGE_NAME: reference} if reference else {}
    said = parse_document(config.encode(), "config")
    platform = {"architecture": said.get("architecture", ""), "os": said.get("os", "linux")}
    if said.get("variant"):
        platform["variant"] = said["variant"]
    content = blobs.read(manifest, os.path.getsize(blobs.path(manifest)))
    media_type = parse_document(content, "manifest").get("mediaType") or MANIFEST
    return Descriptor(media_type, manifest, len(content), annotations, platform)
