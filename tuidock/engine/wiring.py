"""A container's networks on the way of `run`: from what was asked for to a namespace with its cables, and back.

Imported for containers that are on a network, and for no others.
"""

from __future__ import annotations

import os

from tuidock.engine import files
from tuidock.errors import UsageError
from tuidock.network import addresses, endpoint, networks
from tuidock.network.netlink import show
from tuidock.oci.jsontext import dumps
from tuidock.runtime import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import RunRequest
    from tuidock.network.endpoint import Endpoint
    from tuidock.network.ports import Bound
    from tuidock.network.proxy import Proxy
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots


def check(engine: Engine, request: RunRequest) -> None:
    """What can be found wrong before a container is made.  Raises UsageError, NoSuchNetwork."""
    for name in request.networks:
        if not name or name in ("none", "host") or name.startswith("container:"):
            raise UsageError(
                f"conflicting options: network {request.network} and {name}", "none, host and container: are alone"
            )
    found = [networks.find(engine.database, engine.roots, name) for name in (request.network, *request.networks)]
    if len({one.id for one in found}) != len(found):
        raise UsageError("a network is named twice", "each network once")
    first = found[0]
    for asked, flag in ((request.ip, "ip"), (request.ip6, "ip6")):
        if asked:
            address = addresses.address(asked)
            if first.predefined:
                raise UsageError(
                    "user specified IP address is supported on user defined networks only",
                    f"`tuidock network create --subnet …`, then --net NAME --{flag} {asked}",
                )
            if not any(address in pool.subnet for pool in first.pools):
                nets = " or ".join(str(pool.subnet) for pool in first.pools)
                raise UsageError(f"no subnet of network {first.name} has {asked}", f"--{flag} takes an address of {nets}")
    if request.network_aliases and first.predefined:
        raise UsageError(
            "network-scoped alias is supported only for containers in user defined networks", "make one with `network create`"
        )
    if request.mac_address:
        addresses.mac(request.mac_address)
    if request.publish:
        from tuidock.network import ports

        for text in request.publish:
            ports.parse(text)


def enroll(transaction: Any, roots: Roots, container: str, request: RunRequest) -> None:
    """Write down which networks a new container is on.  In the transaction that makes it.  Raises NoSuchNetwork."""
    for position, name in enumerate((request.network, *request.networks)):
        network = networks.find(transaction.database, roots, name)
        asked: dict[str, Any] = {"aliases": list(request.network_aliases)}
        if position == 0:
            asked |= {"ip": request.ip, "ip6": request.ip6, "mac": request.mac_address}
        transaction.execute(
            "INSERT INTO endpoints (container, network, position, asked) VALUES (?, ?, ?, ?)",
            (container, network.id, position, dumps(asked)),
        )


class Wired:
    """A container's network, made and waiting for its first process."""

    def __init__(
        self, engine: Engine, container: str, namespace: endpoint.Namespace, proxy: Proxy | None, calls: list[list[object]]
    ) -> None:
        self.engine = engine
        self.container = container
        self.namespace = namespace
        self.proxy = proxy
        self.calls = calls
        """the record of how it was made"""

    @property
    def path(self) -> str:
        """What config.json says of a namespace that only a descriptor names."""
        return f"/proc/{os.getpid()}/fd/{self.namespace.descriptor}"

    def follow(self, pid: int, started: int) -> None:
        """The container runs."""
        if self.proxy is not None:
            self.proxy.follow(pid, started)
        if self.namespace.resolver is not None:
            from tuidock.network import names

            try:
                names.follow(self.engine.roots, self.container, pid, started, self.namespace.resolver)
            except OSError as error:
                self.engine.warnings.append(f"names of other containers are not answered: {error.strerror}")

    def close(self) -> None:
        """Let go of it: it goes unless a container has it."""
        self.namespace.close()
        if self.proxy is not None:
            self.proxy.close()


def wire(engine: Engine, container: Container, request: RunRequest, etc: str) -> Wired:
    """Addresses, ports, a namespace, cables, and the files that tell of them.  etc: the folder of hosts and resolv.conf.

    Raises Conflict, RuntimeFailure; `free` takes back what was given then.
    """
    trace.take()
    database, roots = engine.database, engine.roots
    bound = _bind(engine, container, request) if request.publish or request.publish_all else []
    try:
        with database.transaction() as transaction:
            endpoints = endpoint.take(transaction, roots, container.id)
            transaction.execute("UPDATE containers SET status = 'starting' WHERE id = ?", (container.id,))
            for one in bound:
                transaction.execute(
                    "INSERT INTO ports (container, protocol, inside, address, port) VALUES (?, ?, ?, ?, ?)",
                    (container.id, one.protocol, one.inside, one.address, one.port),
                )
        proxy = _proxy(engine, container, endpoints, bound) if bound else None
    finally:
        for one in bound:
            one.socket.close()  # the proxy has them now
    try:
        namespace = endpoint.wire(database, roots, endpoints, engine.warnings)
        try:
            write_files(container, endpoints, etc)
            if bound:
                _publish(engine, container)
        except BaseException:
            namespace.close()
            raise
    except BaseException:
        if proxy is not None:
            proxy.close()
        raise
    return Wired(engine, container.id, namespace, proxy, [["engine", *call] for call in trace.take()])


