"""Subnets and who has which address of them.

A lease is a row whose key is network and address, written in the transaction that also says that its container starts:
two processes cannot give one address twice, and whoever finds a container that has ended frees what it had.  Addresses go
round, so that one that was given back is not another's at once.  Source of the pools: moby libnetwork/ipamutils, with
smaller nets, and 10.64.0.0/10 behind them.
"""

from __future__ import annotations

import _socket

from tuidock.errors import Conflict, UsageError
from tuidock.network import netlink
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

POOLS = (*((f"172.{second}.0.0", 16) for second in range(17, 32)), ("192.168.0.0", 16), ("10.64.0.0", 10))
NET_LENGTH = 20
"""Bits of the prefix of a net that nobody asked for by name: 4093 containers."""


class Subnet(Value):
    """A prefix: all addresses that begin with the same bits."""

    address: bytes
    """the lowest one, four or sixteen bytes"""
    length: int
    """bits of the prefix"""

    def __str__(self) -> str:
        return f"{netlink.show(self.address)}/{self.length}"

    @property
    def first(self) -> int:
        return int.from_bytes(self.address, "big")

    @property
    def last(self) -> int:
        return self.first | ((1 << (len(self.address) * 8 - self.length)) - 1)

    def __contains__(self, address: bytes) -> bool:
        return len(address) == len(self.address) and self.first <= int.from_bytes(address, "big") <= self.last

    def overlaps(self, other: Subnet) -> bool:
        return len(self.address) == len(other.address) and self.first <= other.last and other.first <= self.last


class Pool(Value):
    """What a network gives out in one family."""

    subnet: Subnet
    gateway: bytes
    """empty: none"""
    given: Subnet
    """--ip-range: where addresses come from that nobody asked for; else the whole subnet"""

    def as_json(self) -> dict[str, str]:
        gateway = netlink.show(self.gateway) if self.gateway else ""
        return {"subnet": str(self.subnet), "gateway": gateway, "range": str(self.given)}


def pool(kept: dict[str, str]) -> Pool:
    """The pool that `as_json` wrote."""
    gateway = address(kept["gateway"]) if kept["gateway"] else b""
    return Pool(subnet(kept["subnet"]), gateway, subnet(kept["range"]))


def address(words: str) -> bytes:
    """172.17.0.2 or fd00::2 to its bytes.  Raises UsageError."""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            return _socket.inet_pton(family, words)
        except OSError:
            continue
    raise UsageError(f"invalid IP address: {words}", "four numbers with points between, or IPv6 with colons")


def subnet(words: str) -> Subnet:
    """172.20.0.0/16 to a prefix; bits after it are cleared.  Raises UsageError."""
    text, slash, length = words.partition("/")
    packed = address(text) if slash and length.isdecimal() else b""
    bits = len(packed) * 8
    if not packed or not 0 < int(length) <= bits:
        raise UsageError(f"invalid subnet: {words}", "an address and the length of its prefix: 172.20.0.0/16")
    rest = bits - int(length)
    value = int.from_bytes(packed, "big") >> rest << rest
    return Subnet(value.to_bytes(len(packed), "big"), int(length))


def make_pool(words: str, gateway: str = "", given: str = "") -> Pool:
    """What --subnet, --gateway and --ip-range say together.  Raises UsageError if they contradict each other."""
    whole = subnet(words)
    out = subnet(given) if given else whole
    if not (out.overlaps(whole) and out.length >= whole.length):
        raise UsageError(f"the range {given} is not in the subnet {whole}", "--ip-range takes a part of --subnet")
    way = address(gateway) if gateway else (whole.first + 1).to_bytes(len(whole.address), "big")
    if way not in whole:
        raise UsageError(f"the gateway {gateway} is not in the subnet {whole}", "give one that is")
    return Pool(whole, way, out)


def used_by_host(route: netlink.Conversation) -> list[tuple[Subnet, str]]:
    """Every net that the host has a route to (none to default), and the link that it goes out by."""
    names = {index: name for name, (index, _) in netlink.links(route).items()}
    return [
        (Subnet(one.destination, one.length), names.get(one.link, "another link"))
        for one in netlink.routes(route)
        if one.length
    ]


