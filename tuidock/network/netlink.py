"""The few rtnetlink messages that a container's network takes: links, addresses, routes.  netlink(7), rtnetlink(7).

`ip` would be a process per step and pyroute2 costs 134 ms to import, so the path of `run` packs its messages here.  Each
request records itself (runtime/trace.py) as a person would write it with `ip`, and raises OSError with what the kernel
says about it (NLMSGERR_ATTR_MSG).  A socket speaks to the namespace that it was opened in, wherever its owner goes.
"""

from __future__ import annotations

import _socket
import fcntl
import os
import struct

from tuidock.oci.value import Value
from tuidock.runtime import trace

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

# linux/netlink.h
AF_NETLINK, NETLINK_ROUTE, NETLINK_NETFILTER = 16, 0, 12
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND, NLM_F_DUMP = 1, 4, 0x200, 0x400, 0x800, 0x300
NLM_F_ACK_TLVS, NLA_F_NESTED, NLA_TYPE_MASK = 0x200, 0x8000, 0x3FFF
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK = 270, 10, 11
NLMSGERR_ATTR_MSG = 1

# linux/rtnetlink.h
RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK, RTM_SETLINK = 16, 17, 18, 19
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR, RTM_NEWROUTE, RTM_GETROUTE = 20, 21, 22, 24, 26
RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK, RTN_UNICAST = 254, 3, 0, 253, 1
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15

# linux/if_link.h, linux/if_addr.h, linux/veth.h, linux/if.h
IFLA_ADDRESS, IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_PROTINFO, IFLA_LINKINFO, IFLA_NET_NS_FD = 1, 3, 4, 10, 12, 18, 28
IFLA_INFO_KIND, IFLA_INFO_DATA, IFLA_INFO_SLAVE_KIND, IFLA_INFO_SLAVE_DATA, VETH_INFO_PEER = 1, 2, 4, 5, 1
IFLA_BRPORT_STATE, IFLA_BRPORT_MODE = 1, 4
AF_BRIDGE = 7
IFA_ADDRESS, IFA_LOCAL, IFA_BROADCAST, IFA_FLAGS, IFA_F_NODAD = 1, 2, 4, 8, 2
IFF_UP = 1

HEADER, ATTRIBUTE = struct.Struct("=IHHII"), struct.Struct("=HH")
LINK, ADDRESS, ROUTE = struct.Struct("=BxHiII"), struct.Struct("=BBBBI"), struct.Struct("=BBBBBBBBI")
NUMBER = struct.Struct("=I")
ANSWER = 1 << 16


def attribute(kind: int, content: bytes) -> bytes:
    """One attribute: length, kind, content, padded to four bytes."""
    return ATTRIBUTE.pack(4 + len(content), kind) + content + bytes(-len(content) % 4)


def nested(kind: int, *attributes: bytes) -> bytes:
    """An attribute that holds attributes."""
    return attribute(kind | NLA_F_NESTED, b"".join(attributes))


def number(kind: int, value: int) -> bytes:
    """An attribute that is a 32-bit number of this machine's byte order."""
    return attribute(kind, NUMBER.pack(value))


def text(kind: int, words: str) -> bytes:
    """An attribute that is a string with its zero."""
    return attribute(kind, words.encode() + b"\0")


def attributes(content: bytes) -> dict[int, bytes]:
    """Kind to content of a run of attributes; of several with one kind the last."""
    found, at = {}, 0
    while at + 4 <= len(content):
        length, kind = ATTRIBUTE.unpack_from(content, at)
        if length < 4:
            break
        found[kind & NLA_TYPE_MASK] = content[at + 4 : at + length]
        at += (length + 3) & ~3
    return found


def message(kind: int, flags: int, sequence: int, body: bytes) -> bytes:
    """A whole message."""
    return HEADER.pack(HEADER.size + len(body), kind, flags, sequence, 0) + body


