"""One nf_tables table per root: what leaves networks, what enters them, and where published ports lead.

The rules are made once and never change; networks and ports are elements of the sets and maps that they look into, so
that each change is one small message and nothing is ever looked for by its handle.  Nothing of other tables is touched.
A table that somebody flushed is made again, whole, at the next start.

    chain forward      goes on: answers; what a published port let in; what stays on its own bridge
                       ends: what comes from or goes to an internal network; from one network to another; from outside to
                       an address of a container that nobody published (whoever routes to it)
    chain postrouting  masqueraded: what leaves a network's subnet by another link; a container that asks for a published
                       port of its own network
    chain prerouting, output   published ports, for addresses of this machine other than 127.0.0.0/8 and ::1: those are the
                       proxy's (proxy.py), since only a process can answer there without route_localnet
"""

from __future__ import annotations

import _socket
import errno
import struct

from tuidock.errors import Missing
from tuidock.network import nftables as nft
from tuidock.network.netlink import show
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tuidock.network.addresses import Pool
    from tuidock.storage.paths import Roots

IPV4, IPV6 = int(_socket.AF_INET), int(_socket.AF_INET6)
PROTOCOLS = {"tcp": 6, "udp": 17}


class Forwarded(Value):
    """A port of this machine that leads into a container."""

    protocol: str
    """tcp or udp"""
    address: bytes
    """of this machine; empty: all of one family, that of `to`"""
    port: int
    to: bytes
    to_port: int

    @property
    def kernel(self) -> bool:
        """Whether the kernel can do it: loopback addresses are the proxy's."""
        return self.address[:1] != b"\x7f" and self.address != bytes(15) + b"\1"

    @property
    def map(self) -> str:
        return f"{'at' if self.address else 'any'}{4 if len(self.to) == 4 else 6}"

    @property
    def key(self) -> bytes:
        return self.address + bytes((PROTOCOLS[self.protocol], 0, 0, 0)) + struct.pack(">H2x", self.port)

    @property
    def data(self) -> bytes:
        return self.to + struct.pack(">H2x", self.to_port)

    def __str__(self) -> str:
        at = f"{show(self.address)} " if self.address else ""
        return f"{at}{self.protocol} {self.port} to {show(self.to)} {self.to_port}"


class Walls(Value):
    """What the table has to know of a network."""

    link: str
    """its bridge"""
    internal: bool
    pools: tuple[Pool, ...]
    masquerade: bool = True


