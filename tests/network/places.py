"""Network namespaces that stand for this machine and for the world outside, so that no test touches the real one.

>>> with machine() as host, outside(host) as world:      # doctest: +SKIP
...     ...                                              # this thread, and what it starts, is in `host` now
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tuidock.runtime import syscalls as sys

HOST4, WORLD4 = "198.51.100.1", "198.51.100.2"
HOST6, WORLD6 = "2001:db8::1", "2001:db8::2"


class Place:
    """A network namespace by a descriptor of it."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    @contextmanager
    def inside(self) -> Iterator[None]:
        """This thread is there meanwhile."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        sys.setns(self.descriptor, sys.CLONE_NEWNET)
        try:
            yield
        finally:
            sys.setns(home, sys.CLONE_NEWNET)
            os.close(home)

    def run(self, *words: str) -> str:
        """A command there; its output."""
        with self.inside():
            return ip(*words)

    def open(self, family: int = socket.AF_INET, kind: int = socket.SOCK_STREAM) -> socket.socket:
        """A socket of there, usable from anywhere, that gives up after 2 seconds."""
        with self.inside():
            made = socket.socket(family, kind)
        made.settimeout(2)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return made

    def ask(self, address: str, port: int, said: bytes = b"hello\n") -> bytes:
        """What a TCP server that is reached from there answers; raises OSError."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.open(family) as client:
            client.connect((address, port))
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while part := client.recv(65536):
                answer += part
            return answer

    def ask_udp(self, address: str, port: int, said: bytes = b"hello") -> bytes:
        """The same for one datagram."""
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        with self.open(family, socket.SOCK_DGRAM) as client:
            client.sendto(said, (address, port))
            return client.recv(65536)

    @contextmanager
    def serving(self, port: int, answer: Callable[[str], bytes], family: int = socket.AF_INET) -> Iterator[None]:
        """A server there that answers every client by its address."""
        listener = self.open(family)
        listener.bind(("", port))
        listener.listen(512)
        listener.settimeout(None)

        def serve() -> None:
            while True:
                try:
                    connection, peer = listener.accept()
                except OSError:
                    return
                with connection:
                    try:
                        connection.sendall(answer(peer[0]))
                        connection.shutdown(socket.SHUT_WR)
                        while connection.recv(65536):
                            pass
                    except OSError:
                        continue  # the client has broken off

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            listener.close()
            thread.join(2)


def ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=True, capture_output=True, text=True).stdout


@contextmanager
def made() -> Iterator[Place]:
    """A namespace of its own with its loopback up."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    sys.unshare(sys.CLONE_NEWNET)
    place = Place(os.open("/proc/thread-self/ns/net", os.O_RDONLY))
    try:
        ip("link", "set", "lo", "up")
    finally:
        sys.setns(home, sys.CLONE_NEWNET)
        os.close(home)
    try:
        yield place
    finally:
        os.close(place.descriptor)


@contextmanager
def machine() -> Iterator[Place]:
    """A namespace that this thread, and what it starts, takes for the machine's own."""
    with made() as place, place.inside():
        yield place


@contextmanager
def outside(host: Place) -> Iterator[Place]:
    """Another one, cabled to `host`, which is its way to everywhere; and the way of `host` to everywhere is there."""
    with made() as world:
        with host.inside():
            ip(
                "link",
                "add",
                "wan",
                "type",
                "veth",
                "peer",
                "name",
                "lan",
                "netns",
                f"/proc/{os.getpid()}/fd/{world.descriptor}",
            )
            for address in (f"{HOST4}/24", f"{HOST6}/64"):
                ip("addr", "add", address, "dev", "wan", *(["nodad"] if ":" in address else []))
            ip("link", "set", "wan", "up")
        for address in (f"{WORLD4}/24", f"{WORLD6}/64"):
            world.run("addr", "add", address, "dev", "lan", *(["nodad"] if ":" in address else []))
        world.run("link", "set", "lan", "up")
        world.run("route", "add", "default", "via", HOST4)
        world.run("-6", "route", "add", "default", "via", HOST6)
        with host.inside():
            ip("route", "add", "default", "via", WORLD4)
            ip("-6", "route", "add", "default", "via", WORLD6)
        yield world


def links(prefix: str = "") -> set[str]:
    """Names of this thread's links that begin so."""
    return {name for _, name in socket.if_nameindex() if name.startswith(prefix)}


def tables() -> set[str]:
    """Names of the tables of nf_tables here, as pyroute2 reads them."""
    from pyroute2.nftables.main import NFTables

    with NFTables(nfgen_family=1) as nft:
        return {table.get_attr("NFTA_TABLE_NAME") for table in nft.get_tables()}