class Conversation:
    """A netlink socket in the network namespace of the calling thread."""

    def __init__(self, family: int = NETLINK_ROUTE) -> None:
        """Raises OSError (EPROTONOSUPPORT) if the kernel lacks the family."""
        self.socket = _socket.socket(AF_NETLINK, _socket.SOCK_RAW | _socket.SOCK_CLOEXEC, family)
        for option in (NETLINK_CAP_ACK, NETLINK_EXT_ACK):
            self.socket.setsockopt(SOL_NETLINK, option, 1)
        self.sequence = 0

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def next(self) -> int:
        """A sequence number for a message."""
        self.sequence += 1
        return self.sequence

    def ask(self, shown: str, kind: int, body: bytes, flags: int = 0) -> None:
        """Send one request and wait for its acknowledgement.  shown: as `ip` would have it.  Raises OSError."""
        began = trace.now()
        sequence = self.next()
        self.socket.send(message(kind, NLM_F_REQUEST | NLM_F_ACK | flags, sequence, body))
        self.heed(shown, {sequence: shown}, began)

    def heed(self, shown: str, waiting: dict[int, str], began: int) -> None:
        """Read acknowledgements until none of `waiting` (sequence number to subject) is out.  Raises the first error."""
        failure: OSError | None = None
        while waiting:
            for kind, flags, sequence, body in self.messages():
                if kind != NLMSG_ERROR or sequence not in waiting:
                    continue
                subject = waiting.pop(sequence)
                code = -int.from_bytes(body[:4], "little" if _LITTLE else "big", signed=True)
                if code and failure is None:
                    failure = OSError(code, _reason(code, flags, body), subject)
                    if waiting and min(waiting) < sequence:
                        waiting.clear()  # a batch is given up as a whole
        trace.add("netlink", (shown,), -1 if failure else 0, failure.errno or 0 if failure else 0, trace.now() - began)
        if failure is not None:
            raise failure

    def messages(self) -> Iterator[tuple[int, int, int, bytes]]:
        """(kind, flags, sequence, body) of the messages in one datagram."""
        content, at = self.socket.recv(ANSWER), 0
        while at + HEADER.size <= len(content):
            length, kind, flags, sequence, _ = HEADER.unpack_from(content, at)
            yield kind, flags, sequence, content[at + HEADER.size : at + length]
            at += (length + 3) & ~3

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[int, bytes]]:
        """(kind, body) of all that there is.  Raises OSError."""
        sequence = self.next()
        self.socket.send(message(kind, NLM_F_REQUEST | NLM_F_DUMP, sequence, body))
        while True:
            for answer, _, its, content in self.messages():
                if its != sequence:
                    continue
                if answer == NLMSG_DONE:
                    return
                if answer == NLMSG_ERROR:
                    code = -int.from_bytes(content[:4], "little" if _LITTLE else "big", signed=True)
                    raise OSError(code, os.strerror(code))
                yield answer, content


_LITTLE = struct.pack("=H", 1) == b"\1\0"


def _reason(code: int, flags: int, body: bytes) -> str:
    """The kernel's own words where it has some."""
    said = attributes(body[20:]).get(NLMSGERR_ATTR_MSG, b"") if flags & NLM_F_ACK_TLVS else b""
    words = said.rstrip(b"\0").decode(errors="replace").rstrip(".")
    return f"{os.strerror(code)} ({words})" if words else os.strerror(code)


class Route(Value):
    """A route of the main table."""

    family: int
    destination: bytes
    """four or sixteen bytes"""
    length: int
    """bits of the prefix; 0 for the default route"""
    link: int
    """index; 0 if it has none of its own"""


# links


def add_bridge(route: Conversation, name: str, mac: bytes, mtu: int) -> None:
    """A bridge without spanning tree, down.  Raises FileExistsError."""
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "bridge"))
    body = LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name) + attribute(IFLA_ADDRESS, mac) + number(IFLA_MTU, mtu) + info
    route.ask(f"link add {name} type bridge mtu {mtu}", RTM_NEWLINK, body, NLM_F_CREATE | NLM_F_EXCL)


def add_veth(route: Conversation, name: str, bridge: int, peer: str, namespace: int, mac: bytes, mtu: int) -> None:
    """A cable: one end `name` here, up and plugged into the bridge of that index, the other `peer` in a namespace, down.

    namespace: an open descriptor of it.  mac: of the peer.
    """
    head = LINK.pack(0, 0, 0, 0, 0)
    other = head + text(IFLA_IFNAME, peer) + number(IFLA_MTU, mtu) + number(IFLA_NET_NS_FD, namespace)
    other += attribute(IFLA_ADDRESS, mac)
    info = nested(IFLA_LINKINFO, text(IFLA_INFO_KIND, "veth"), nested(IFLA_INFO_DATA, nested(VETH_INFO_PEER, other)))
    body = LINK.pack(0, 0, 0, IFF_UP, IFF_UP) + text(IFLA_IFNAME, name) + number(IFLA_MTU, mtu) + number(IFLA_MASTER, bridge)
    shown = f"link add {name} master {bridge} up type veth peer {peer} netns {namespace}"
    route.ask(shown, RTM_NEWLINK, body + info, NLM_F_CREATE | NLM_F_EXCL)


def hairpin(route: Conversation, name: str, index: int) -> None:
    """Let a bridge send a frame back where it came from: a container that asks for its own published port."""
    body = LINK.pack(AF_BRIDGE, 0, index, 0, 0) + nested(IFLA_PROTINFO, attribute(IFLA_BRPORT_MODE, b"\1"))
    route.ask(f"link set {name} type bridge_slave hairpin on", RTM_SETLINK, body)


