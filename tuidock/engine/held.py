"""A container that stays as it is while somebody reads it: under its lock nobody starts, settles or removes it."""

from __future__ import annotations

from tuidock.engine import reconcile
from tuidock.errors import NoSuchContainer
from tuidock.storage.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container


class Held:
    """`with Held(engine, id) as container:` gives it as it is now.  Raises NoSuchContainer if it has gone meanwhile."""

    def __init__(self, engine: Engine, container_id: str) -> None:
        self._engine = engine
        self._id = container_id
        self._lock = Lock(f"{engine.roots.locks}/container-{container_id}")

    def __enter__(self) -> Container:
        database = self._engine.database
        self._lock.take()
        try:
            return reconcile.settle(database, self._engine.roots, reconcile.find(database, self._id))
        except BaseException as error:
            self._lock.spent = isinstance(error, NoSuchContainer)
            self._lock.release()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._lock.release()