def free_net(taken: Iterable[Subnet]) -> Pool:
    """The first net of the pools that overlaps with none of `taken`.  Raises Conflict when all do."""
    others = [(net.first, net.last) for net in taken if len(net.address) == 4]
    for words, length in POOLS:
        first = int.from_bytes(_socket.inet_pton(_socket.AF_INET, words), "big")
        step = 1 << (32 - NET_LENGTH)
        begin, behind = first, first + (1 << (32 - length))
        while begin < behind:
            ends = [end for start, end in others if begin <= end and start < begin + step]
            if not ends:
                whole = Subnet(begin.to_bytes(4, "big"), NET_LENGTH)
                return Pool(whole, (begin + 1).to_bytes(4, "big"), whole)
            begin = (max(ends) // step + 1) * step
    raise Conflict("all predefined address pools have been fully subnetted", "name a net that is free with --subnet")


def free_net6(taken: Iterable[Subnet], mark: bytes) -> Pool:
    """The same for IPv6: a /64 of a unique local prefix (RFC 4193).  mark: five bytes that stand for the root."""
    others = list(taken)
    for number in range(1 << 16):
        whole = Subnet(b"\xfd" + mark + number.to_bytes(2, "big") + bytes(8), 64)
        if not any(whole.overlaps(other) for other in others):
            return Pool(whole, (whole.first + 1).to_bytes(16, "big"), whole)
    raise Conflict("no IPv6 net of this root is free", "name one with --subnet")


def lease(
    transaction: Any, network: str, name: str, pools: Sequence[Pool], container: str, wanted: dict[int, str]
) -> list[bytes]:
    """Give a container an address of each pool, IPv4 first.

    transaction: of the database.  network, name: id and name.  wanted: bytes of the family (4, 16) to an address that was
    asked for, or empty.  Raises Conflict for one that is taken, and where nothing is left; UsageError outside of the subnet.
    """
    given = []
    for one in pools:
        size = len(one.subnet.address)
        asked = wanted.get(size, "")
        taken = {
            row[0]: row[1] for row in transaction.execute("SELECT address, container FROM leases WHERE network = ?", (network,))
        }
        chosen = _wanted(asked, one, name, taken) if asked else _next(transaction, network, one, taken)
        if not chosen:
            raise Conflict(
                f"network {name} has no address left in {one.given}",
                "remove containers of it, or make a network with a larger --subnet",
            )
        transaction.execute("INSERT INTO leases (network, address, container) VALUES (?, ?, ?)", (network, chosen, container))
        given.append(chosen)
    return given


def _wanted(asked: str, one: Pool, name: str, taken: dict[bytes, str]) -> bytes:
    chosen = address(asked)
    if chosen not in one.subnet or int.from_bytes(chosen, "big") in _unusable(one):
        raise UsageError(f"no address of network {name} ({one.subnet}) is {asked}", "--ip takes one that a container can have")
    if chosen in taken:
        raise Conflict(f"address {asked} is already in use by container {taken[chosen][:12]}", "choose another --ip, or none")
    return chosen


def _unusable(one: Pool) -> set[int]:
    """The net's own address, that of all, and the gateway's."""
    found = {int.from_bytes(one.gateway, "big")}
    if len(one.subnet.address) == 16:
        found.add(one.subnet.first)
    elif one.subnet.length < 31:
        found |= {one.subnet.first, one.subnet.last}
    return found


def _next(transaction: Any, network: str, one: Pool, taken: dict[bytes, str]) -> bytes:
    """The address after the last one that was given, round and round; empty if none is free."""
    size = len(one.subnet.address)
    row = transaction.row("SELECT address FROM cursors WHERE network = ? AND size = ?", (network, size))
    first, last = one.given.first, one.given.last
    at = int.from_bytes(row[0], "big") if row else first - 1
    unusable = _unusable(one)
    for _ in range(min(last - first + 1, len(taken) + len(unusable) + 1)):
        at = at + 1 if first - 1 <= at < last else first
        while at in unusable and at < last:
            at += 1
        chosen = at.to_bytes(size, "big")
        if at not in unusable and chosen not in taken:
            transaction.execute(
                "INSERT OR REPLACE INTO cursors (network, size, address) VALUES (?, ?, ?)", (network, size, chosen)
            )
            return chosen
    return b""


def mac_of(packed: bytes) -> bytes:
    """02:42 and the four bytes of an IPv4 address, as docker: who gets an address back gets the ARP entries right, too."""
    return b"\x02\x42" + packed[-4:]


def mac(words: str) -> bytes:
    """02:42:ac:11:00:02 to six bytes.  Raises UsageError."""
    parts = words.replace("-", ":").split(":")
    try:
        packed = bytes(int(part, 16) for part in parts if len(part) == 2)
    except ValueError:
        packed = b""
    if len(packed) != 6 or len(parts) != 6 or packed[0] & 1:
        raise UsageError(f"invalid MAC address: {words}", "six pairs of hexadecimal digits; the first one even")
    return packed


def show_mac(packed: bytes) -> str:
    return ":".join(f"{byte:02x}" for byte in packed)
