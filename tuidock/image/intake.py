"""The one way in: what load, import, the starter image and later pull, commit and build bring becomes an image here.

Everything is first made whole in a workspace that nobody sees: blobs whose digests are taken as they are written, layers
unpacked in their jail.  After one syncfs, and under the store lock, it is renamed into its place, and one transaction makes it
known.  A failure before leaves nothing; a crash in between leaves only what the next sweep removes.

A layer that comes plain by itself is kept as gzip of level 1: a third of the disk's space for no time, since it is
compressed beside the unpacking, and the one form that every registry and every Docker takes.  All other layers keep the very
bytes that came, so that a push sends what was pulled.
"""

from __future__ import annotations

import errno
import os
import time
from hashlib import sha256
from typing import TYPE_CHECKING

from tuidock.errors import Refused, TuidockError
from tuidock.image import index
from tuidock.image.compression import chunks_of, kind_of, opened, plain
from tuidock.image.extraction import Extraction
from tuidock.image.naming import give
from tuidock.image.packing import Packing
from tuidock.oci import image as documents
from tuidock.oci.digest import PREFIX, chain_ids, digest
from tuidock.oci.image import Descriptor
from tuidock.oci.jsontext import dumps
from tuidock.oci.value import Value
from tuidock.storage.blobs import Blobs, Ingest, sync_folder
from tuidock.storage.layers import Layer, Layers
from tuidock.storage.locks import Lock
from tuidock.storage.staging import Workspace, empty_trash, sweep

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from tuidock.oci.reference import Reference
    from tuidock.storage.database import Database, Transaction
    from tuidock.storage.paths import Roots


class Progress(Value):
    """How far something is."""

    what: str
    """a line such as `layer 3f4b2a10c5d6 unpacking`"""
    done: int
    total: int
    """0 if nobody knows"""


class NewLayer(Value):
    """A layer of an image that is coming in."""

    diff_id: str
    blob: Descriptor
    size: int = 0
    """bytes of its regular files; 0 while it is not unpacked"""
    ended: bool = True
    """its tar has an end mark"""


class NewImage(Value):
    """An image that is coming in: its documents, as they will be stored."""

    config: bytes
    manifest: bytes
    layers: tuple[NewLayer, ...]
    names: tuple[Reference, ...] = ()

    @property
    def id(self) -> str:
        return digest(self.config)

    @property
    def chain(self) -> list[str]:
        """Chain ids, lowest layer first."""
        return chain_ids(layer.diff_id for layer in self.layers)


