"""`tuidock port`: which ports of this machine lead into a container."""

from __future__ import annotations

from tuidock.cli.flags import Command, Words
from tuidock.engine import Engine
from tuidock.errors import NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


class NoSuchPort(NotFound):
    def __init__(self, port: str, name: str) -> None:
        super().__init__(f"No public port '{port}' published for {name}", f"`tuidock port {name}` lists them")


class WrongPort(UsageError):
    exit_status = 1


def port(words: Words, place: Roots) -> int:
    """Docker's lines: `80/tcp -> 0.0.0.0:4000`, or the right side alone for one port."""
    from tuidock.network.ports import at

    name, *which = words.arguments
    container = Engine(place).containers.get(name)
    rows = sorted(container.published, key=lambda row: (str(row[1]), row[0], len(row[2]), row[2], row[3]))
    if not which:
        for protocol, inside, address, outside in rows:
            print(f"{inside}/{protocol} -> {at(address, outside)}")
        return 0
    number, _, protocol = which[0].partition("/")
    protocol = protocol or "tcp"
    if not number.isdecimal():
        raise WrongPort(f"Error: invalid port '{which[0]}'", "a number, and /tcp or /udp")
    found = [at(address, outside) for kind, inside, address, outside in rows if (kind, inside) == (protocol, int(number))]
    if not found:
        raise NoSuchPort(f"{number}/{protocol}", name)
    print("\n".join(found))
    return 0


COMMANDS = {"port": Command(port, "CONTAINER [PRIVATE_PORT[/PROTO]]", (), 1, 2)}
