"""Networks as the database has them, and their bridges as the kernel has them.

A bridge is made when its network is, and again by the first start after a reboot; nets are chosen and taken under a lock of
the whole machine (flock(2) on the file of its network namespace), since other roots, and so other databases, choose too.
"""

from __future__ import annotations

import fcntl
import os
import time

from tuidock.errors import Conflict, Missing, NameTaken, NoSuchNetwork, UsageError
from tuidock.network import addresses, firewall, netlink
from tuidock.network.addresses import Pool, Subnet, pool
from tuidock.network.firewall import Forwarded, Walls
from tuidock.oci.jsontext import dumps, loads
from tuidock.oci.value import Value
from tuidock.storage.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

PREDEFINED = {"bridge": "bridge", "host": "host", "none": "null"}
"""Networks that are always there, and their drivers."""
DRIVERS = ("bridge", "none")
MTU, MASQUERADE, BRIDGE_NAME = (
    f"com.docker.network.{words}" for words in ("driver.mtu", "bridge.enable_ip_masquerade", "bridge.name")
)
"""Options (-o) that mean something; others are kept and do nothing, as docker's bridge driver has it."""
COLUMNS = "id, name, driver, link, internal, ipv6, pools, options, labels, created_at"


class Network(Value):
    """A network."""

    id: str
    name: str
    driver: str
    """bridge, none, host or null"""
    link: str
    """the bridge's name; empty where there is none"""
    internal: bool
    ipv6: bool
    pools: tuple[Pool, ...]
    """IPv4 first"""
    options: dict[str, str]
    labels: dict[str, str]
    created_at: int
    """ns since the epoch"""

    @property
    def predefined(self) -> bool:
        return self.name in PREDEFINED

    @property
    def named(self) -> bool:
        """Whether its containers find each other by name: on all networks that somebody made."""
        return bool(self.link) and not self.predefined

    @property
    def walls(self) -> Walls:
        off = self.options.get(MASQUERADE, "true").lower() in ("0", "f", "false")
        return Walls(self.link, self.internal, self.pools, not off)


class Wanted(Value):
    """`network create`."""

    name: str
    driver: str = "bridge"
    subnets: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()
    internal: bool = False
    ipv6: bool = False
    ipv4: bool = True
    options: tuple[tuple[str, str], ...] = ()
    labels: tuple[tuple[str, str], ...] = ()


def network(row: Sequence[Any]) -> Network:
    """A row of COLUMNS."""
    pools = tuple(pool(kept) for kept in loads(row[6]))
    network_id, name, driver, link, internal, ipv6, _, options, labels, created_at = row
    return Network(network_id, name, driver, link, bool(internal), bool(ipv6), pools, loads(options), loads(labels), created_at)


def all_of(database: Database) -> list[Network]:
    """All, by name."""
    return [network(row) for row in database.rows(f"SELECT {COLUMNS} FROM networks ORDER BY name")]


def find(database: Database, roots: Roots, name: str) -> Network:
    """By name, id, or the beginning of an id that no other has; a name wins.  Raises NoSuchNetwork, Conflict."""
    query = f"SELECT {COLUMNS} FROM networks WHERE "
    row = database.row(f"{query}name = ? OR id = ? ORDER BY name = ? DESC", (name, name, name))
    if row is None and name in PREDEFINED:
        make_predefined(database, roots)
        row = database.row(f"{query}name = ?", (name,))
    if row is None:
        rows = database.rows(f"{query}substr(id, 1, ?) = ? LIMIT 2", (len(name), name)) if name else []
        if len(rows) > 1:
            raise Conflict(f"{name} is the beginning of several networks' ids", "give more characters")
        if not rows:
            raise NoSuchNetwork(name)
        row = rows[0]
    return network(row)


class MachineLock:
    """What excludes everybody who chooses nets in this network namespace, whichever root is theirs."""

    def __enter__(self) -> None:
        self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(self.descriptor, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)


def make_predefined(database: Database, roots: Roots) -> None:
    """bridge, host and none, where they are not there yet."""
    with Lock(f"{roots.locks}/network"), MachineLock():
        there = {row[0] for row in database.rows("SELECT name FROM networks")}
        for name, driver in PREDEFINED.items():
            if name in there:
                continue
            if driver == "bridge":
                pools: tuple[Pool, ...] = (_choose(database, roots, ()),)
                made = Network(
                    os.urandom(32).hex(), name, driver, roots.bridge("0"), False, False, pools, {}, {}, time.time_ns()
                )
                add_link(made)
            else:
                made = Network(os.urandom(32).hex(), name, driver, "", False, False, (), {}, {}, time.time_ns())
            _insert(database, made)


