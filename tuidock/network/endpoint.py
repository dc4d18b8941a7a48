"""A container's namespace with its cables: one end in it (eth0, eth1 …), the other plugged into a network's bridge.

Made before the container and joined by descriptor.  It is held by the container's monitor and by nothing else: no file and
no mount on the host names it, so it goes with the last process in it, and its cables with it, whatever was killed.  At a
container's end the host's ends are unplugged (their port is disabled, a message of microseconds; taking a link apart is
10 ms of waiting for other processors, and the kernel does that by itself).  So whoever still sits in the namespace cannot
use an address that has become another's.
"""

from __future__ import annotations

import os

from tuidock.errors import RuntimeFailure
from tuidock.network import addresses, firewall, netlink, networks
from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence
    from typing import Any

    from tuidock.network.networks import Network
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots


class Endpoint(Value):
    """A container's place on one network."""

    network: Network
    addresses: tuple[bytes, ...]
    """IPv4 first; empty while it is not plugged in"""
    mac: bytes
    link: str
    """the host's end of the cable; empty while it is not plugged in"""
    position: int
    asked: dict[str, Any]
    """ip, ip6, mac, aliases: what the user wanted"""


def take(transaction: Any, roots: Roots, container: str) -> list[Endpoint]:
    """Give a container that is to start its addresses, on all its networks.  In the transaction that says so.

    Raises Conflict, UsageError.
    """
    transaction.execute("DELETE FROM leases WHERE container = ?", (container,))
    return [lease(transaction, roots, container, one) for one in rows(transaction, container)]


def lease(transaction: Any, roots: Roots, container: str, one: Endpoint) -> Endpoint:
    """The same on one network."""
    network = one.network
    if not network.link:
        return one
    wanted = {4: one.asked.get("ip", ""), 16: one.asked.get("ip6", "")}
    given = addresses.lease(transaction, network.id, network.name, network.pools, container, wanted)
    mac = addresses.mac(one.asked["mac"]) if one.asked.get("mac") else addresses.mac_of(given[0])
    link = f"v{roots.mark}{os.urandom(3).hex()}"
    transaction.execute(
        "UPDATE endpoints SET link = ?, mac = ? WHERE container = ? AND network = ?",
        (link, addresses.show_mac(mac), container, network.id),
    )
    return one.replace(addresses=tuple(given), mac=mac, link=link)


def rows(database: Any, container: str) -> list[Endpoint]:
    """A container's endpoints in order.  database: it, or a transaction of it."""
    columns = ", ".join(f"networks.{word}" for word in networks.COLUMNS.split(", "))
    query = f"SELECT {columns}, cable, mac, position, asked"
    query += " FROM (SELECT link AS cable, mac, position, asked, network FROM endpoints WHERE container = ?)"
    query += " JOIN networks ON networks.id = network ORDER BY position"
    execute = database.connection.execute
    given: dict[str, list[bytes]] = {}
    for network_id, address in execute("SELECT network, address FROM leases WHERE container = ?", (container,)).fetchall():
        given.setdefault(network_id, []).append(address)
    return [
        Endpoint(
            networks.network(row[:10]), tuple(sorted(given.get(row[0], ()), key=len)),
            addresses.mac(row[11]) if row[11] else b"", row[10], row[12], loads(row[13]),
        )
        for row in execute(query, (container,)).fetchall()
    ]  # fmt: skip


class Namespace:
    """A network namespace that was made here, its loopback up: a descriptor of it, and a conversation with its kernel part."""

    def __init__(self, *, ipv6: bool, names: bool) -> None:
        """Make it.  The calling thread goes in and comes back.  Raises RuntimeFailure, with the thread where it was.

        names: whether names are asked for from within (names.py).
        """
        self.resolver: tuple[_socket.socket, _socket.socket] | None = None
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            sys.unshare(sys.CLONE_NEWNET)
            try:
                self.descriptor = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
                self.route = netlink.Conversation()
                _prepare(ipv6=ipv6)
                netlink.set_up(self.route, 1, "lo")
                if names:
                    from tuidock.network.names import listen

                    self.resolver = listen()
            finally:
                sys.setns(home, sys.CLONE_NEWNET, "the host's network")
        except OSError as error:
            raise RuntimeFailure(f"a network namespace cannot be made: {error.strerror}", "--net host needs none") from error
        finally:
            os.close(home)

    def inside(self) -> Inside:
        """This thread is in it meanwhile."""
        return Inside(self.descriptor)

    def close(self) -> None:
        """Let go of it."""
        self.route.close()
        for one in self.resolver or ():
            one.close()
        os.close(self.descriptor)


