"""The part of nf_tables' netlink protocol that one table with maps takes: tables, chains, sets, rules, elements.

`nft` would be a process of 15 ms per change and is not on every machine; the kernel's own language is a few dozen numbers.
All that is asked in one `Batch` happens or nothing does.  Sources: linux/netfilter/nf_tables.h, linux/netfilter/nfnetlink.h;
what an expression means is in nft(8).
"""

from __future__ import annotations

import struct

from tuidock.network import netlink
from tuidock.network.netlink import NLM_F_ACK, NLM_F_APPEND, NLM_F_CREATE, NLM_F_REQUEST, attribute, nested, text
from tuidock.runtime import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

SUBSYSTEM, BATCH_BEGIN, BATCH_END = 10 << 8, 0x10, 0x11
NEWTABLE, GETTABLE, DELTABLE, NEWCHAIN, GETCHAIN, NEWRULE, NEWSET, NEWSETELEM, GETSETELEM, DELSETELEM = (
    0,
    1,
    2,
    3,
    4,
    6,
    9,
    12,
    13,
    14,
)
INET = 1
FAMILIES = {1: "inet", 2: "ip", 3: "arp", 5: "netdev", 7: "bridge", 10: "ip6"}
PREROUTING, FORWARD, OUTPUT, POSTROUTING = 0, 2, 3, 4
DSTNAT, FILTER, SRCNAT = -100, 0, 100
DROP, ACCEPT = 0, 1
SET_INTERVAL, SET_MAP, SET_INTERVAL_END = 4, 8, 1
IFNAME = 16

TYPES = {"ipv4_addr": (7, 4), "ipv6_addr": (8, 16), "inet_proto": (12, 4), "inet_service": (13, 4), "ifname": (41, IFNAME)}
"""nft's name of a type to its number, by which `nft list` knows how to show it, and the bytes that it takes in a register."""

# registers of four bytes each; VERDICT is where accept and drop go
VERDICT, R0, R1, R2, R4, R5 = 0, 8, 9, 10, 12, 13
"""Rn is the register at byte 4 n."""

# keys of nft_meta, nft_ct, nft_fib
META_IIFNAME, META_OIFNAME, META_NFPROTO, META_L4PROTO = 6, 7, 15, 16
CT_STATE, CT_STATUS, ESTABLISHED_RELATED, STATUS_DNAT = 0, 2, 2 | 4, 1 << 5
FIB_ADDRTYPE, FIB_DADDR, LOCAL = 3, 2, 2


def be32(kind: int, value: int) -> bytes:
    return attribute(kind, struct.pack(">i" if value < 0 else ">I", value))


def _value(kind: int, content: bytes) -> bytes:
    return nested(kind, attribute(1, content))


def _expression(name: str, *attributes: bytes) -> bytes:
    return nested(1, text(1, name), nested(2, *attributes))


def meta(key: int, register: int = R0) -> bytes:
    """Something about the packet that is not in it: the link it came in by, its protocol."""
    return _expression("meta", be32(1, register), be32(2, key))


def load(base: int, offset: int, length: int, register: int = R0) -> bytes:
    """Bytes of the packet.  base: 1 network header, 2 transport header."""
    return _expression("payload", be32(1, register), be32(2, base), be32(3, offset), be32(4, length))


def conntrack(key: int, register: int = R0) -> bytes:
    return _expression("ct", be32(1, register), be32(2, key))


def destination_kind(register: int = R0) -> bytes:
    """What the routing table says of the destination: LOCAL is one of this machine's own addresses."""
    return _expression("fib", be32(1, register), be32(2, FIB_ADDRTYPE), be32(3, FIB_DADDR))


def masked(mask: int | bytes, register: int = R0) -> bytes:
    content = struct.pack("=I", mask) if isinstance(mask, int) else mask
    length = len(content)
    return _expression(
        "bitwise", be32(1, register), be32(2, register), be32(3, length), _value(4, content), _value(5, bytes(length))
    )


def equal(content: bytes, register: int = R0, *, differs: bool = False) -> bytes:
    """Go on only if the register holds this; with `differs` only if it does not."""
    return _expression("cmp", be32(1, register), be32(2, int(differs)), _value(3, content))


