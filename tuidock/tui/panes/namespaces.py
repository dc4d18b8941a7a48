"""The namespaces that a container's process lives in, each by its inode, and with whom it shares them.

Two processes are in one namespace exactly if /proc/PID/ns/KIND is one inode (namespaces(7)).  What is shared has one colour
and one letter, here and for every container.
"""

from __future__ import annotations

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
        head = fit("kind", 18 if wide else 8) + fit("inode", 14) + "whose"
        lines = [Content.styled(head, "$muted")]
        for namespace in sorted(value.namespaces, key=_order):
            letter, role, whose = self._whose(namespace)
            lines.append(
                Content.assemble(
                    (fit(namespace.kind if wide else namespace.kind.replace("_for_children", "…"), 18 if wide else 8), "bold"),
                    (f"{letter} ", role),
                    (fit(str(namespace.inode), 12), role),
                    (fit(whose, width - 32 - 46 if wide else width - 22), role),
                    (fit(MEANINGS.get(namespace.kind, ""), 46) if wide else "", "$muted"),
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
    """Of the net namespace of a process, lo first.

    pyroute2 enters the namespace in a child process of its own (setns(2) would move one thread of ours).  Its import costs
    some 0.2 s, once, in the thread that asks.
    """

    from pyroute2 import NetNS

    try:
        with NetNS(f"/proc/{pid}/ns/net", flags=0) as netns:
            addresses: dict[int, list[str]] = {}
            for message in netns.get_addr():
                attributes = dict(message["attrs"])
                addresses.setdefault(message["index"], []).append(f"{attributes.get('IFA_ADDRESS')}/{message['prefixlen']}")
            return [
                Interface(
                    dict(link["attrs"])["IFLA_IFNAME"],
                    bool(link["flags"] & 1),  # IFF_UP, linux/if.h
                    tuple(addresses.get(link["index"], ())),
                    dict(link["attrs"]).get("IFLA_ADDRESS", ""),
                )
                for link in netns.get_links()
            ]
    except OSError as error:
        return f"they could not be read: {error}"
