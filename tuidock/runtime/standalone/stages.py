"""The stops of a container's init that has no monitor: for hooks before the change of root, and for `start` before execve.

Runs in the init.  What it needs of the host is opened before the clone.
"""

from __future__ import annotations

import os

from tuidock.errors import RuntimeFailure
from tuidock.runtime import (
    scheduling,  # noqa: F401 - init needs it when the host's files are out of reach
    seccomp,
    wire,
)
from tuidock.runtime.init import Stages
from tuidock.runtime.standalone import hooks
from tuidock.runtime.standalone.state import CREATED, CREATING, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from _socket import socket
    from collections.abc import Mapping
    from typing import Any

FURNISHED = b"H"
"""From init: the root is furnished, the hooks of the host's side can run; with GO comes the answer, the container's state."""


class Preserve(Stages):
    """--preserve-fds, for a further process."""

    def __init__(self, config: Mapping[str, Any], preserved: int) -> None:
        self.preserved = preserved
        self.filter_flags = seccomp.flags(config["linux"].get("seccomp") or {})


class Stops(Stages):
    """For a container's first process."""

    def __init__(self, config: Mapping[str, Any], fifo: int, failure: int, preserved: int) -> None:
        """fifo: opened for reading and writing, so that it never ends.  failure: a file to write to."""
        self.config = config
        self.fifo = fifo
        self.failure = failure
        self.preserved = preserved
        self.filter_flags = seccomp.flags(config["linux"].get("seccomp") or {})
        self.state: dict[str, Any] = {}

    def furnished(self, channel: socket) -> None:
        channel.sendall(wire.pack(FURNISHED))
        answer = wire.read(channel)
        if answer is None or answer[0] != wire.GO:
            os._exit(255)
        self.state = wire.read_json(answer[1])
        hooks.run(self.config, hooks.CREATE_CONTAINER, text({**self.state, "status": CREATING}))

    def ready(self, channel: socket) -> None:
        """Wait for `start`.  By reading and writing alone: a filter of the container's may be in force already.

        The channel becomes the file in which `start` finds what goes wrong from now on.
        """
        os.dup2(self.failure, channel.fileno(), inheritable=False)
        if not os.read(self.fifo, 1):
            raise RuntimeFailure("the container's init was told nothing")
        hooks.run(self.config, hooks.START_CONTAINER, text({**self.state, "status": CREATED, "pid": os.getpid()}))
