"""Networks: made, seen, removed, and containers connected to them and disconnected."""

from __future__ import annotations

from tuidock.engine import reconcile
from tuidock.errors import Conflict, RuntimeFailure, TuidockError, UsageError
from tuidock.network import addresses, endpoint, networks
from tuidock.network.netlink import show
from tuidock.network.networks import Network, Wanted
from tuidock.oci.jsontext import dumps
from tuidock.storage.locks import Lock

TYPE_CHECKING = False
if TYPE_CHECKING:
    import builtins
    from collections.abc import Sequence
    from typing import Any

    from tuidock.engine import Engine

__all__ = ("Network", "Networks", "Wanted")


class Networks:
    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.database = engine.database
        self.roots = engine.roots

    def list(self) -> builtins.list[Network]:
        """All, by name; bridge, host and none are always there."""
        networks.make_predefined(self.database, self.roots)
        return networks.all_of(self.database)

    def get(self, name: str) -> Network:
        """By name, id, or the beginning of an id.  Raises NoSuchNetwork, Conflict."""
        return networks.find(self.database, self.roots, name)

    def create(self, wanted: Wanted) -> Network:
        """Make one.  Raises NameTaken, UsageError, Conflict; nothing is left then."""
        made = networks.create(self.database, self.roots, wanted)
        if made.link:
            networks.bring_up(self.database, self.roots, made, self.engine.warnings)
        return made

    def remove(self, name: str) -> Network:
        """Raises Conflict while a running container is on it; NoSuchNetwork."""
        self._settle(self.get(name))
        return networks.remove(self.database, self.roots, name)

    def prune(self) -> builtins.list[Network]:
        """Remove those that no container is on, running or not.  Returns them."""
        used = networks.users(self.database)
        gone = []
        for one in self.list():
            if not one.predefined and one.id not in used:
                try:
                    gone.append(networks.remove(self.database, self.roots, one.id))
                except TuidockError:
                    continue  # somebody has taken or removed it just now
        return gone

    def _settle(self, network: Network) -> None:
        """See that containers that have ended are not taken for running ones."""
        for (name,) in self.database.rows("SELECT container FROM leases WHERE network = ?", (network.id,)):
            try:
                self.engine.containers.get(name)
            except TuidockError:
                continue

    def users(self) -> dict[str, builtins.list[str]]:
        """Network id to the names of the containers on it, running or not."""
        return dict(networks.users(self.database))

    def inspect(self, name: str) -> dict[str, Any]:
        """Docker's object of a network."""
        from tuidock.engine.inspect import rfc3339

        network = self.get(name)
        self._settle(network)
        return {
            "Name": network.name,
            "Id": network.id,
            "Created": rfc3339(network.created_at),
            "Scope": "local",
            "Driver": network.driver,
            "EnableIPv4": any(len(pool.subnet.address) == 4 for pool in network.pools) or not network.link,
            "EnableIPv6": network.ipv6,
            "IPAM": {
                "Driver": "default",
                "Options": None,
                "Config": [_ipam(pool) for pool in network.pools] or None,
            },
            "Internal": network.internal,
            "Attachable": False,
            "Ingress": False,
            "ConfigFrom": {"Network": ""},
            "ConfigOnly": False,
            "Containers": self._containers(network),
            "Options": network.options,
            "Labels": network.labels,
            "Bridge": network.link,
        }

    def _containers(self, network: Network) -> dict[str, dict[str, str]]:
        found: dict[str, dict[str, str]] = {}
        query = (
            "SELECT containers.id, containers.name, mac, address FROM leases"
            " JOIN containers ON containers.id = leases.container"
            " JOIN endpoints ON endpoints.container = leases.container AND endpoints.network = leases.network"
            " WHERE leases.network = ? ORDER BY containers.name"
        )
        lengths = {len(pool.subnet.address): pool.subnet.length for pool in network.pools}
        for container_id, name, mac, address in self.database.rows(query, (network.id,)):
            one = found.setdefault(
                container_id,
                {
                    "Name": name, "EndpointID": f"{container_id[:52]}{network.id[:12]}", "MacAddress": mac,
                    "IPv4Address": "", "IPv6Address": "",
                },
            )  # fmt: skip
            one["IPv4Address" if len(address) == 4 else "IPv6Address"] = f"{show(address)}/{lengths[len(address)]}"
        return found

    # containers on networks

    def connect(
        self, name: str, container: str, *, ip: str = "", ip6: str = "", aliases: Sequence[str] = (), mac: str = ""
    ) -> None:
        """Put a container on a further network, now if it runs.  Raises Conflict, UsageError, NoSuchNetwork."""
        network = self.get(name)
        found = self.engine.containers.get(container)
        kind = str(found.request["network"]).partition(":")[0]
        if kind in ("host", "container") or network.name == "host":
            raise Conflict(
                "container cannot be disconnected from host network or connected to host network",
                "one that is on a bridge or on none can be connected",
            )
        if kind == "none" or network.name == "none":
            raise Conflict(
                "container cannot be connected to multiple networks with one of the networks in private (none) mode",
                "run it with --net bridge or another network first",
            )
        for asked in (ip, ip6):
            if asked and network.predefined:
                raise UsageError("user specified IP address is supported on user defined networks only", "make one")
            if asked:
                addresses.address(asked)
        with Lock(f"{self.roots.locks}/container-{found.id}"):
            found = reconcile.settle(self.database, self.roots, reconcile.find(self.database, found.id))
            there = endpoint.rows(self.database, found.id)
            if any(one.network.id == network.id for one in there):
                raise Conflict(f"endpoint with name {found.name} already exists in network {network.name}", "it is on it")
            position = next(number for number in range(len(there) + 1) if all(one.position != number for one in there))
            asked_all = {"ip": ip, "ip6": ip6, "mac": mac, "aliases": list(aliases)}
            with self.database.transaction() as transaction:
                transaction.execute(
                    "INSERT INTO endpoints (container, network, position, asked) VALUES (?, ?, ?, ?)",
                    (found.id, network.id, position, dumps(asked_all)),
                )
                if found.running and network.link:
                    (fresh,) = (one for one in endpoint.rows(transaction, found.id) if one.network.id == network.id)
                    endpoint.lease(transaction, self.roots, found.id, fresh)
                transaction.tell(
                    "network", "connect", network.id, {"container": found.id, "name": network.name, "type": network.driver}
                )
            if found.running and network.link:
                try:
                    self._plug(found, network)
                except BaseException:
                    self._forget(found, network)
                    raise

    def _plug(self, container: reconcile.Container, network: Network) -> None:
        from tuidock.engine import wiring

        bridge = networks.bring_up(self.database, self.roots, network, self.engine.warnings)
        namespace = endpoint.Joined(container.pid)
        try:
            if not reconcile.alive(container):
                raise RuntimeFailure(f"container {container.name} has just ended", "")
            there = endpoint.rows(self.database, container.id)
            (mine,) = (one for one in there if one.network.id == network.id)
            way_out = any(one.link and not one.network.internal for one in there if one is not mine)
            if network.ipv6:
                endpoint.allow_ipv6(namespace)
            endpoint.plug(namespace, mine, bridge, default=not way_out)
            if network.named and not any(one.network.named for one in there if one is not mine):
                from tuidock.network import names

                with namespace.inside():
                    sockets = names.listen()
                names.follow(self.roots, container.id, container.pid, container.start_time, sockets)
                for one in sockets:
                    one.close()
            wiring.write_files(container, there, self.roots.container(container.id).init + "/etc")
        except OSError as error:
            raise RuntimeFailure(
                f"network: {error.filename or ''}: {error.strerror}", "`ip link` shows what is there"
            ) from error
        finally:
            namespace.close()

    def disconnect(self, name: str, container: str, *, force: bool = False) -> None:
        """Take a container off a network, now if it runs.  Raises Conflict if it is not on it."""
        from tuidock.engine import wiring

        network = self.get(name)
        found = self.engine.containers.get(container)
        if network.name in ("host", "none"):
            raise Conflict("container cannot be disconnected from host network or connected to host network", "")
        with Lock(f"{self.roots.locks}/container-{found.id}"):
            found = reconcile.settle(self.database, self.roots, reconcile.find(self.database, found.id))
            there = endpoint.rows(self.database, found.id)
            mine = [one for one in there if one.network.id == network.id]
            if not mine:
                if force:
                    return
                raise Conflict(
                    f"container {found.name} is not connected to network {network.name}", "`inspect` shows where it is"
                )
            self._forget(found, network)
            if found.running:
                left = [one for one in there if one.network.id != network.id]
                endpoint.reroute(found.pid, left)
                wiring.write_files(found, left, self.roots.container(found.id).init + "/etc")
            with self.database.transaction() as transaction:
                transaction.tell(
                    "network", "disconnect", network.id, {"container": found.id, "name": network.name, "type": network.driver}
                )

    def _forget(self, container: reconcile.Container, network: Network) -> None:
        """One endpoint less: ports, cable, address, row."""
        endpoint.remove(self.database, self.roots, container.id, network.id)


def _ipam(pool: addresses.Pool) -> dict[str, str]:
    shown = {"Subnet": str(pool.subnet)}
    if pool.given != pool.subnet:
        shown["IPRange"] = str(pool.given)
    return shown | ({"Gateway": show(pool.gateway)} if pool.gateway else {})