def _build(table: str) -> nft.Batch:
    batch = nft.Batch(table)
    batch.add_table()
    batch.add_set("bridges", "ifname")
    batch.add_set("internal", "ifname")
    batch.add_set("same", "ifname", "ifname")
    for family in (4, 6):
        kind = f"ipv{family}_addr"
        batch.add_set(f"subnets{family}", kind, flags=nft.SET_INTERVAL)
        batch.add_set(f"any{family}", "inet_proto", "inet_service", data=(kind, "inet_service"))
        batch.add_set(f"self{family}", kind, kind)
        batch.add_set(f"at{family}", kind, "inet_proto", "inet_service", data=(kind, "inet_service"))
    in_out = (nft.meta(nft.META_IIFNAME, nft.R0), nft.meta(nft.META_OIFNAME, nft.R4))
    from_dnat = (nft.conntrack(nft.CT_STATUS), nft.masked(nft.STATUS_DNAT), nft.equal(bytes(4), differs=True))
    # forward
    batch.add_chain("forward", "filter", nft.FORWARD, nft.FILTER)
    answers = (nft.conntrack(nft.CT_STATE), nft.masked(nft.ESTABLISHED_RELATED), nft.equal(bytes(4), differs=True))
    batch.add_rule("forward", *answers, nft.verdict(nft.ACCEPT))
    batch.add_rule("forward", *in_out, nft.found("same"), nft.verdict(nft.ACCEPT))
    for key in (nft.META_IIFNAME, nft.META_OIFNAME):
        batch.add_rule("forward", nft.meta(key), nft.found("internal"), nft.verdict(nft.DROP))
    batch.add_rule("forward", *from_dnat, nft.verdict(nft.ACCEPT))
    batch.add_rule("forward", nft.meta(nft.META_OIFNAME), nft.found("bridges"), nft.verdict(nft.DROP))
    # postrouting
    batch.add_chain("postrouting", "nat", nft.POSTROUTING, nft.SRCNAT)
    for family, offset, size in ((IPV4, 12, 4), (IPV6, 8, 16)):
        batch.add_rule(
            "postrouting", nft.meta(nft.META_NFPROTO), nft.equal(bytes((family,))), nft.load(1, offset, size),
            nft.found(f"subnets{4 if size == 4 else 6}"), nft.meta(nft.META_OIFNAME), nft.found("bridges", absent=True),
            nft.MASQUERADE,
        )  # fmt: skip
        # br_netfilter sends a bridged frame through here without saying which link it came in by: by its addresses then
        second = nft.R1 if size == 4 else nft.R4
        batch.add_rule(
            "postrouting", nft.meta(nft.META_NFPROTO), nft.equal(bytes((family,))), nft.load(1, offset, size),
            nft.load(1, offset + size, size, second), nft.found(f"self{4 if size == 4 else 6}"), nft.MASQUERADE,
        )  # fmt: skip
    batch.add_rule("postrouting", *from_dnat, *in_out, nft.found("same"), nft.MASQUERADE)
    # prerouting, output
    for chain, hook in (("prerouting", nft.PREROUTING), ("output", nft.OUTPUT)):
        batch.add_chain(chain, "nat", hook, nft.DSTNAT)
        for family, offset, size in ((IPV4, 16, 4), (IPV6, 24, 16)):
            number = 4 if size == 4 else 6
            after = nft.R1 if size == 4 else nft.R4
            start = (nft.meta(nft.META_NFPROTO), nft.equal(bytes((family,))))
            protocol_port = (nft.meta(nft.META_L4PROTO, after), nft.load(2, 2, 2, after + 1))
            to = (nft.dnat(family, nft.R0, nft.R1 if size == 4 else nft.R4),)
            batch.add_rule(chain, *start, nft.load(1, offset, size), *protocol_port, nft.found(f"at{number}", into=nft.R0), *to)
            loopback = (nft.masked(b"\xff\0\0\0"), nft.equal(b"\x7f\0\0\0", differs=True))
            if size == 16:
                loopback = (nft.equal(bytes(15) + b"\1", differs=True),)  # type: ignore[assignment]
            batch.add_rule(
                chain, *start, nft.load(1, offset, size), *loopback, nft.destination_kind(),
                nft.equal(struct.pack("=I", nft.LOCAL)), nft.meta(nft.META_L4PROTO, nft.R0), nft.load(2, 2, 2, nft.R1),
                nft.found(f"any{number}", into=nft.R0), *to,
            )  # fmt: skip
    return batch


def _after(pool: Pool) -> bytes:
    """The key behind a subnet's last address; the subnet of all addresses has none."""
    size = len(pool.subnet.address)
    return min(pool.subnet.last + 1, (1 << size * 8) - 1).to_bytes(size, "big")


def _network(batch: nft.Batch, walls: Walls) -> None:
    name = nft.ifname(walls.link)
    batch.add_element("bridges", name, shown=walls.link)
    batch.add_element("same", name * 2, shown=f"{walls.link} . {walls.link}")
    if walls.internal:
        batch.add_element("internal", name, shown=walls.link)
    elif walls.masquerade:
        for pool in walls.pools:
            subnets = f"subnets{4 if len(pool.subnet.address) == 4 else 6}"
            batch.add_range(subnets, pool.subnet.address, _after(pool), str(pool.subnet))