def create(database: Database, roots: Roots, wanted: Wanted) -> Network:
    """Make a network and its bridge.  Raises NameTaken, UsageError, Conflict for a net that is in use."""
    if not _valid(wanted.name):
        raise UsageError(f"invalid network name: {wanted.name!r}", "[a-zA-Z0-9][a-zA-Z0-9_.-]*")
    if wanted.name in PREDEFINED or wanted.name == "default" or wanted.name.startswith("container:"):
        raise Conflict(f"operation is not permitted on predefined {wanted.name} network", "choose another name")
    if wanted.driver not in DRIVERS:
        if wanted.driver in ("macvlan", "ipvlan"):
            raise UsageError(f"driver {wanted.driver} is not there yet", "bridge and none are")
        raise UsageError(f"could not find plugin {wanted.driver} in v1 plugin registry: plugin not found", "bridge or none")
    make_predefined(database, roots)
    with Lock(f"{roots.locks}/network"), MachineLock():
        if row := database.row("SELECT id FROM networks WHERE name = ?", (wanted.name,)):
            raise NetworkNameTaken(wanted.name, row[0])
        pools = _pools(database, roots, wanted) if wanted.driver == "bridge" else ()
        options = dict(wanted.options)
        taken = {row[0] for row in database.rows("SELECT link FROM networks")}
        link = options.get(BRIDGE_NAME, "") if wanted.driver == "bridge" else ""
        while wanted.driver == "bridge" and (not link or (link in taken and not options.get(BRIDGE_NAME))):
            link = roots.bridge(os.urandom(2).hex())
        if link and (link in taken or netlink.index_of(link)):
            raise Conflict(f"there is a link {link} already", f"choose another name with -o {BRIDGE_NAME}=…")
        made = Network(
            os.urandom(32).hex(), wanted.name, wanted.driver, link, wanted.internal, wanted.ipv6, pools, options,
            dict(wanted.labels), time.time_ns(),
        )  # fmt: skip
        if link:
            add_link(made)
        try:
            _insert(database, made)
        except BaseException:
            if link:
                with netlink.Conversation() as route:
                    netlink.delete_link(route, link)
            raise
    return made


class NetworkNameTaken(NameTaken):
    exit_status = 1

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(name, holder)
        self.message = f"network with name {name} already exists"
        self.hint = f"it is {holder[:12]}; `tuidock network rm {name}` removes it"


def _valid(name: str) -> bool:
    plain = name.replace("_", "a").replace(".", "a").replace("-", "a")
    return name.isascii() and name[:1].isalnum() and plain.isalnum()


def _pools(database: Database, roots: Roots, wanted: Wanted) -> tuple[Pool, ...]:
    """What --subnet, --gateway, --ip-range and --ipv6 come to, IPv4 first."""
    given = [addresses.subnet(words) for words in wanted.subnets]
    gateways, ranges = list(wanted.gateways), list(wanted.ranges)
    pools = []
    for words, whole in zip(wanted.subnets, given, strict=True):
        gateway = _take(gateways, [word for word in gateways if addresses.address(word) in whole])
        part = _take(ranges, [word for word in ranges if addresses.subnet(word).overlaps(whole)])
        pools.append(addresses.make_pool(words, gateway, part))
    if gateways or ranges:
        raise UsageError(
            f"no matching subnet for {'gateway' if gateways else 'range'} {(gateways or ranges)[0]}", "it takes a --subnet, too"
        )
    sizes = [len(one.subnet.address) for one in pools]
    if len(set(sizes)) != len(sizes):
        raise UsageError("one subnet of each family is what a bridge can have", "make another network for the second one")
    if 16 in sizes and not wanted.ipv6:
        raise UsageError(f"--subnet {wanted.subnets[sizes.index(16)]} is IPv6", "add --ipv6")
    taken = list(_taken(database))
    for one in pools:
        for other, who in taken:
            if one.subnet.overlaps(other):
                raise Conflict(f"subnet {one.subnet} overlaps with {other} of {who}", "choose another --subnet")
    if 4 not in sizes and wanted.ipv4:
        pools.append(_choose(database, roots, [one.subnet for one in pools]))
    if 16 not in sizes and wanted.ipv6:
        mark = bytes.fromhex(f"{roots.mark}00")
        pools.append(addresses.free_net6([net for net, _ in taken], mark))
    return tuple(sorted(pools, key=lambda one: len(one.subnet.address)))


