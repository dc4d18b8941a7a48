"""What a user can do; the one door for the command line, the screen and, later, the API.

>>> engine = Engine(roots("/tmp/somewhere"))            # doctest: +SKIP
>>> engine.containers.create(RunRequest("busybox"))     # doctest: +SKIP

Each part is imported when it is first used: `tuidock run` needs neither events nor archives.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.engine.containers import Containers
    from tuidock.engine.events import Events
    from tuidock.engine.images import Images
    from tuidock.engine.networks import Networks
    from tuidock.engine.stats import Stats
    from tuidock.engine.volumes import Volumes
    from tuidock.storage.paths import Roots


class Engine:
    """The engine over two roots.  May be used by several threads at once."""

    def __init__(self, roots: Roots) -> None:
        """Makes the folders if they are not there.  Raises Missing where it has no right to."""
        try:
            roots.make()
        except OSError as error:
            from tuidock.errors import Missing

            raise Missing(f"{error.filename}: {error.strerror}", "run it as root, or name another --root") from error
        from tuidock.storage.database import Database  # SQLite brings 5 ms along; `run` spawns its monitor before that

        self.roots = roots
        self.database = Database(roots)
        self.warnings: list[str] = []
        """What should be said beside the result; front ends print and empty it."""

    @property
    def containers(self) -> Containers:
        from tuidock.engine.containers import Containers

        return Containers(self)

    @property
    def images(self) -> Images:
        from tuidock.engine.images import Images

        return Images(self.database, self.roots)

    @property
    def networks(self) -> Networks:
        from tuidock.engine.networks import Networks

        return Networks(self)

    @property
    def volumes(self) -> Volumes:
        from tuidock.engine.volumes import Volumes

        return Volumes(self.database, self.roots)

    @property
    def events(self) -> Events:
        from tuidock.engine.events import Events

        return Events(self.database, self.roots)

    @property
    def stats(self) -> Stats:
        from tuidock.engine.stats import Stats

        return Stats(self)

    def close(self) -> None:
        """Close this thread's connection to the database."""
        self.database.close()