def disable_port(route: Conversation, name: str, index: int) -> None:
    """Nothing goes through this end of a cable any more.  One that is gone, or in no bridge any more, is as good."""
    body = LINK.pack(AF_BRIDGE, 0, index, 0, 0) + nested(IFLA_PROTINFO, attribute(IFLA_BRPORT_STATE, b"\0"))
    try:
        route.ask(f"link set {name} type bridge_slave state disabled", RTM_SETLINK, body)
    except OSError as error:
        if error.errno not in (19, 22, 95):  # ENODEV, EINVAL, EOPNOTSUPP
            raise


def set_up(route: Conversation, index: int, name: str) -> None:
    route.ask(f"link set {name} up", RTM_NEWLINK, LINK.pack(0, 0, index, IFF_UP, IFF_UP))


def delete_link(route: Conversation, name: str) -> bool:
    """Remove a link, and the other end of a cable with it; False if it was gone."""
    try:
        route.ask(f"link del {name}", RTM_DELLINK, LINK.pack(0, 0, 0, 0, 0) + text(IFLA_IFNAME, name))
    except OSError as error:
        if error.errno == 19:  # ENODEV
            return False
        raise
    return True


def links(route: Conversation) -> dict[str, tuple[int, int]]:
    """Name to (index, MTU) of every link."""
    found = {}
    for _, body in route.dump(RTM_GETLINK, LINK.pack(0, 0, 0, 0, 0)):
        _, _, index, _, _ = LINK.unpack_from(body)
        its = attributes(body[LINK.size :])
        found[its[IFLA_IFNAME].rstrip(b"\0").decode()] = (index, NUMBER.unpack(its[IFLA_MTU])[0] if IFLA_MTU in its else 0)
    return found


def index_of(name: str) -> int:
    """The index of a link in the namespace of the calling thread; 0 if there is none."""
    try:
        return _socket.if_nametoindex(name)
    except OSError:
        return 0


def mtu_of(name: str) -> int:
    """netdevice(7), SIOCGIFMTU: the largest packet of a link, in bytes; 1500 if it is gone."""
    with_any = _socket.socket(_socket.AF_INET, _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC)
    try:
        answer = fcntl.ioctl(with_any.fileno(), 0x8921, struct.pack("16s24x", name.encode()))
    except OSError:
        return 1500
    finally:
        with_any.close()
    return int(struct.unpack_from("i", answer, 16)[0])


# addresses and routes


def family_of(address: bytes) -> int:
    """AF_INET or AF_INET6 of a packed address."""
    return int(_socket.AF_INET if len(address) == 4 else _socket.AF_INET6)


def show(address: bytes) -> str:
    """A packed address as people write it."""
    return _socket.inet_ntop(family_of(address), address)


def add_address(route: Conversation, index: int, name: str, address: bytes, length: int) -> None:
    """An address with its prefix, usable at once: duplicates are excluded by who gives them out.  FileExistsError is fine."""
    family = family_of(address)
    body = ADDRESS.pack(family, length, IFA_F_NODAD if family == _socket.AF_INET6 else 0, 0, index)
    body += attribute(IFA_LOCAL, address) + attribute(IFA_ADDRESS, address)
    if family == _socket.AF_INET and length < 31:
        mask = (1 << (32 - length)) - 1
        body += attribute(IFA_BROADCAST, (int.from_bytes(address, "big") | mask).to_bytes(4, "big"))
    try:
        route.ask(f"addr add {show(address)}/{length} dev {name}", RTM_NEWADDR, body, NLM_F_CREATE | NLM_F_EXCL)
    except FileExistsError:
        pass


def add_default_route(route: Conversation, index: int, name: str, gateway: bytes) -> None:
    """default via `gateway`."""
    body = ROUTE.pack(family_of(gateway), 0, 0, 0, RT_TABLE_MAIN, RTPROT_BOOT, RT_SCOPE_UNIVERSE, RTN_UNICAST, 0)
    body += attribute(RTA_GATEWAY, gateway) + number(RTA_OIF, index)
    route.ask(f"route add default via {show(gateway)} dev {name}", RTM_NEWROUTE, body, NLM_F_CREATE)


def routes(route: Conversation) -> list[Route]:
    """All routes of the main table, both families."""
    found = []
    for family, size in ((int(_socket.AF_INET), 4), (int(_socket.AF_INET6), 16)):
        for _, body in route.dump(RTM_GETROUTE, ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)):
            its_family, length, _, _, table, _, _, kind, _ = ROUTE.unpack_from(body)
            its = attributes(body[ROUTE.size :])
            if its_family != family or table != RT_TABLE_MAIN or kind != RTN_UNICAST:
                continue
            link = NUMBER.unpack(its[RTA_OIF])[0] if RTA_OIF in its else 0
            found.append(Route(family, its.get(RTA_DST, bytes(size)), length, link))
    return found
