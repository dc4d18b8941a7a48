"""The command that a monitor starts to have an event of its container written down."""

from __future__ import annotations

from tuidock.engine import Engine, reconcile
from tuidock.errors import NoSuchContainer
from tuidock.storage.paths import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """arguments: data root, run root, container id, action."""
    data, run, container_id, action = arguments
    database = Engine(Roots(data, run)).database
    try:
        container = reconcile.find(database, container_id)
    except NoSuchContainer:
        return
    with database.transaction() as transaction:
        transaction.tell("container", action, container.id, reconcile.attributes(container))
