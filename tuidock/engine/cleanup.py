"""The clean-up command: what a monitor starts when its container has ended and no front end waits.

It enters by the same door as everybody (`Containers.finish`).
"""

from __future__ import annotations

from tuidock.engine import Engine
from tuidock.errors import NoSuchContainer
from tuidock.storage.paths import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """arguments: data root, run root, container id."""
    data, run, container_id = arguments
    engine = Engine(Roots(data, run))
    try:
        engine.containers.finish(container_id)
    except NoSuchContainer:
        pass  # somebody has removed it meanwhile