class Intake:
    """A workspace for images on their way in; gone at the end, with all that was not committed.

    progress: is told of every piece that was worked on.  Use it as a context manager.
    """

    def __init__(self, database: Database, roots: Roots, progress: Callable[[Progress], None] | None = None) -> None:
        self.database = database
        self.roots = roots
        self.blobs = Blobs(roots)
        self.layers = Layers(database, roots)
        self.workspace = Workspace(roots)
        self.tell = progress or (lambda progress: None)
        self._files: dict[str, str] = {}  # digest to its file in the workspace
        self._trees: dict[str, tuple[str, int]] = {}  # chain id to its tree in the workspace, and its size
        self._links: dict[str, str] = {}  # chain id to the link of a tree that has just got its place
        self._kept: set[str] = set()  # chain ids of trees that are in their place and stay there
        self.images: list[NewImage] = []

    def __enter__(self) -> Self:
        sweep(self.roots)
        self.workspace.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.workspace.__exit__(kind, error, trace)
        empty_trash(self.roots)  # of a tree without a name, whose place a new one has taken
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise TuidockError(f"no space left under {self.roots.data}", "`tuidock rmi` frees some") from error

    # bringing things in

    def document(self, media_type: str, content: bytes) -> Descriptor:
        """A small blob: a config or a manifest."""
        self.blob(iter([content]), "")
        return documents.described(media_type, content)

    def blob(self, chunks: Iterable[bytes], what: str) -> Descriptor:
        """Any blob, as it comes; its media type is not known here.  what: told as progress; empty for what is too small."""
        ingest = Ingest(self.workspace.path())
        try:
            for piece in chunks:
                ingest.write(piece)
                if what:
                    self.tell(Progress(what, ingest.size, 0))
        finally:
            ingest.close(sync=False)  # one syncfs for all, before any of them gets its name
        self._files[ingest.digest] = ingest.path
        return Descriptor("", ingest.digest, ingest.size)

    def path(self, blob: str) -> str:
        """The file of a blob, still in the workspace or here already.  Raises Refused if there is none."""
        path = self._files.get(blob) or self.blobs.path(blob)
        if not os.path.exists(path):
            raise Refused(f"blob {blob} is missing")
        return path

    def layer(self, chunks: Iterator[bytes], below: Sequence[NewLayer], what: str, total: int = 0) -> NewLayer:
        """A layer by itself: unpack it, hash it and keep it as a blob, all in one pass.

        chunks: its tar, plain or compressed by any means.  below: the layers below it, lowest first.
        total: the length of what comes, if it is known.
        """
        read = Counted(chunks)
        kind, pieces = opened(read)
        ingest = Ingest(self.workspace.path())
        told = lambda: Progress(what, read.bytes, total)  # noqa: E731
        try:
            if kind in ("gzip", "zstd"):
                unpacked = self._unpack(plain(kind, _copied(pieces, ingest.write)), below, told)
            else:
                with Packing(ingest) as packing:
                    unpacked = self._unpack(_copied(plain(kind, pieces), packing.write), below, told)
        finally:
            ingest.close(sync=False)
        self._files[ingest.digest] = ingest.path
        media_type = documents.LAYER_ZSTD if kind == "zstd" else documents.LAYER_GZIP
        return unpacked.replace(blob=Descriptor(media_type, ingest.digest, ingest.size))

    def known(self, chain_id: str, diff_id: str) -> NewLayer | None:
        """A layer that is here already, with its blob, and stays until the end; None if it is not."""
        with Lock(f"{self.roots.locks}/store", shared=True):
            blob = self.layers.blob(chain_id)
            if not blob or not self.blobs.has(blob):
                return None
            self.workspace.keep(chain_id)
            self.workspace.keep(blob)
        self._kept.add(chain_id)
        with self.blobs.open(blob) as stream:
            kind = kind_of(stream.read(6))
        media_type = {"gzip": documents.LAYER_GZIP, "zstd": documents.LAYER_ZSTD}.get(kind, documents.LAYER)
        return NewLayer(diff_id, Descriptor(media_type, blob, os.path.getsize(self.blobs.path(blob))))

    def _unpack_blob(self, layer: NewLayer, below: Sequence[NewLayer]) -> None:
        """A layer that is here as a blob.  Raises Refused if it is not what its image's config says."""
        what = f"layer {layer.diff_id.removeprefix(PREFIX)[:12]} unpacking"
        with open(self.path(layer.blob.digest), "rb", buffering=0) as stream:
            kind, pieces = opened(chunks_of(stream.read))
            tar = plain(kind, pieces)
            unpacked = self._unpack(tar, below, lambda: Progress(what, stream.tell(), layer.blob.size))
        if unpacked.diff_id != layer.diff_id:
            raise Refused(f"a layer hashes to {unpacked.diff_id}, its image's config says {layer.diff_id}")

    def _unpack(self, tar: Iterable[bytes], below: Sequence[NewLayer], told: Callable[[], Progress]) -> NewLayer:
        tree = self.workspace.path()
        os.mkdir(tree)
        os.chmod(tree, 0o755)  # whatever the caller's umask; the archive may say more
        hashed = sha256()
        lower = [self._tree(chain_id) for chain_id in chain_ids(layer.diff_id for layer in below)]
        with Extraction(tree, lower[::-1]) as extraction:
            for piece in tar:
                hashed.update(piece)
                extraction.feed(piece)
                self.tell(told())
            unpacked = extraction.finish()
        layer = NewLayer(PREFIX + hashed.hexdigest(), Descriptor("", "", 0), unpacked.size, unpacked.ended)
        self._trees[chain_ids(one.diff_id for one in (*below, layer))[-1]] = tree, unpacked.size
        return layer

    def _here(self, chain_id: str) -> bool:
        """Whether a layer is unpacked, in the workspace or in its place; there it stays until the end, whoever removes what."""
        if chain_id not in self._trees and chain_id not in self._kept:
            with Lock(f"{self.roots.locks}/store", shared=True):
                if not self.layers.has(chain_id):
                    return False
                self.workspace.keep(chain_id)
            self._kept.add(chain_id)
        return True

    def _tree(self, chain_id: str) -> str:
        if not self._here(chain_id):
            raise Refused(f"layer {chain_id} is missing", "load or import its image again")
        return self._trees[chain_id][0] if chain_id in self._trees else self.layers.path(chain_id)

    def add(self, image: NewImage) -> None:
        """An image whose documents and layers are blobs, in the workspace or here; what is not unpacked will be."""
        self.images.append(image)

    # making it known

    def commit(self, action: str) -> list[str]:
        """Give all that was added its place and its names.  action: of the event, `load` or `import`.

        Returns lines about names that another image has lost.
        """
        while True:
            for image in self._fresh():
                self._unpack_missing(image)
            self.workspace.sync()
            with Lock(f"{self.roots.locks}/store"):
                fresh = self._fresh()
                if not all(self._whole(image) for image in fresh):
                    continue  # a layer that was here has just been removed by another process
                self._place(fresh)
                lost: list[str] = []
                with self.database.transaction() as transaction:
                    for image in self.images:
                        lost += self._insert(transaction, image, action)
                index.write(self.database, self.blobs)
                return lost

    def _fresh(self) -> list[NewImage]:
        """Those that are not here yet: one that comes again only gets names."""
        return [image for image in self.images if not self.database.row("SELECT 1 FROM images WHERE id = ?", (image.id,))]

    def _unpack_missing(self, image: NewImage) -> None:
        for number, chain_id in enumerate(image.chain):
            self.path(image.layers[number].blob.digest)  # one that is unpacked may have lost its blob with its last image
            if not self._here(chain_id):
                self._unpack_blob(image.layers[number], image.layers[:number])

    def _whole(self, image: NewImage) -> bool:
        wanted = (layer.blob.digest for layer in image.layers)
        return all(chain_id in self._trees or self.layers.has(chain_id) for chain_id in image.chain) and all(
            blob in self._files or self.blobs.has(blob) for blob in wanted
        )

    def _place(self, images: Sequence[NewImage]) -> None:
        """Blobs and trees get their names, and the names are on the disk."""
        for image in images:
            for blob in (image.id, digest(image.manifest), *(layer.blob.digest for layer in image.layers)):
                path = self._files.pop(blob, "")
                if path:
                    self.blobs.place(path, blob)
            for chain_id in image.chain:
                if not self.layers.has(chain_id) and os.path.isdir(self._trees[chain_id][0]):
                    self._links[chain_id] = self.layers.place(self._trees[chain_id][0], chain_id)
        self.blobs.sync()
        sync_folder(self.roots.layers)
        sync_folder(self.roots.links)

    def _insert(self, transaction: Transaction, image: NewImage, action: str) -> list[str]:
        parent = ""
        size = 0
        for layer, chain_id in zip(image.layers, image.chain, strict=True):
            known = transaction.row("SELECT size FROM layers WHERE chain_id = ?", (chain_id,))
            if known is None:
                known = (self._trees[chain_id][1],)
                link = self._links[chain_id]
                self.layers.add(transaction, Layer(chain_id, layer.diff_id, parent, layer.blob.digest, link, known[0]))
            size += known[0]
            parent = chain_id
        config, _ = documents.parse_config(image.config, "config")
        now = time.time_ns()
        transaction.execute(
            "INSERT INTO images (id, manifest, config, chain_ids, size, created, loaded_at) VALUES (?, ?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (id) DO NOTHING",
            (
                image.id, digest(image.manifest), image.config.decode(), dumps(image.chain), size,
                str(config.get("created") or ""), now,
            ),
        )  # fmt: skip
        lost = []
        for name in image.names:
            if before := give(transaction, name, image.id, now):
                lost.append(f"The image {name.familiar} already exists, renaming the old one with ID {before} to empty string")
        transaction.tell("image", action, image.id, {"name": image.names[0].familiar if image.names else image.id})
        return lost


class Counted:
    """Passes pieces on and knows how many bytes they were."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.bytes = 0

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        piece = next(self._chunks)
        self.bytes += len(piece)
        return piece


def _copied(pieces: Iterable[bytes], write: Callable[[bytes], None]) -> Iterator[bytes]:
    for piece in pieces:
        write(piece)
        yield piece