def found(name: str, register: int = R0, *, absent: bool = False, into: int = -1) -> bytes:
    """Go on only if a set has what the register holds; into: where a map's value goes."""
    more = [be32(3, into)] if into >= 0 else []
    return _expression("lookup", text(1, name), be32(2, register), *more, be32(5, int(absent)))


def verdict(code: int) -> bytes:
    return _expression("immediate", be32(1, VERDICT), nested(2, nested(2, be32(1, code))))


def immediate(content: bytes, register: int) -> bytes:
    """A value into a register."""
    return _expression("immediate", be32(1, register), _value(2, content))


def dnat(family: int, address: int, port: int) -> bytes:
    """Send it to the address and port in these registers.  family: of netlink.family_of."""
    return _expression("nat", be32(1, 1), be32(2, family), be32(3, address), be32(5, port))


MASQUERADE = _expression("masq")


def _type(words: Iterable[str]) -> int:
    """The number of a type, or of several one after the other."""
    value = 0
    for word in words:
        value = value << 6 | TYPES[word][0]
    return value


def ifname(name: str) -> bytes:
    """A link's name as sets hold it."""
    return name.encode().ljust(IFNAME, b"\0")


class Batch:
    """Changes of one inet table that happen together."""

    def __init__(self, table: str) -> None:
        self.table = table
        self.parts: list[tuple[str, int, int, bytes]] = []

    def _add(self, shown: str, kind: int, flags: int, *attributes: bytes) -> None:
        self.parts.append((shown, kind, flags, b"".join(attributes)))

    def add_table(self) -> None:
        self._add(f"add table inet {self.table}", NEWTABLE, NLM_F_CREATE, text(1, self.table))

    def delete_table(self) -> None:
        self._add(f"delete table inet {self.table}", DELTABLE, 0, text(1, self.table))

    def add_chain(self, name: str, kind: str, hook: int, priority: int) -> None:
        """A base chain with policy accept.  kind: filter or nat."""
        place = nested(4, be32(1, hook), be32(2, priority))
        self._add(
            f"add chain {name}",
            NEWCHAIN,
            NLM_F_CREATE,
            text(1, self.table),
            text(3, name),
            place,
            be32(5, ACCEPT),
            text(7, kind),
        )

    def add_set(self, name: str, *key: str, flags: int = 0, data: tuple[str, ...] = ()) -> None:
        """A set of keys of these TYPES; with `data` a map to values of those."""
        number = len(self.parts) + 1
        # without this `nft list` shows a lone ifname the wrong way round (libnftnl, NFTNL_UDATA_SET_KEYBYTEORDER)
        order = [attribute(13, struct.pack("=BBI", 0, 4, 1))] if key == ("ifname",) else []
        more = [be32(6, _type(data)), be32(7, sum(TYPES[word][1] for word in data))] if data else []
        self._add(
            f"add set {name}", NEWSET, NLM_F_CREATE, text(1, self.table), text(2, name),
            be32(3, flags | (SET_MAP if data else 0)), be32(4, _type(key)), be32(5, sum(TYPES[word][1] for word in key)),
            *more, be32(10, number), *order,
        )  # fmt: skip

    def add_rule(self, chain: str, *expressions: bytes) -> None:
        """At the end of a chain."""
        self._add(
            f"add rule {chain}",
            NEWRULE,
            NLM_F_CREATE | NLM_F_APPEND,
            text(1, self.table),
            text(2, chain),
            nested(4, *expressions),
        )

    def add_element(self, name: str, key: bytes, data: bytes = b"", shown: str = "") -> None:
        self._elements(NEWSETELEM, NLM_F_CREATE, "add", name, [(key, data, 0)], shown)

    def delete_element(self, name: str, key: bytes, shown: str = "") -> None:
        self._elements(DELSETELEM, 0, "delete", name, [(key, b"", 0)], shown)

    def add_range(self, name: str, first: bytes, after: bytes, shown: str = "") -> None:
        """first: the lowest key; after: the one behind the highest."""
        self._elements(NEWSETELEM, NLM_F_CREATE, "add", name, [(first, b"", 0), (after, b"", SET_INTERVAL_END)], shown)

    def delete_range(self, name: str, first: bytes, after: bytes, shown: str = "") -> None:
        self._elements(DELSETELEM, 0, "delete", name, [(first, b"", 0), (after, b"", SET_INTERVAL_END)], shown)

    def _elements(
        self, kind: int, flags: int, verb: str, name: str, elements: Iterable[tuple[bytes, bytes, int]], shown: str
    ) -> None:
        packed = [
            nested(1, _value(1, key), *([_value(2, data)] if data else []), *([be32(3, mark)] if mark else []))
            for key, data, mark in elements
        ]
        self._add(f"{verb} element {name} {{ {shown} }}", kind, flags, text(1, self.table), text(2, name), nested(3, *packed))

    def commit(self) -> None:
        """Ask the kernel for all of it.  Raises OSError about the first that it refuses; then nothing has changed."""
        began = trace.now()
        with netlink.Conversation(netlink.NETLINK_NETFILTER) as netfilter:
            content = netlink.message(BATCH_BEGIN, NLM_F_REQUEST, netfilter.next(), _family(0, 10))
            waiting = {}
            for shown, kind, flags, body in self.parts:
                sequence = netfilter.next()
                waiting[sequence] = shown
                content += netlink.message(SUBSYSTEM | kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, _family(INET) + body)
            content += netlink.message(BATCH_END, NLM_F_REQUEST, netfilter.next(), _family(0, 10))
            netfilter.socket.setsockopt(1, 8, 1 << 18)  # SO_RCVBUF: an acknowledgement each
            netfilter.socket.send(content)
            shown = self.parts[0][0] if len(self.parts) == 1 else f"{len(self.parts)} changes: {'; '.join(waiting.values())}"
            netfilter.heed(f"nft {shown}"[:600], waiting, began)