def _bind(engine: Engine, container: Container, request: RunRequest) -> list[Bound]:
    """Hold the ports of this machine.  None where no network of the container could be reached by them."""
    from tuidock.network import ports

    if not any(one.network.link and not one.network.internal for one in endpoint.rows(engine.database, container.id)):
        engine.warnings.append(f"{container.name} is on no network that is reached from outside: its ports are not published")
        return []
    exposed = container.config["Config"]["ExposedPorts"]
    return ports.bind(engine.database, ports.wanted(request.publish, exposed, publish_all=request.publish_all))


def _proxy(engine: Engine, container: Container, endpoints: list[Endpoint], bound: list[Bound]) -> Proxy:
    """Who answers on 127.0.0.1 and ::1, and everywhere if the kernel does not."""
    from tuidock.network.proxy import Proxy

    way_in = next(one for one in endpoints if one.addresses and not one.network.internal)
    mine = {len(address): address for address in way_in.addresses}
    either = way_in.addresses[0]
    targets = [mine.get(len(one.address), either) for one in bound]
    return Proxy(bound, targets, engine.roots.container(container.id).proxy)


def _publish(engine: Engine, container: Container) -> None:
    """The kernel's part.  Without it the proxy does all of it, and the container sees this machine as its only client."""
    from tuidock.network import firewall

    forwarded = networks.published(engine.database, container.id)
    try:
        firewall.publish(engine.roots, forwarded)
    except FileExistsError:  # of a container that ended when the table could not be asked
        firewall.withdraw(engine.roots, forwarded)
        firewall.publish(engine.roots, forwarded)
    except OSError as error:
        engine.warnings.append(f"published ports go through the proxy alone: {error.strerror}")


def write_files(container: Container, endpoints: list[Endpoint], etc: str) -> None:
    """hosts and resolv.conf, in place: a container that runs has it mounted."""
    config = container.config["Config"]
    own = [f"{show(address)}\t{config['Hostname']}\n" for one in endpoints for address in one.addresses]
    files.rewrite(f"{etc}/hosts", files.HOSTS + "".join(own) + files.added_hosts(container.request))
    named = any(one.network.named for one in endpoints)
    made = files.resolv_conf(host_network=False, asks=named)
    files.rewrite(f"{etc}/resolv.conf", files.asked_servers(made, container.request, resolver=named))


def free(database: Database, roots: Roots, container: str) -> None:
    """What a container had on networks, taken back.  May be done any number of times."""
    state = roots.container(container).proxy
    if os.path.exists(state):
        from tuidock.network import proxy

        proxy.end(state)
    endpoint.free(database, roots, container)


def settings(database: Database, container: Container) -> dict[str, Any]:
    """What docker's inspect calls NetworkSettings.Networks."""
    found = {}
    for one in endpoint.rows(database, container.id):
        pools = {len(pool.subnet.address): pool for pool in one.network.pools}
        mine = {len(address): address for address in one.addresses}

        def gateway(size: int, pools: dict[int, addresses.Pool] = pools, mine: dict[int, bytes] = mine) -> str:
            return show(pools[size].gateway) if size in mine else ""

        aliases = one.asked.get("aliases") or []
        names = [container.name, *aliases, container.id[:12]]
        hostname = container.config["Config"]["Hostname"]
        found[one.network.name] = {
            "IPAMConfig": _ipam(one), "Links": None, "Aliases": aliases or None,
            "DriverOpts": None, "GwPriority": 0, "NetworkID": one.network.id,
            "EndpointID": one.link and f"{container.id[:52]}{one.network.id[:12]}",
            "Gateway": gateway(4), "IPAddress": show(mine[4]) if 4 in mine else "",
            "MacAddress": addresses.show_mac(one.mac) if one.mac else "",
            "IPPrefixLen": pools[4].subnet.length if 4 in mine else 0, "IPv6Gateway": gateway(16),
            "GlobalIPv6Address": show(mine[16]) if 16 in mine else "",
            "GlobalIPv6PrefixLen": pools[16].subnet.length if 16 in mine else 0,
            "DNSNames": None if one.network.predefined else list(dict.fromkeys([*names, hostname])), "Link": one.link,
        }  # fmt: skip
    return found


def _ipam(one: Endpoint) -> dict[str, str] | None:
    asked = {"IPv4Address": one.asked.get("ip", ""), "IPv6Address": one.asked.get("ip6", "")}
    return {key: value for key, value in asked.items() if value} or None