def _take(words: list[str], matching: Sequence[str]) -> str:
    for word in matching[:1]:
        words.remove(word)
        return word
    return ""


def _taken(database: Database) -> list[tuple[Subnet, str]]:
    """Every net that is in use here, and by whom."""
    with netlink.Conversation() as route:
        found = [(net, f"the route by {link}") for net, link in addresses.used_by_host(route)]
    for one in all_of(database):
        found += [(its.subnet, f"network {one.name}") for its in one.pools]
    return found


def _choose(database: Database, roots: Roots, more: Sequence[Subnet]) -> Pool:
    """A free IPv4 net."""
    return addresses.free_net([*(net for net, _ in _taken(database)), *more])


def _insert(database: Database, made: Network) -> None:
    pools = dumps([one.as_json() for one in made.pools])
    with database.transaction() as transaction:
        transaction.execute(
            f"INSERT INTO networks ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                made.id, made.name, made.driver, made.link, int(made.internal), int(made.ipv6), pools, dumps(made.options),
                dumps(made.labels), made.created_at,
            ),
        )  # fmt: skip
        if not made.predefined:
            transaction.tell("network", "create", made.id, {"name": made.name, "type": made.driver})


# bridges


def add_link(made: Network) -> int:
    """Its bridge: addressed, up.  Returns the index.  Raises Missing, with nothing left."""
    try:
        return _add_link(made)
    except OSError as error:
        if not isinstance(error, FileExistsError):
            with netlink.Conversation() as route:
                netlink.delete_link(route, made.link)
        raise Missing(
            f"the bridge of network {made.name} cannot be made: {error.filename or made.link}: {error.strerror}",
            "--net none and --net host need none",
        ) from error


def _add_link(made: Network) -> int:
    with netlink.Conversation() as route:
        mtu = int(made.options[MTU]) if made.options.get(MTU, "").isdecimal() else _mtu(route)
        netlink.add_bridge(route, made.link, b"\x02\x42" + os.urandom(4), mtu)
        index = netlink.index_of(made.link)
        set_kernel(f"ipv6/conf/{made.link}/accept_ra", "0")
        if not made.ipv6:
            set_kernel(f"ipv6/conf/{made.link}/disable_ipv6", "1")
        for one in made.pools:
            netlink.add_address(route, index, made.link, one.gateway, one.subnet.length)
        netlink.set_up(route, index, made.link)
    return index


def _mtu(route: netlink.Conversation) -> int:
    """What fits through the link of the default route: whatever is larger would have to be cut there."""
    sizes = dict(netlink.links(route).values())
    ways = [sizes.get(one.link, 0) for one in netlink.routes(route) if not one.length]
    return min((size for size in ways if size >= 1280), default=1500)


def set_kernel(key: str, value: str) -> bool:
    """A parameter below /proc/sys/net of the calling thread's namespace; False if it cannot be set."""
    try:
        with open(f"/proc/sys/net/{key}", "w") as file:
            file.write(value)
    except OSError:
        return False
    return True


def get_kernel(key: str) -> str:
    """Empty if there is none."""
    try:
        with open(f"/proc/sys/net/{key}") as file:
            return file.read().strip()
    except OSError:
        return ""


def bring_up(database: Database, roots: Roots, wanted: Network, warnings: list[str]) -> int:
    """See that the bridge is there and the table knows it.  Returns the bridge's index.

    Costs two short questions when all is as it should be.  What does not work as it should is added to `warnings`.
    Raises Conflict if the net has become somebody else's meanwhile.
    """
    index = netlink.index_of(wanted.link)
    if not index:
        with Lock(f"{roots.locks}/network"), MachineLock():
            index = netlink.index_of(wanted.link) or _again(wanted)
    wall_up(database, roots, wanted, warnings)
    if not wanted.internal:
        _forwarding(wanted, warnings)
    return index


