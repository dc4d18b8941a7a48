"""`tuidock network`: create, ls, inspect, rm, prune, connect, disconnect."""

from __future__ import annotations

from tuidock.cli.each import each
from tuidock.cli.filters import FILTER, Filters
from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.formats import FORMAT, OBJECT_FORMAT, Listing, label_list, label_method, row
from tuidock.cli.output import local_time, short_id
from tuidock.cli.run import warn
from tuidock.engine import Engine
from tuidock.engine.options import LIST, TEXT, Option
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.network.networks import Network
    from tuidock.storage.paths import Roots

TITLES = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}


def create(words: Words, place: Roots) -> int:
    from tuidock.engine.networks import Wanted

    engine = Engine(place)
    wanted = Wanted(
        words.arguments[0], words.text("driver"), words.many("subnet"), words.many("gateway"), words.many("ip-range"),
        words.flag("internal"), words.flag("ipv6"), words.flag("ipv4"), _pairs(words, "opt"), _pairs(words, "label"),
    )  # fmt: skip
    try:
        made = engine.networks.create(wanted)
    except TuidockError as error:
        error.exit_status = 1
        raise
    warn(engine)
    print(made.id)
    return 0


def _pairs(words: Words, name: str) -> tuple[tuple[str, str], ...]:
    return tuple((key, value) for key, _, value in (word.partition("=") for word in words.many(name)))


def ls(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("dangling", "driver", "id", "label", "name", "scope", "type"))
    engine = Engine(place)
    used = engine.networks.users()
    dangling = filters.truth("dangling")
    found = [
        network
        for network in engine.networks.list()
        if filters.labels(network.labels)
        and filters.matching("name", network.name)
        and filters.matching("id", network.id)
        and filters.exact("driver", network.driver)
        and filters.exact("scope", "local")
        and filters.exact("type", "builtin" if network.predefined else "custom")
        and dangling in (None, network.id not in used and not network.predefined)
    ]
    listing = Listing(TITLES, "{{.ID}}\t{{.Name}}\t{{.Driver}}\t{{.Scope}}")
    rows = [_row(network, full=words.flag("no-trunc")) for network in found]
    listing.print(rows, words.text("format"), quiet=words.flag("quiet"))
    return 0


def _row(network: Network, *, full: bool) -> Row:
    return row(
        "networkContext",
        ID=network.id if full else short_id(network.id),
        Name=network.name,
        Driver=network.driver,
        Scope="local",
        IPv4=str(not network.link or any(len(pool.subnet.address) == 4 for pool in network.pools)).lower(),
        IPv6=str(network.ipv6).lower(),
        Internal=str(network.internal).lower(),
        Labels=label_list(network.labels),
        Label=label_method(network.labels),
        CreatedAt=local_time(network.created_at),
    )


def remove(words: Words, place: Roots) -> int:
    networks = Engine(place).networks

    def one(name: str) -> str:
        from tuidock.errors import NoSuchNetwork

        try:
            networks.remove(name)
        except NoSuchNetwork:
            if not words.flag("force"):
                raise
        return name

    return each(words.arguments, one)


def prune(words: Words, place: Roots) -> int:
    from tuidock.cli.prune import confirm

    confirm(words, "all custom networks not used by at least one container")
    gone = Engine(place).networks.prune()
    if gone:
        print("Deleted Networks:")
        print("".join(f"{network.name}\n" for network in gone))
    return 0


def inspect(words: Words, place: Roots) -> int:
    from tuidock.cli.inspect import show

    return show(words, place, ("network",), size=False)


class WrongConnection(UsageError):
    exit_status = 1


def connect(words: Words, place: Roots) -> int:
    name, container = words.arguments
    engine = Engine(place)
    try:
        engine.networks.connect(
            name, container, ip=words.text("ip"), ip6=words.text("ip6"), aliases=words.many("alias"),
            mac=words.text("mac-address"),
        )  # fmt: skip
    except UsageError as error:
        raise WrongConnection(error.message, error.hint) from error
    warn(engine)
    return 0


def disconnect(words: Words, place: Roots) -> int:
    name, container = words.arguments
    Engine(place).networks.disconnect(name, container, force=words.flag("force"))
    return 0


COMMANDS = {
    "network create": Command(
        create,
        "NETWORK",
        (
            Option(
                "driver", "d", TEXT, "Driver to manage the Network: bridge, or none for no way out of the container", "bridge"
            ),
            Option("gateway", "", LIST, "IPv4 or IPv6 Gateway for the subnet"),
            Option("internal", meaning="Restrict external access to the network"),
            Option("ip-range", "", LIST, "Allocate container ip from a sub-range"),
            Option("ipv4", "", meaning="Enable IPv4 address assignment", default=True),
            Option("ipv6", "", meaning="Enable IPv6 address assignment"),
            Option("label", "", LIST, "Set metadata on a network"),
            Option("opt", "o", LIST, "Set driver specific options"),
            Option("subnet", "", LIST, "Subnet in CIDR format that represents a network segment"),
        ),
        1,
        1,
        later="attachable aux-address config-from config-only ingress ipam-driver ipam-opt scope",
    ),
    "network ls": Command(
        ls,
        options=(
            FILTER.replace(meaning='Provide filter values (e.g. "driver=bridge")'),
            FORMAT,
            Option("no-trunc", meaning="Do not truncate the output"),
            Option("quiet", "q", meaning="Only display network IDs"),
        ),
    ),
    "network inspect": Command(inspect, "NETWORK [NETWORK...]", (OBJECT_FORMAT,), 1, UNLIMITED, later="verbose"),
    "network rm": Command(
        remove,
        "NETWORK [NETWORK...]",
        (Option("force", "f", meaning="Do not error if the network does not exist"),),
        1,
        UNLIMITED,
    ),
    "network prune": Command(prune, options=(Option("force", "f", meaning="Do not prompt for confirmation"),), later="filter"),
    "network connect": Command(
        connect,
        "NETWORK CONTAINER",
        (
            Option("alias", "", LIST, "Add network-scoped alias for the container"),
            Option("ip", "", TEXT, 'IPv4 address (e.g., "172.30.100.104")'),
            Option("ip6", "", TEXT, 'IPv6 address (e.g., "2001:db8::33")'),
            Option("mac-address", "", TEXT, "MAC address of its end of the cable"),
        ),
        2,
        2,
        later="driver-opt gw-priority link link-local-ip",
    ),
    "network disconnect": Command(
        disconnect,
        "NETWORK CONTAINER",
        (Option("force", "f", meaning="Force the container to disconnect from a network"),),
        2,
        2,
    ),
}
