"""Images: brought in, listed, named, taken away."""

from __future__ import annotations

from tuidock.image.store import Store
from tuidock.storage.layers import Layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Callable, Sequence
    from typing import Any, BinaryIO

    from tuidock.image.intake import Progress
    from tuidock.image.store import Image
    from tuidock.image.views import HistoryRow, ImageSummary
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

    Told = Callable[[Progress], None] | None


class Images:
    """What bringing in takes (compression, hashing, a process for the jail) is imported when it is asked for."""

    def __init__(self, database: Database, roots: Roots) -> None:
        self.database = database
        self.roots = roots
        self.store = Store(database, roots)
        self.layers = Layers(database, roots)

    # seeing

    def list(self, *, all: bool = False) -> builtins.list[ImageSummary]:
        """One for each name, newest first.  all: also those in between of a build; there are none yet."""
        from tuidock.image import views

        return views.summaries(self.database)

    def get(self, name: str) -> Image:
        """By name, id or a unique beginning of an id.  Raises NoSuchImage with the nearest name, AmbiguousName."""
        return self.store.find(name)

    def inspect(self, name: str) -> dict[str, Any]:
        """Docker's object of one image.  Raises as `get`."""
        from tuidock.image import views

        return views.inspect(self.get(name), self.database, self.layers)

    def history(self, name: str) -> builtins.list[HistoryRow]:
        """How it was made, newest step first.  Raises as `get`."""
        from tuidock.image import views

        return views.history(self.get(name), self.layers)

    # bringing in

    def load(self, stream: BinaryIO, progress: Told = None) -> builtins.list[str]:
        """The images of an archive by `docker save` or skopeo, plain or compressed; `stream` may be a pipe.

        Returns docker's lines, `Loaded image: NAME` or `Loaded image ID: DIGEST`.  Raises Refused; nothing is left then.
        """
        from tuidock.image import archive

        return archive.load(self.database, self.roots, stream, progress)

    def import_(
        self,
        stream: BinaryIO,
        reference: str = "",
        changes: Sequence[str] = (),
        message: str = "",
        progress: Told = None,
    ) -> str:
        """The tar of a root file system as an image; its id.  Raises Refused, UsageError; nothing is left then."""
        from tuidock.image import rootfs

        return rootfs.import_(self.database, self.roots, stream, reference, changes, message, progress)

    def starter(self, progress: Told = None) -> str:
        """Assemble `tuidock/starter:latest` from this machine; its id."""
        from tuidock.image import starter

        return starter.assemble(self.database, self.roots, progress)

    # taking out

    def save(self, names: Sequence[str], descriptor: int, *, form: str = "docker-archive", progress: Told = None) -> None:
        """Write images to `descriptor` as one archive: for docker, podman and skopeo, or with form `oci` a plain OCI layout.

        A name without a tag stands for all tags of its repository.  Raises NoSuchImage before anything is written.
        """
        from tuidock.image import saving

        saving.save(self.database, self.roots, names, descriptor, form=form, progress=progress)

    # naming and taking away

    def tag(self, source: str, target: str) -> None:
        """Give the image `source` the further name `target`, which another image loses if it had it."""
        from tuidock.image import naming

        naming.tag(self.database, self.roots, source, target)

    def remove(self, name: str, *, force: bool = False, prune: bool = True) -> builtins.list[str]:
        """Docker's rmi: `Untagged: …` and `Deleted: …`.  prune: also parents without a name; an image that came whole has none.

        Raises NoSuchImage, InUse with the container that keeps it.
        """
        from tuidock.image import removal

        return removal.remove(self.database, self.roots, name, force=force)
