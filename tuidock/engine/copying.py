"""export: a container's whole root as a tar."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tuidock.engine import reconcile
from tuidock.engine.held import Held
from tuidock.engine.rootview import RootView

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container


def export(engine: Engine, container: Container, descriptor: int) -> None:
    """To `descriptor`.  A stopped container cannot be started meanwhile; one that runs goes on, and may end."""
    if container.pid:
        _export(engine, container, descriptor)
        return
    with Held(engine, container.id) as container:
        _export(engine, container, descriptor)


def _export(engine: Engine, container: Container, descriptor: int) -> None:
    with RootView(engine, container, mounted=False) as view, view.start("export", stdout=descriptor) as task:
        task.finish()
    with engine.database.transaction() as transaction:
        transaction.tell("container", "export", container.id, reconcile.attributes(container))