def wall_up(database: Database, roots: Roots, wanted: Network, warnings: list[str]) -> None:
    """See that the table is there and knows the network."""
    try:
        if not firewall.knows(roots, wanted.link):
            with Lock(f"{roots.locks}/network"):
                known = [one.walls for one in all_of(database) if one.link]
                if not firewall.ensure(roots, known, published(database)):
                    firewall.add_network(roots, wanted.walls)
            if not wanted.internal and (chain := firewall.foreign_drop(roots)):
                warnings.append(
                    f"{chain} of another firewall drops what is forwarded: network {wanted.name} reaches the outside only if"
                    f" it lets {wanted.link} through"
                )
    except Missing as error:
        warnings.append(f"{error.message}: {error.hint}")


def _again(wanted: Network) -> int:
    """The bridge of a network that was there before the machine went down."""
    with netlink.Conversation() as route:
        for net, link in addresses.used_by_host(route):
            for one in wanted.pools:
                if one.subnet.overlaps(net):
                    raise Conflict(
                        f"network {wanted.name} ({one.subnet}) overlaps with {net}, which goes by {link} now",
                        f"`tuidock network rm {wanted.name}` and create it with another --subnet",
                    )
    return add_link(wanted)


def _forwarding(wanted: Network, warnings: list[str]) -> None:
    keys = [("ipv4/ip_forward", "IPv4")] + ([("ipv6/conf/all/forwarding", "IPv6")] if wanted.ipv6 else [])
    for key, family in keys:
        if get_kernel(key) not in ("1", "") and not set_kernel(key, "1"):
            warnings.append(f"{family} forwarding is off and cannot be set: network {wanted.name} does not reach the outside")


def published(database: Database, container: str = "") -> list[Forwarded]:
    """What the table has to know of the published ports of running containers, or of one."""
    only = " WHERE ports.container = ?" if container else ""
    rows = database.rows(
        "SELECT protocol, ports.address, port, inside, leases.address FROM ports"
        " JOIN endpoints ON endpoints.container = ports.container AND endpoints.link != ''"
        " JOIN networks ON networks.id = endpoints.network AND NOT networks.internal"
        " JOIN leases ON leases.network = endpoints.network AND leases.container = ports.container"
        f"{only} ORDER BY ports.container, position DESC",
        (container,) if container else (),
    )
    found: dict[tuple[str, bytes, int, int], Forwarded] = {}
    for protocol, address, port, inside, to in rows:
        if len(address) == len(to):
            found[protocol, address, port, inside] = forwarded(protocol, address, port, to, inside)
    return [one for one in found.values() if one.kernel]


def forwarded(protocol: str, address: bytes, port: int, to: bytes, inside: int) -> Forwarded:
    """address: all zeros for every one of its family."""
    return Forwarded(protocol, address if any(address) else b"", port, to, inside)


def remove(database: Database, roots: Roots, name: str) -> Network:
    """Remove a network.  Raises Conflict while a running container is on it; NoSuchNetwork."""
    gone = find(database, roots, name)
    if gone.predefined:
        raise Conflict(f"{gone.name} is a pre-defined network and cannot be removed", "it is always there")
    with Lock(f"{roots.locks}/network"):
        with database.transaction() as transaction:
            users = transaction.execute(
                "SELECT containers.name, containers.id FROM leases JOIN containers ON containers.id = container"
                " WHERE network = ? GROUP BY containers.id",
                (gone.id,),
            ).fetchall()
            if users:
                shown = ", ".join(f'name:"{user}" id:"{user_id[:12]}"' for user, user_id in users)
                raise Conflict(
                    f"error while removing network: network {gone.name} has active endpoints ({shown})",
                    f"`tuidock network disconnect {gone.name} {users[0][0]}`, or stop it",
                )
            transaction.execute("DELETE FROM networks WHERE id = ?", (gone.id,))
            transaction.tell("network", "destroy", gone.id, {"name": gone.name, "type": gone.driver})
        if gone.link:
            firewall.remove_network(roots, gone.walls)
            with netlink.Conversation() as route:
                netlink.delete_link(route, gone.link)
    return gone


def users(database: Database) -> Mapping[str, list[str]]:
    """Network id to the names of the containers that are on it, running or not."""
    found: dict[str, list[str]] = {}
    query = "SELECT network, name FROM endpoints JOIN containers ON containers.id = container ORDER BY name"
    for network_id, name in database.rows(query):
        found.setdefault(network_id, []).append(name)
    return found
