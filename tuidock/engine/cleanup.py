"""The clean-up command: what a monitor starts when its container has ended and no front end waits.

It enters by the same door as everybody (`Containers.finish`), and stays for a container that is to start again.
"""

from __future__ import annotations

import os

from tuidock.engine import Engine
from tuidock.errors import NoSuchContainer
from tuidock.storage.paths import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str]) -> None:
    """arguments: data root, run root, container id; and any fourth word to be nobody's child."""
    data, run, container_id, *alone = arguments
    if alone and os.fork():
        os._exit(0)
    containers = Engine(Roots(data, run)).containers
    try:
        containers.finish(container_id)
        if containers.find(container_id).restarting:
            from tuidock.engine import restarts

            restarts.carry_on(containers, container_id)
    except NoSuchContainer:
        pass  # somebody has removed it meanwhile