class Inside:
    """The calling thread is in another network namespace for as long as this is entered."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> None:
        self.home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            sys.setns(self.descriptor, sys.CLONE_NEWNET, "the container's network")
        except OSError:
            os.close(self.home)
            raise

    def __exit__(self, *_: object) -> None:
        sys.setns(self.home, sys.CLONE_NEWNET, "the host's network")
        os.close(self.home)


class Joined(Namespace):
    """The namespace of a container that runs."""

    def __init__(self, pid: int) -> None:
        """pid: of a process in it, which must be known to live.  Raises OSError."""
        self.resolver = None
        self.descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        try:
            with self.inside():
                self.route = netlink.Conversation()
        except BaseException:
            os.close(self.descriptor)
            raise


def _prepare(*, ipv6: bool) -> None:
    """Links of a namespace without IPv6 networks get no address of their own making; nobody there advertises routes."""
    networks.set_kernel("ipv6/conf/default/accept_ra", "0")
    if not ipv6:
        networks.set_kernel("ipv6/conf/default/disable_ipv6", "1")


def plug(namespace: Namespace, one: Endpoint, bridge: int, *, default: bool) -> None:
    """Lay the cable of one endpoint.  bridge: its index.  default: whether the way out goes by it.  Raises OSError."""
    name = f"eth{one.position}"
    with netlink.Conversation() as route:
        netlink.add_veth(route, one.link, bridge, name, namespace.descriptor, one.mac, netlink.mtu_of(one.network.link))
        netlink.hairpin(route, one.link, netlink.index_of(one.link))
    inside = namespace.route
    index = netlink.links(inside)[name][0]
    for pool, address in zip(one.network.pools, one.addresses, strict=True):
        netlink.add_address(inside, index, name, address, pool.subnet.length)
    netlink.set_up(inside, index, name)
    if default and not one.network.internal:
        for pool in one.network.pools:
            netlink.add_default_route(inside, index, name, pool.gateway)


def wire(database: Database, roots: Roots, endpoints: Sequence[Endpoint], warnings: list[str]) -> Namespace:
    """A namespace with all cables, IPv4 first.  Raises RuntimeFailure, Conflict; nothing is left then."""
    plugged = [one for one in endpoints if one.link]
    bridges = [networks.bring_up(database, roots, one.network, warnings) for one in plugged]
    names = any(one.network.named for one in plugged)
    namespace = Namespace(ipv6=any(one.network.ipv6 for one in plugged), names=names)
    way_out = next((one.position for one in plugged if not one.network.internal), -1)
    try:
        for one, bridge in zip(plugged, bridges, strict=True):
            plug(namespace, one, bridge, default=one.position == way_out)
    except OSError as error:
        namespace.close()
        unplug(plugged)
        raise RuntimeFailure(
            f"network: {error.filename or ''}: {error.strerror}", "`tuidock explain` shows the steps"
        ) from error
    except BaseException:
        namespace.close()
        raise
    return namespace


def unplug(endpoints: Sequence[Endpoint]) -> None:
    """Cut them off at the host's end, at once.  The links themselves go with the namespace."""
    with netlink.Conversation() as route:
        for one in endpoints:
            if one.link and (index := netlink.index_of(one.link)):
                netlink.disable_port(route, one.link, index)


def free(database: Database, roots: Roots, container: str) -> None:
    """A container has ended: its cables are cut and its ports withdrawn, then its addresses are anybody's.

    May be done any number of times.
    """
    endpoints = rows(database, container)
    if not any(one.link for one in endpoints) and not any(one.addresses for one in endpoints):
        return
    ports = [one for one in networks.published(database, container) if one.kernel]
    firewall.withdraw(roots, ports)
    unplug(endpoints)
    with database.transaction() as transaction:
        transaction.execute("UPDATE endpoints SET link = '', mac = '' WHERE container = ?", (container,))
        transaction.execute("DELETE FROM ports WHERE container = ?", (container,))
        transaction.execute("DELETE FROM leases WHERE container = ?", (container,))


def remove(database: Database, roots: Roots, container: str, network: str) -> None:
    """Take a container off one network: its cable goes at once, from both ends, then its address and the row."""
    for one in rows(database, container):
        if one.network.id != network:
            continue
        mine = set(one.addresses)
        firewall.withdraw(roots, [port for port in networks.published(database, container) if port.kernel and port.to in mine])
        if one.link:
            with netlink.Conversation() as route:
                netlink.delete_link(route, one.link)
        with database.transaction() as transaction:
            for table in ("leases", "endpoints"):
                transaction.execute(f"DELETE FROM {table} WHERE container = ? AND network = ?", (container, network))


def reroute(pid: int, endpoints: Sequence[Endpoint]) -> None:
    """After the network with the default route has gone, the way out goes by the next one that has one."""
    way_out = next((one for one in endpoints if one.link and not one.network.internal), None)
    if way_out is None:
        return
    namespace = Joined(pid)
    try:
        index = netlink.links(namespace.route)[f"eth{way_out.position}"][0]
        there = {route.family for route in netlink.routes(namespace.route) if not route.length}
        for pool in way_out.network.pools:
            if netlink.family_of(pool.gateway) not in there:
                netlink.add_default_route(namespace.route, index, f"eth{way_out.position}", pool.gateway)
    finally:
        namespace.close()


def allow_ipv6(namespace: Namespace) -> None:
    """Links that come from now on may have IPv6 addresses."""
    with namespace.inside():
        networks.set_kernel("ipv6/conf/default/disable_ipv6", "0")