def _missing(error: OSError) -> Missing:
    return Missing(
        f"nf_tables cannot be used: {error.strerror}",
        "containers reach this machine and each other, and nothing outside; published ports go through the proxy alone",
    )


def knows(roots: Roots, link: str) -> bool:
    """Whether this root's table is there and has a bridge.  Raises Missing where the kernel has no nf_tables, or no right."""
    try:
        return nft.has_element(roots.cgroup, "bridges", nft.ifname(link), link)
    except OSError as error:
        raise _missing(error) from error


def ensure(roots: Roots, networks: Iterable[Walls], ports: Iterable[Forwarded]) -> bool:
    """Make the table if it is not there, with all that is to be in it.  Whether it was made.  Raises Missing."""
    try:
        if nft.has_table(roots.cgroup):
            return False
        batch = _build(roots.cgroup)
        for walls in networks:
            _network(batch, walls)
        _publish(batch, ports)
        batch.commit()
    except OSError as error:
        raise _missing(error) from error
    return True


def add_network(roots: Roots, walls: Walls) -> None:
    """Raises OSError."""
    batch = nft.Batch(roots.cgroup)
    _network(batch, walls)
    batch.commit()


def remove_network(roots: Roots, walls: Walls) -> None:
    """What is not there is as good as removed."""
    name = nft.ifname(walls.link)
    for part, key in (("bridges", name), ("same", name * 2), ("internal", name)):
        if part != "internal" or walls.internal:
            _quietly(roots, "delete_element", part, key, walls.link)
    for pool in () if walls.internal or not walls.masquerade else walls.pools:
        subnets = f"subnets{4 if len(pool.subnet.address) == 4 else 6}"
        _quietly(roots, "delete_range", subnets, pool.subnet.address, _after(pool), str(pool.subnet))


def _quietly(roots: Roots, verb: str, *words: str | bytes) -> None:
    batch = nft.Batch(roots.cgroup)
    getattr(batch, verb)(*words)
    try:
        batch.commit()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
            raise


def publish(roots: Roots, ports: Sequence[Forwarded]) -> None:
    """Let ports lead into containers from now on.  Raises OSError; FileExistsError if one leads elsewhere."""
    batch = nft.Batch(roots.cgroup)
    _publish(batch, ports)
    if ports:
        batch.commit()


def _publish(batch: nft.Batch, ports: Iterable[Forwarded]) -> None:
    ports = list(ports)
    for port in ports:
        batch.add_element(port.map, port.key, port.data, str(port))
    for to in {port.to for port in ports}:
        batch.add_element(f"self{4 if len(to) == 4 else 6}", to * 2, shown=f"{show(to)} . {show(to)}")


def withdraw(roots: Roots, ports: Sequence[Forwarded]) -> None:
    """All ports of the containers that they lead to.  What is not there is as good as withdrawn."""
    for port in ports:
        _quietly(roots, "delete_element", port.map, port.key, str(port))
    for to in {port.to for port in ports}:
        _quietly(roots, "delete_element", f"self{4 if len(to) == 4 else 6}", to * 2, f"{show(to)} . {show(to)}")


def foreign_drop(roots: Roots) -> str:
    """A chain of somebody else that drops what is forwarded unless it says otherwise; empty if there is none."""
    try:
        for chain in nft.chains():
            drops = chain.get("hook") == nft.FORWARD and chain.get("policy") == nft.DROP
            if drops and chain["table"] != roots.cgroup and chain["family"] in ("inet", "ip"):
                return f"{chain['family']} {chain['table']} {chain['name']}"
    except OSError:
        pass
    return ""


def remove(roots: Roots) -> None:
    """Take the whole table away."""
    batch = nft.Batch(roots.cgroup)
    batch.delete_table()
    try:
        batch.commit()
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.EPROTONOSUPPORT, errno.EOPNOTSUPP):
            raise
