"""Archives of images, made by hand: what docker and skopeo would write, and what they never would."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Any

from tests.image.tars import folder, member, tar
from tuidock.engine import Engine
from tuidock.oci import image as documents

LAYER = tar(folder("d"), member("d/file", b"content"))


def digest(content: bytes) -> str:
    return "sha256:" + sha256(content).hexdigest()


def config(*diff_ids: str, **fields: Any) -> bytes:
    """An image's config, for layers of these diff ids."""
    value = {
        "architecture": documents.architecture(),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
    }
    return json.dumps({**value, **fields}).encode()


def descriptor(content: bytes, media_type: str, **fields: Any) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": digest(content), "size": len(content), **fields}


def manifest(of_config: bytes, *layers: bytes, **fields: Any) -> bytes:
    value = {
        "schemaVersion": 2,
        "mediaType": documents.MANIFEST,
        "config": descriptor(of_config, documents.CONFIG),
        "layers": [descriptor(layer, documents.LAYER) for layer in layers],
    }
    return json.dumps({**value, **fields}).encode()


def index(*manifests: Mapping[str, Any], **fields: Any) -> bytes:
    value = {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": list(manifests)}
    return json.dumps({**value, **fields}).encode()


def named(content: bytes, name: str = "oci:1", media_type: str = documents.MANIFEST, **fields: Any) -> dict[str, Any]:
    """The descriptor of a manifest with a name, as skopeo writes it."""
    return descriptor(content, media_type, annotations={documents.REF_NAME: name}, **fields)


def oci(of_index: bytes, *blobs: bytes) -> bytes:
    """An OCI archive."""
    files = [member("oci-layout", b'{"imageLayoutVersion":"1.0.0"}'), member("index.json", of_index)]
    return tar(*files, *(member(f"blobs/sha256/{digest(blob)[7:]}", blob) for blob in blobs))


def oci_image(name: str = "oci:1", layer: bytes = LAYER, **fields: Any) -> bytes:
    """An OCI archive with one image of one layer.  fields: of its config."""
    of_config = config(digest(layer), **fields)
    one = manifest(of_config, layer)
    return oci(index(named(one, name)), one, of_config, layer)


def docker(images: Sequence[Mapping[str, Any]] | bytes, **files: bytes) -> bytes:
    """A docker-archive.  images: of manifest.json.  files: names to contents, with `_` for a dot."""
    listed = images if isinstance(images, bytes) else json.dumps(images).encode()
    return tar(*(member(name.replace("_", "."), content) for name, content in files.items()), member("manifest.json", listed))


def docker_image(name: str = "docker:1", layer: bytes = LAYER, **fields: Any) -> bytes:
    """A docker-archive with one image of one layer."""
    listed = {"Config": "c.json", "RepoTags": [name], "Layers": ["l.tar"]}
    return docker([listed], c_json=config(digest(layer), **fields), l_tar=layer)


def came(engine: Engine) -> list[str]:
    """Everything that is there because of images: rows, files, folders."""
    database, roots = engine.images.database, engine.images.roots
    found = []
    for table in ("images", "tags", "layers", "events"):
        found += [f"{table}: {row}" for row in database.rows(f"SELECT * FROM {table}")]
    for place in (f"{roots.blobs}/sha256", roots.layers, roots.links, roots.staging, roots.trash):
        if os.path.isdir(place):
            found += [f"{place}/{name}" for name in os.listdir(place)]
    return found
