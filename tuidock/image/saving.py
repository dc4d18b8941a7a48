"""save: images out as one archive.

What docker writes since 25: an OCI layout of the blobs as they are kept, so the very bytes that came and their digests, and
beside it docker's own manifest.json over the same blobs.  So docker of any age, podman and skopeo read it; a layer that
several images have is there once.  Source: image-spec, image-layout.md; moby, image/tarexport/save.go.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING, Any

from tuidock.errors import TuidockError, UsageError
from tuidock.image.intake import Progress
from tuidock.image.store import Image, Store
from tuidock.image.tarstream import DIRECTORY, REGULAR
from tuidock.image.tarwriter import END, header
from tuidock.oci import image as documents
from tuidock.oci.digest import PREFIX
from tuidock.oci.reference import parse
from tuidock.storage.blobs import LAYOUT, Blobs
from tuidock.storage.locks import Lock
from tuidock.storage.staging import Workspace

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tuidock.oci.reference import Reference
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

CHUNK = 8 << 20
FOLDER = "blobs/sha256/"


class Going:
    """An image on its way out, and the names that go along."""

    def __init__(self, image: Image, content: bytes) -> None:
        self.image = image
        self.content = content
        """of its manifest"""
        self.manifest = documents.parse_manifest(content, image.manifest)
        self.names: list[Reference] = []

    def blobs(self) -> list[str]:
        """Lowest layer first, then config and manifest."""
        return [*(layer.digest for layer in self.manifest.layers), self.image.id, self.image.manifest]

    def listed(self) -> list[dict[str, Any]]:
        """Its lines in index.json: one for each name."""
        value = documents.parse_document(self.content, self.image.manifest)
        platform = {key: self.image.config[key] for key in ("architecture", "os", "variant") if self.image.config.get(key)}
        descriptor = documents.described(value.get("mediaType") or documents.MANIFEST, self.content, platform=platform)
        named = [{documents.IMAGE_NAME: name.full, documents.REF_NAME: name.tag} for name in self.names]
        return [descriptor.replace(annotations=annotations).as_json() for annotations in named or [{}]]

    def for_docker(self) -> dict[str, Any]:
        """Its line in manifest.json."""
        _, diff_ids = documents.parse_config(documents.compact(self.image.config), self.image.id)
        layers = self.manifest.layers
        return {
            "Config": _place(self.image.id),
            "RepoTags": [name.familiar for name in self.names] or None,
            "Layers": [_place(layer.digest) for layer in layers],
            "LayerSources": {diff_id: layer.as_json() for diff_id, layer in zip(diff_ids, layers, strict=True)},
        }


def save(
    database: Database, roots: Roots, names: Sequence[str], descriptor: int, *, form: str = "docker-archive",
    progress: Callable[[Progress], None] | None = None,
) -> None:  # fmt: skip
    """Write the images of `names` to a descriptor.  form: docker-archive or oci.  Raises NoSuchImage, UsageError.

    A name without a tag stands for all tags of its repository, as in docker.  The store is locked only while the blobs are
    given second names, which is at once: who reads slowly keeps nobody waiting.
    """
    with Workspace(roots) as workspace:
        files: dict[str, str] = {}
        with Lock(f"{roots.locks}/store", shared=True):
            blobs = Blobs(roots)
            images = _chosen(database, Store(database, roots), blobs, names)
            for image in images:
                for blob in image.blobs():
                    if blob not in files:
                        files[blob] = workspace.path()
                        os.link(blobs.path(blob), files[blob])
        archive = _Archive(descriptor, progress or (lambda progress: None), sum(map(os.path.getsize, files.values())))
        archive.folder("blobs/")
        archive.folder(FOLDER)
        for blob, path in files.items():
            archive.file(_place(blob), path)
        lines = [line for image in images for line in image.listed()]
        index = {"schemaVersion": 2, "mediaType": documents.INDEX, "manifests": lines}
        archive.text("index.json", documents.compact(index))
        if form == "docker-archive":
            archive.text("manifest.json", documents.compact([image.for_docker() for image in images]))
        archive.text("oci-layout", LAYOUT.encode())
        archive.write(END)
    with database.transaction() as transaction:
        for image in images:
            told = image.names[0].familiar if image.names else image.image.id
            transaction.tell("image", "save", image.image.id, {"name": told})


def _place(digest: str) -> str:
    return FOLDER + digest.removeprefix(PREFIX)


def _chosen(database: Database, store: Store, blobs: Blobs, names: Sequence[str]) -> list[Going]:
    """In the order in which they were named, each image once."""
    found: dict[str, Going] = {}

    def add(image: Image, name: Reference | None) -> None:
        if image.id not in found:
            found[image.id] = Going(image, blobs.read(image.manifest, documents.MANIFEST_LIMIT))
        if name is not None and name not in found[image.id].names:
            found[image.id].names.append(name)

    for text in names:
        try:
            name = parse(text)
        except UsageError:
            add(store.find(text), None)
            continue
        if name.tag or name.digest:
            image = store.find(text)
            add(image, name if image.reference and not name.digest else None)  # `sha256:HEX` could be a name, and is an id
            continue
        beginning = f"{name.full}:"
        rows = database.rows(
            "SELECT reference FROM tags WHERE substr(reference, 1, ?) = ? ORDER BY reference", (len(beginning), beginning)
        )
        tags = [parse(row[0]) for row in rows]
        for tag in tags:
            add(store.find(tag.full), tag)
        if not tags:
            add(store.find(text), None)
    return list(found.values())


class _Archive:
    """A tar that is being written to a descriptor; all its times are 0, so that the same images give the same archive."""

    def __init__(self, descriptor: int, tell: Callable[[Progress], None], total: int) -> None:
        self._descriptor = descriptor
        self._tell = tell
        self._total = total
        self._done = 0

    def write(self, content: bytes) -> None:
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def folder(self, name: str) -> None:
        self.write(header(name.encode(), DIRECTORY, mode=0o755))

    def text(self, name: str, content: bytes) -> None:
        self.write(header(name.encode(), REGULAR, size=len(content)) + content + bytes(-len(content) % 512))

    def file(self, name: str, path: str) -> None:
        """A blob, and how far the whole is meanwhile."""
        source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            size = os.fstat(source).st_size
            self.write(header(name.encode(), REGULAR, size=size))
            at = 0
            while at < size:
                at += self._pass_on(source, at, min(size - at, CHUNK))
                self._tell(Progress("saving", self._done + at, self._total))
            self._done += size
            self.write(bytes(-size % 512))
        finally:
            os.close(source)

    def _pass_on(self, source: int, at: int, most: int) -> int:
        """By sendfile(2), so that the bytes do not come through this process; some files (`>>`) do not take it."""
        try:
            passed = os.sendfile(self._descriptor, source, at, most)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            content = os.pread(source, min(most, 1 << 20), at)
            self.write(content)
            passed = len(content)
        if not passed:
            raise TuidockError("a blob is shorter than it was", "was it changed by hand?")
        return passed
