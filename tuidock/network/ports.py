"""Published ports: -p as written to what is asked for, to sockets that hold the ports, to who answers on them.

Each published port is held by a listening socket on this machine, so that who wants it next is told, and by whom it is
taken, at once (ENGINE.md B31).  What comes from outside is sent into the container by the kernel (firewall.py); what the
kernel cannot do (127.0.0.1 and ::1, and all of it without nf_tables) is carried by the proxy, which has these sockets.
Source of the forms: docker/go-connections nat/nat.go.
"""

from __future__ import annotations

import _socket
import errno
import os

from tuidock.errors import Conflict, UsageError
from tuidock.network.netlink import show
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any

    from tuidock.storage.database import Database

KINDS = {"tcp": _socket.SOCK_STREAM, "udp": _socket.SOCK_DGRAM}
ANY4, ANY6 = bytes(4), bytes(16)
ATTEMPTS = 32
"""How often a port that the kernel chose for one family may be taken in the other."""


class Published(Value):
    """One port of a container that is to be reached from this machine."""

    inside: int
    protocol: str
    """tcp or udp"""
    address: str = ""
    """of this machine; empty: all of both families"""
    first: int = 0
    """of this machine; 0: any that is free"""
    last: int = 0
    """the first free one from `first` to here"""


class Bound(Value):
    """A port that is held."""

    protocol: str
    inside: int
    address: bytes
    port: int
    socket: _socket.socket


class PortTaken(Conflict):
    exit_status = 125

    def __init__(self, address: str, port: int, protocol: str, holder: str) -> None:
        at = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
        self.port = port
        super().__init__(
            f"Bind for {at} failed: port is already allocated ({protocol}; {holder})",
            "publish it at another port, or end that one first",
        )


def parse(text: str) -> list[Published]:
    """-p: [[address]:[port[-port]]:]port[-port][/tcp|udp], or published=…,target=…,protocol=….  Raises UsageError."""
    if "=" in text:
        text = _long_form(text)
    rest, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if protocol == "sctp":
        raise UsageError(f"invalid publish option: {text}: sctp is not there yet", "tcp and udp are")
    if protocol not in KINDS:
        raise UsageError(f"invalid publish option: {text}: invalid proto: {protocol}", "tcp or udp")
    outside, _, inside = rest.rpartition(":")
    address, colon, outside = outside.rpartition(":") if ":" in outside else ("", "", outside)
    if not inside:
        raise UsageError(f"No port specified: {text}<empty>", "[ADDRESS:[PORT]:]CONTAINER_PORT")
    if colon:
        address = _address(address, text)
    first, last = _range(inside, "container", text)
    if not outside:
        return [Published(port, protocol, address) for port in range(first, last + 1)]
    low, high = _range(outside, "host", text)
    if first == last:
        return [Published(first, protocol, address, low, high)]
    if last - first != high - low:
        raise UsageError(
            f"invalid ranges specified for container and host Ports: {inside} and {outside}", "both are to be as long"
        )
    return [Published(port, protocol, address, low + port - first, low + port - first) for port in range(first, last + 1)]


def _long_form(text: str) -> str:
    given = dict(word.partition("=")[::2] for word in text.split(","))
    if set(given) - {"published", "target", "protocol", "mode"} or not given.get("target"):
        raise UsageError(f"invalid publish option: {text}", "published=PORT,target=PORT,protocol=tcp|udp")
    return f"{given.get('published', '')}:{given['target']}/{given.get('protocol', 'tcp')}"


def _address(words: str, text: str) -> str:
    plain = words[1:-1] if words[:1] == "[" and words[-1:] == "]" else words
    if not plain:
        return ""
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            return _socket.inet_ntop(family, _socket.inet_pton(family, plain))
        except OSError:
            continue
    raise UsageError(f"invalid publish option: {text}: invalid IP address: {plain}", "IPv6 stands in [brackets]")


def _range(words: str, whose: str, text: str) -> tuple[int, int]:
    low, dash, high = words.partition("-")
    numbers = [low, high] if dash else [low, low]
    if not all(number.isascii() and number.isdecimal() and 0 < int(number) < 65536 for number in numbers):
        lowest = whose == "host" and words == "0"
        if lowest:
            return 0, 0
        raise UsageError(f"invalid {whose} port: {words} (in {text})", "1 to 65535")
    if int(numbers[0]) > int(numbers[1]):
        raise UsageError(f"invalid range format for {whose} port: {words}", "the lower number first")
    return int(numbers[0]), int(numbers[1])


def wanted(publish: Iterable[str], exposed: Iterable[str], *, publish_all: bool) -> list[Published]:
    """All that a container publishes.  exposed: docker's `80/tcp`, of which -P publishes those that no -p names."""
    found = [one for text in publish for one in parse(text)]
    if publish_all:
        named = {(one.inside, one.protocol) for one in found}
        for text in exposed:
            found += [one for one in parse(text) if (one.inside, one.protocol) not in named]
    return list(dict.fromkeys(found))


# holding them


def bind(database: Database, asked: Sequence[Published]) -> list[Bound]:
    """Hold all of them, or none.  Raises PortTaken; Conflict for an address that is not this machine's."""
    held: list[Bound] = []
    try:
        for one in asked:
            held += _bind_one(database, one)
    except BaseException:
        for bound in held:
            bound.socket.close()
        raise
    return held