def _family(family: int, resource: int = 0) -> bytes:
    return struct.pack(">BBH", family, 0, resource)


def has_table(name: str) -> bool:
    """Whether there is an inet table of that name.  Raises OSError where the kernel has no nf_tables."""
    with netlink.Conversation(netlink.NETLINK_NETFILTER) as netfilter:
        try:
            netfilter.ask(f"nft list table inet {name}", SUBSYSTEM | GETTABLE, _family(INET) + text(1, name))
        except FileNotFoundError:
            return False
    return True


def has_element(table: str, name: str, key: bytes, shown: str) -> bool:
    """Whether a set is there and has this key.  Raises OSError where the kernel has no nf_tables."""
    with netlink.Conversation(netlink.NETLINK_NETFILTER) as netfilter:
        wanted = text(1, table) + text(2, name) + nested(3, nested(1, _value(1, key)))
        try:
            netfilter.ask(f"nft get element inet {table} {name} {{ {shown} }}", SUBSYSTEM | GETSETELEM, _family(INET) + wanted)
        except FileNotFoundError:
            return False
    return True


def chains() -> Iterator[dict[str, str | int]]:
    """Every chain of the namespace: family, table, name and, of a base chain, hook, priority and policy."""
    with netlink.Conversation(netlink.NETLINK_NETFILTER) as netfilter:
        for _, body in netfilter.dump(SUBSYSTEM | GETCHAIN, _family(0)):
            its = netlink.attributes(body[4:])
            table, name = (its[kind].rstrip(b"\0").decode() for kind in (1, 3))
            one: dict[str, str | int] = {"family": FAMILIES.get(body[0], ""), "table": table, "name": name}
            if 4 in its:
                place = netlink.attributes(its[4])
                one["hook"], one["policy"] = int.from_bytes(place[1], "big"), int.from_bytes(its.get(5, b"\0\0\0\1"), "big")
            yield one


def elements(table: str, name: str) -> list[tuple[bytes, bytes]]:
    """(key, data) of each element of a set or map."""
    found = []
    with netlink.Conversation(netlink.NETLINK_NETFILTER) as netfilter:
        for _, body in netfilter.dump(SUBSYSTEM | GETSETELEM, _family(INET) + text(1, table) + text(2, name)):
            content, at = netlink.attributes(body[4:]).get(3, b""), 0
            while at + 4 <= len(content):
                length = struct.unpack_from("=H", content, at)[0]
                its = netlink.attributes(content[at + 4 : at + length])
                key = netlink.attributes(its[1]).get(1, b"")
                found.append((key, netlink.attributes(its[2]).get(1, b"") if 2 in its else b""))
                at += (length + 3) & ~3
    return found
