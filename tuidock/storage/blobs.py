"""The blobs of one root, as an OCI image layout that skopeo and its kin can read.

Content comes in as a temporary file whose digest is taken while it is written; it is synced and only then renamed to its
digest, so a blob that has a name is whole.  `index.json` says which manifests are images; it is written anew from the
database and is never the truth.  Source: image-spec, image-layout.md.
"""

from __future__ import annotations

import os
from hashlib import sha256

from tuidock.errors import Refused
from tuidock.oci.digest import PREFIX
from tuidock.oci.jsontext import dumps
from tuidock.storage.space import allowance

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import TracebackType
    from typing import Any, BinaryIO

    from tuidock.storage.paths import Roots

LAYOUT = '{"imageLayoutVersion":"1.0.0"}'


class Blobs:
    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self.folder = f"{roots.blobs}/sha256"

    def path(self, digest: str) -> str:
        """Where a blob is or would be.  digest: `sha256:HEX`, checked before."""
        return f"{self.folder}/{digest.removeprefix(PREFIX)}"

    def has(self, digest: str) -> bool:
        return os.path.exists(self.path(digest))

    def open(self, digest: str) -> BinaryIO:
        """For reading.  Raises FileNotFoundError."""
        return open(self.path(digest), "rb")

    def read(self, digest: str, limit: int) -> bytes:
        """A whole blob.  limit: bytes; a longer one is Refused."""
        with self.open(digest) as stream:
            content = stream.read(limit + 1)
        if len(content) > limit:
            raise Refused(f"blob {digest} is longer than the {limit} bytes that are allowed")
        return content

    def digests(self) -> Iterator[str]:
        """All that are here."""
        if os.path.isdir(self.folder):
            for name in os.listdir(self.folder):
                yield PREFIX + name

    def place(self, ingested: str, digest: str) -> None:
        """Give a written, synced file its name.  The store lock is held, so that no sweep takes it for an orphan."""
        os.makedirs(self.folder, mode=0o700, exist_ok=True)
        os.rename(ingested, self.path(digest))

    def discard(self, digest: str) -> None:
        """Move one to the trash; the store lock is held exclusively."""
        os.rename(self.path(digest), f"{self.roots.trash}/{os.urandom(8).hex()}")

    def sync(self) -> None:
        """fsync(2) of the folder: the names are on the disk too."""
        sync_folder(self.folder)

    def write_index(self, manifests: list[dict[str, Any]]) -> None:
        """oci-layout and index.json.  manifests: their descriptors, with the names as annotations."""
        layout = f"{self.roots.image_layout}/oci-layout"
        if not os.path.exists(layout):
            write_atomically(layout, LAYOUT)
        index = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json", "manifests": manifests}
        write_atomically(f"{self.roots.image_layout}/index.json", dumps(index))


class Ingest:
    """A blob on its way in: write, then `close`, then read `digest` and `size`.  The file stays where it is told to be."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.size = 0
        self._allowance = 0
        self._hash = sha256()
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    @property
    def digest(self) -> str:
        """Of what has been written so far."""
        return PREFIX + self._hash.hexdigest()

    def write(self, content: bytes | memoryview) -> None:
        """Raises OSError; ENOSPC while the disk still has a reserve."""
        self._allowance -= len(content)
        if self._allowance < 0:
            self._allowance = allowance(self._descriptor)
        self._hash.update(content)
        self.size += len(content)
        view = memoryview(content)
        while view:
            view = view[os.write(self._descriptor, view) :]

    def close(self, *, sync: bool = True) -> None:
        """The end of the content; `sync`: it is on the disk then."""
        if self._descriptor >= 0:
            if sync:
                os.fsync(self._descriptor)
            os.close(self._descriptor)
            self._descriptor = -1

    def __enter__(self) -> Ingest:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close(sync=error is None)


def write_atomically(path: str, text: str) -> None:
    """A file that is either the old one or the new one, also after a power cut."""
    temporary = f"{path}.new"
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(descriptor)
    os.rename(temporary, path)


def sync_folder(path: str) -> None:
    """fsync(2) of a directory: what was renamed into it stays there."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
