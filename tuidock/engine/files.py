"""What the engine writes into a container's /etc: hosts, hostname, resolv.conf."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tuidock.engine.requests import RunRequest

HOSTS = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
RESOLVED = "/run/systemd/resolve/resolv.conf"


def files(hostname: str, *, host_network: bool, request: RunRequest | None = None) -> dict[str, str]:
    """Name below /etc to content.  request: for its --add-host and --dns."""
    written = {
        "hosts": _read("/etc/hosts") if host_network else HOSTS,
        "hostname": f"{hostname}\n",
        "resolv.conf": resolv_conf(host_network=host_network),
    }
    if request is not None:
        kept = request.as_dict()
        written["hosts"] += added_hosts(kept)
        written["resolv.conf"] = asked_servers(written["resolv.conf"], kept)
    return written


def asked_servers(text: str, kept: Mapping[str, Any], *, resolver: bool = False) -> str:
    """resolv.conf as --dns, --dns-search and --dns-option want it.  kept: a RunRequest's fields.

    resolver: its server is the network's own resolver, and stays; that one asks those of --dns (network/names.py).
    """
    if not (kept.get("dns") or kept.get("dns_search") or kept.get("dns_options")):
        return text
    from tuidock.engine import words

    return words.resolv_conf(text, {**kept, "dns": ()} if resolver else kept)


def added_hosts(kept: Mapping[str, Any]) -> str:
    """Lines of /etc/hosts that --add-host asks for.  kept: a RunRequest's fields."""
    if not kept.get("extra_hosts"):
        return ""
    from tuidock.engine import words

    return words.hosts(kept["extra_hosts"])


def resolv_conf(*, host_network: bool, asks: bool = False) -> str:
    """The host's name servers; without those on its loopback, which a namespace of its own cannot reach.

    asks: it asks tuidock's own (network/names.py) in their place; search domains and options stay.

    Where the host asks systemd-resolved's stub (127.0.0.53), the servers behind it (moby#41022).
    """
    text = _read("/etc/resolv.conf")
    if host_network:
        return text
    if "127.0.0.53" in text:
        text = _read(RESOLVED) or text
    kept = [line for line in text.splitlines() if not _loopback(line)]
    if asks:
        kept = ["nameserver 127.0.0.11", *(line for line in kept if line.split()[:1] != ["nameserver"]), "options ndots:0"]
    return "\n".join(kept) + "\n" if kept else ""


def _loopback(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] == "nameserver" and (words[1].startswith("127.") or words[1] == "::1")


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def rewrite(path: str, content: str) -> None:
    """Other content for a file of a container's /etc, in place: while the container runs, it is mounted."""
    descriptor = os.open(path, os.O_WRONLY | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.write(descriptor, content.encode())
    finally:
        os.close(descriptor)
