"""The namespaces that a container's process lives in, each by its inode, and with whom it shares them.

Two processes are in one namespace exactly if /proc/PID/ns/KIND is one inode (namespaces(7)).  What is shared has one colour
and one letter, here and for every container.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, NamedTuple

from textual.content import Content

from tuidock.tui.panes.pane import Pane
from tuidock.tui.widgets.drawing import titled
from tuidock.tui.words import fit

if TYPE_CHECKING:
    from tuidock.engine import Engine
    from tuidock.engine.views import Namespace
    from tuidock.tui.messages import Subject

MEANINGS = {
    "mnt": "what is mounted where",
    "pid": "which processes there are, and their numbers",
    "pid_for_children": "where its children's pids are counted",
    "net": "interfaces, addresses, routes, ports",
    "ipc": "shared memory and message queues",
    "uts": "the host name",
    "cgroup": "where its limits' tree begins",
    "user": "who is root",
    "time": "the boot clock",
    "time_for_children": "the boot clock of its children",
}
_HUES = 6


class Interface(NamedTuple):
    name: str
    up: bool
    addresses: tuple[str, ...]
    mac: str


class Reading(NamedTuple):
    namespaces: list[Namespace]
    interfaces: list[Interface] | str
    """or why they cannot be read"""


class Namespaces(Pane):
    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._marks: dict[int, int] = {}
        """Inode to its number among the shared ones that have been seen."""

    def read(self, engine: Engine, subject: Subject) -> Reading:
        container = engine.containers.get(subject.key)
        found = engine.containers.namespaces(container.id)
        return Reading(found, interfaces(container.pid) if container.running else "")

    def draw(self, value: Reading, width: int) -> list[Content]:
        if not value.namespaces:
            return [
                Content.styled("It has no namespaces while it does not run.", "$muted"),
                Content.assemble(
                    ("They are made when it starts: ", "$muted"), ("u", "bold $accent"), (" starts it.", "$muted")
                ),
            ]
        wide = width >= 88
        seen = [(namespace, *self._whose(namespace)) for namespace in sorted(value.namespaces, key=_order)]
        kind_cells = max(len(namespace.kind) for namespace in value.namespaces) + 4 if wide else 8
        whose_cells = min(max(len(whose) for *_, whose in seen) + 2, width - kind_cells - 14)
        lines = [Content.styled(fit(fit("kind", kind_cells) + fit("inode", 14) + "whose", width), "$muted")]
        for namespace, letter, role, whose in seen:
            kind = namespace.kind if wide else namespace.kind.replace("_for_children", "…")
            meaning = width - kind_cells - 14 - whose_cells
            lines.append(
                Content.assemble(
                    (fit(kind, kind_cells), "bold"),
                    (f"{letter} ", role),
                    (fit(str(namespace.inode), 12), role),
                    (fit(whose, whose_cells), role),
                    (fit(MEANINGS.get(namespace.kind, ""), meaning) if meaning >= 12 else "", "$muted"),
                )
            )
        lines += [Content(""), *_legend(width), Content(""), titled("Interfaces of its net namespace", width)]
        return lines + _interfaces(value.interfaces, width)

    def _whose(self, namespace: Namespace) -> tuple[str, str, str]:
        """A letter, a role and words: the host's, shared with others, or its own."""
        if namespace.host:
            return "=", "$host", "the host's"
        if namespace.containers:
            number = self._marks.setdefault(namespace.inode, len(self._marks))
            return (
                chr(ord("A") + number % 26),
                f"$shared-{number % _HUES + 1}",
                f"shared with {', '.join(namespace.containers)}",
            )
        return "·", "$own", "its own"


def _order(namespace: Namespace) -> int:
    kinds = list(MEANINGS)
    return kinds.index(namespace.kind) if namespace.kind in kinds else len(kinds)


def _legend(width: int) -> list[Content]:
    text = Content.assemble(
        ("· ", "$own"), ("its own    ", "$muted"), ("= ", "$host"), ("the host's    ", "$muted"),
        ("A B ", "$shared-1"), ("shared: one inode, one letter, one colour in every container", "$muted"),
    )  # fmt: skip
    return text.wrap(width)


def _interfaces(found: list[Interface] | str, width: int) -> list[Content]:
    if isinstance(found, str):
        return [Content.styled(found, "$muted")]
    lines = []
    for interface in found:
        lines.append(
            Content.assemble(
                ("▲ " if interface.up else "▽ ", "$running" if interface.up else "$stopped"),
                (fit(interface.name, 16), "bold"),
                fit(", ".join(interface.addresses) or "no address", max(8, width - 18 - 18)),
                (interface.mac, "$muted"),
            ).truncate(width)
        )
    return lines


def interfaces(pid: int) -> list[Interface] | str:
    """Of the net namespace of a process, lo first; or why they cannot be read.

    A thread of its own enters the namespace, reads, and ends there: setns(2) moves a single thread.  pyroute2's NetNS would
    fork instead, and a child of a process with threads may wait for ever for a lock that nobody holds any more.
    pyroute2 takes 0.2 s to import, once.
    """
    with ThreadPoolExecutor(1) as inside:
        try:
            return inside.submit(_inside, pid).result()
        except Exception as error:  # OSError, or pyroute2's NetlinkError
            return f"they could not be read: {error}"


def _inside(pid: int) -> list[Interface]:
    """In a thread that ends afterwards."""
    from pyroute2 import IPRoute

    from tuidock.runtime import syscalls

    descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        syscalls.setns(descriptor, syscalls.CLONE_NEWNET)
    finally:
        os.close(descriptor)
    with IPRoute() as route:
        addresses: dict[int, list[str]] = {}
        for message in route.get_addr():
            attributes = dict(message["attrs"])
            addresses.setdefault(message["index"], []).append(f"{attributes.get('IFA_ADDRESS')}/{message['prefixlen']}")
        return [
            Interface(
                dict(link["attrs"])["IFLA_IFNAME"],
                bool(link["flags"] & 1),  # IFF_UP, linux/if.h
                tuple(addresses.get(link["index"], ())),
                dict(link["attrs"]).get("IFLA_ADDRESS", ""),
            )
            for link in route.get_links()
        ]