def _bind_one(database: Database, one: Published) -> list[Bound]:
    addresses = [one.address] if one.address else ["0.0.0.0", "::"]
    taken: OSError | None = None
    candidates = range(one.first, one.last + 1) if one.first else [0] * ATTEMPTS
    for port in candidates:
        held: list[Bound] = []
        try:
            for address in addresses:
                port = port if not held else held[0].port
                try:
                    made = _listen(one.protocol, address, port)
                except OSError as error:
                    no_family = error.errno in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL)
                    if no_family and address == "::" and held:
                        continue  # IPv6 is off
                    raise OSError(error.errno, error.strerror, address) from None
                number = made.getsockname()[1]
                packed = _socket.inet_pton(_family(address), address)
                held.append(Bound(one.protocol, one.inside, packed, number, made))
            return held
        except OSError as error:
            for bound in held:
                bound.socket.close()
            if error.errno != errno.EADDRINUSE:
                raise _refused(error, port) from error
            taken = error
    assert taken is not None
    port = one.first if one.first == one.last else one.last
    raise PortTaken(str(taken.filename), port, one.protocol, holder(database, one.protocol, port)) from taken


def _refused(error: OSError, port: int) -> Conflict:
    if error.errno == errno.EADDRNOTAVAIL:
        return Conflict(f"no address of this machine is {error.filename}", "`ip address` lists them")
    return Conflict(f"port {port} cannot be published: {error.strerror}", "")


def _family(address: str) -> int:
    return int(_socket.AF_INET6 if ":" in address else _socket.AF_INET)


def _listen(protocol: str, address: str, port: int) -> _socket.socket:
    family = _family(address)
    made = _socket.socket(family, KINDS[protocol] | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK)
    try:
        if family == _socket.AF_INET6:
            made.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        if protocol == "tcp":
            made.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        made.bind((address, port))
        if protocol == "tcp":
            made.listen(4096)
    except OSError:
        made.close()
        raise
    return made


def holder(database: Database, protocol: str, port: int) -> str:
    """Who has a port: a container of this root, else a process, in words."""
    row = database.row(
        "SELECT name FROM ports JOIN containers ON containers.id = container WHERE protocol = ? AND port = ?", (protocol, port)
    )
    if row:
        return f"container {row[0]} has it"
    inodes = set()
    for table in (protocol, f"{protocol}6"):
        try:
            with open(f"/proc/thread-self/net/{table}") as file:
                for line in list(file)[1:]:
                    words = line.split()
                    if int(words[1].rpartition(":")[2], 16) == port and words[3] in ("0A", "07"):
                        inodes.add(f"socket:[{words[9]}]")
        except OSError:
            continue
    for pid in os.listdir("/proc"):
        if not pid.isdecimal():
            continue
        try:
            if any(os.readlink(f"/proc/{pid}/fd/{number}") in inodes for number in os.listdir(f"/proc/{pid}/fd")):
                with open(f"/proc/{pid}/comm") as file:
                    return f"{file.read().strip()} has it, process {pid}"
        except OSError:
            continue
    return "another network namespace's process may have it" if not inodes else "a process that cannot be seen has it"


# how they are shown


def at(address: bytes, port: int) -> str:
    """0.0.0.0:4000, [::]:4000"""
    return f"[{show(address)}]:{port}" if len(address) == 16 else f"{show(address)}:{port}"


def column(rows: Iterable[tuple[str, int, bytes, int]], exposed: Iterable[str]) -> str:
    """Docker's PORTS: `0.0.0.0:4000->80/tcp, [::]:4000->80/tcp, 443/tcp`; runs of ports that are the same outside and
    inside are one word.  rows: (protocol, inside, address, port).  docker/cli formatter/container.go, DisplayablePorts.
    """
    published = {(protocol, inside) for protocol, inside, _, _ in rows}
    every: list[tuple[int, str, int, str]] = [
        (inside, show(address), port, protocol) for protocol, inside, address, port in rows
    ]
    for text in exposed:
        for one in parse(text) if "sctp" not in text else ():
            if (one.protocol, one.inside) not in published:
                every.append((one.inside, "", 0, one.protocol))
    groups: dict[tuple[str, str], tuple[int, int]] = {}
    words, mappings = [], []
    for inside, address, port, protocol in sorted(every):
        if address and port != inside:
            host = f"[{address}]" if ":" in address else address
            mappings.append(f"{host}:{port}->{inside}/{protocol}")
            continue
        first, last = groups.get((address, protocol), (inside, inside))
        if inside > last + 1:
            words.append(_group(address, protocol, first, last))
            first = inside
        groups[address, protocol] = (first, inside)
    words += [_group(address, protocol, *span) for (address, protocol), span in groups.items()]
    return ", ".join([*words, *mappings])


def _group(address: str, protocol: str, first: int, last: int) -> str:
    span = str(first) if first == last else f"{first}-{last}"
    if not address:
        return f"{span}/{protocol}"
    host = f"[{address}]" if ":" in address else address
    return f"{host}:{span}->{span}/{protocol}"


def bindings(rows: Iterable[tuple[str, int, bytes, int]], exposed: Iterable[str]) -> dict[str, Any]:
    """What docker's inspect calls NetworkSettings.Ports."""
    found: dict[str, Any] = {text if "/" in text else f"{text}/tcp": None for text in exposed}
    for protocol, inside, address, port in sorted(rows, key=lambda row: (row[0], row[1], len(row[2]), row[2], row[3])):
        key = f"{inside}/{protocol}"
        found[key] = [*(found.get(key) or ()), {"HostIp": show(address), "HostPort": str(port)}]
    return found
