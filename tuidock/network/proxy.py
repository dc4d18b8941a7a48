"""Carries what comes to a container's published ports and the kernel cannot send in: one process for all ports of one.

A fresh interpreter without site, beside the container's monitor, with the listening sockets as its own; it moves bytes by
splice(2), from socket to socket without seeing them, and ends when the container's pid 1 has.  It is told what to do in two
messages: sockets and targets when it is spawned, and the pid when the container runs; who dies in between ends it.
"""

from __future__ import annotations

import _signal as signal
import _socket
import errno
import fcntl
import os
import select
import sys as interpreter
import time

from tuidock.oci.jsontext import dumps, loads
from tuidock.runtime import bundle

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tuidock.network.ports import Bound

PIPE = 1 << 20
"""Bytes on their way in one direction of one connection that has much to say; others have a pipe as it is made, 64 KiB."""
MUCH = 1 << 18
"""Bytes after which a connection has."""
TURNS = 32
"""How often a connection may go on before it is another's turn."""
UDP_IDLE = 90.0
"""Seconds after which a client that sent datagrams is forgotten (docker-proxy)."""
FULL = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
F_SETPIPE_SZ = 1031  # linux/fcntl.h
SPLICE_NONBLOCK = 3  # linux/splice.h: SPLICE_F_MOVE | SPLICE_F_NONBLOCK


# the front end's side


class Proxy:
    """A proxy that was spawned and waits to hear of its container.  One that never does ends by itself when this is closed."""

    def __init__(self, bound: Sequence[Bound], targets: Sequence[bytes], state: str) -> None:
        """targets: where each of `bound` leads.  state: the file in which it says who it is."""
        from tuidock.runtime.spawn import interpreter_command  # the proxy itself does without ctypes, until it is idle

        self.connection, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM)
        try:
            command = interpreter_command("tuidock.network.proxy")
            actions = [
                *((os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)),
                (os.POSIX_SPAWN_DUP2, theirs.fileno(), 3),
            ]
            pid = os.posix_spawn(
                command[0], command, {"PATH": os.environ.get("PATH", "")}, file_actions=actions, setsid=True, setsigmask=(),
                setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP],
            )  # fmt: skip
        finally:
            theirs.close()
        rows = [
            [one.protocol, [_socket.inet_ntop(_family(target), target), one.inside]]
            for one, target in zip(bound, targets, strict=True)
        ]
        opening = dumps({"state": state, "ports": rows}).encode()
        self.connection.sendall(len(opening).to_bytes(4, "big") + opening)
        for one in bound:  # a descriptor a message: SCM_RIGHTS takes 253 at most, and ranges may be longer
            rights = one.socket.fileno().to_bytes(4, interpreter.byteorder)
            self.connection.sendmsg([b"s"], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            one.socket.close()
        self.pid = pid

    def follow(self, pid: int, started: int) -> None:
        """The container runs: serve it until this process ends.  Returns when the proxy has written down who it is."""
        try:
            self.connection.sendall(b"g" + pid.to_bytes(4, "big") + started.to_bytes(8, "big"))
            self.connection.recv(1)
        except OSError:
            pass  # it was killed; the kernel's part goes on
        self.close()

    def close(self) -> None:
        """What was spawned has forked at once; the proxy itself is nobody's child."""
        self.connection.close()
        if self.pid:
            os.waitpid(self.pid, 0)
            self.pid = 0


def end(state: str) -> None:
    """End the proxy that wrote this file, and wait until its ports are free.  One that is gone is as good."""
    kept = bundle.read_json(state)
    if kept is None:
        return
    pidfd = bundle.open_pidfd(int(kept["pid"]), int(kept["start_time"])) if kept["boot_id"] == bundle.boot_id() else -1
    if pidfd >= 0:
        try:
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            poll = select.poll()
            poll.register(pidfd, select.POLLIN)
            poll.poll(5000)
        except ProcessLookupError:
            pass
        os.close(pidfd)
    try:
        os.unlink(state)
    except FileNotFoundError:
        pass


def _family(address: bytes) -> int:
    return int(_socket.AF_INET if len(address) == 4 else _socket.AF_INET6)


# the proxy


class Direction:
    """Bytes from one socket to another, by way of a pipe."""

    def __init__(self, source: int, sink: _socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.out, self.into = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        self.waiting = 0
        self.moved = 0
        """bytes, until it is known that it is much"""
        self.ended = False
        """Nothing more comes from the source."""
        self.broken = False
        """The source was reset, so it takes nothing either; what had come is still to be delivered."""
        self.over = False

    def _grow(self, count: int) -> None:
        """Once: a larger pipe, so that both sides are woken less often."""
        self.moved += count
        if self.moved >= MUCH:
            try:
                fcntl.fcntl(self.into, F_SETPIPE_SZ, PIPE)
            except OSError:
                pass  # the user's pipes are as large as they may be

    def go_on(self) -> bool:
        """Move what can be moved; whether there may be more at once."""
        for _ in range(TURNS):
            moved = False
            if not self.ended and self.waiting < PIPE:
                try:
                    count = os.splice(self.source, self.into, PIPE - self.waiting, flags=SPLICE_NONBLOCK)
                    moved = True
                    self.waiting += count
                    self.ended = count == 0
                    if self.moved < MUCH:
                        self._grow(count)
                except BlockingIOError:
                    pass
                except OSError:
                    self.ended = self.broken = True
            if self.waiting:
                try:
                    self.waiting -= os.splice(self.out, self.sink.fileno(), self.waiting, flags=SPLICE_NONBLOCK)
                    moved = True
                except BlockingIOError:
                    pass
                except OSError:
                    self.over = True
            if self.ended and not self.waiting:
                self.over = True
                try:
                    self.sink.shutdown(_socket.SHUT_WR)
                except OSError:
                    pass  # it has gone, too
            if self.over:
                return False
            if not moved:
                return False
        return True


class Connection:
    """A client, the container, and the bytes between them both ways."""

    def __init__(self, client: _socket.socket, target: tuple[str, int]) -> None:
        self.client = client
        self.inner = _socket.socket(_socket.AF_INET6 if ":" in target[0] else _socket.AF_INET, NONBLOCKING_STREAM)
        self.directions: list[Direction] = []
        self.connected = False
        try:
            error = self.inner.connect_ex(target)
            if error not in (0, errno.EINPROGRESS):
                raise OSError(error, os.strerror(error))
            for source, sink in ((client, self.inner), (self.inner, client)):
                sink.setsockopt(_socket.IPPROTO_TCP, _socket.TCP_NODELAY, 1)
                self.directions.append(Direction(source.fileno(), sink))
        except OSError:
            self.close()
            raise

    def go_on(self) -> bool:
        """As Direction's.  Raises OSError when it is over."""
        if not self.connected:
            error = self.inner.getsockopt(_socket.SOL_SOCKET, _socket.SO_ERROR)
            if error:
                raise OSError(error, os.strerror(error))
            try:
                self.inner.getpeername()
            except OSError:
                return False
            self.connected = True
        more = [not direction.over and direction.go_on() for direction in self.directions]
        there, back = self.directions
        there.over, back.over = there.over or back.broken, back.over or there.broken
        if all(direction.over for direction in self.directions):
            raise OSError(errno.ESHUTDOWN, "over")
        return any(more)

    def close(self) -> None:
        for direction in self.directions:
            os.close(direction.out)
            os.close(direction.into)
        self.directions = []
        self.inner.close()
        self.client.close()


NONBLOCKING_STREAM = _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK
NONBLOCKING_DATAGRAM = _socket.SOCK_DGRAM | _socket.SOCK_CLOEXEC | _socket.SOCK_NONBLOCK


class Peer:
    """Somebody who sends datagrams to a port, and the socket by which they go on."""

    def __init__(self, listener: _socket.socket, address: Any, inner: _socket.socket) -> None:
        self.listener = listener
        self.address = address
        self.inner = inner
        self.heard = time.monotonic()


class Relay:
    """All of it: one loop over epoll, edge-triggered for connections."""

    def __init__(self, ports: Sequence[tuple[str, tuple[str, int], _socket.socket]], pidfd: int) -> None:
        self.epoll = select.epoll()
        self.pidfd = pidfd
        self.listeners = {listener.fileno(): (protocol, target, listener) for protocol, target, listener in ports}
        self.connections: dict[int, Connection] = {}
        self.peers: dict[tuple[int, Any], Peer] = {}
        self.by_descriptor: dict[int, Peer] = {}
        self.ready: set[Connection] = set()
        self.full = False
        self.epoll.register(pidfd, select.EPOLLIN)
        for descriptor in self.listeners:
            self.epoll.register(descriptor, select.EPOLLIN)

    def run(self) -> None:
        """Until the container's first process has ended."""
        quiet = False
        while True:
            patience = 0.0 if self.ready else 1.0 if self.full or not quiet else UDP_IDLE if self.peers else -1
            happenings = self.epoll.poll(patience)
            again, self.ready = self.ready, set()
            if self.full:
                self._listen(select.EPOLLIN)
            if not happenings and not again and not quiet:
                from tuidock.runtime import memory

                memory.release()
            quiet = not happenings and not again
            for descriptor, _ in happenings:
                if descriptor == self.pidfd:
                    return
                if descriptor in self.connections:
                    again.add(self.connections[descriptor])
                elif descriptor in self.listeners:
                    protocol, target, listener = self.listeners[descriptor]
                    if protocol == "tcp":
                        self._accept(listener, target, again)
                    else:
                        self._take(listener, target)
                elif descriptor in self.by_descriptor:
                    self._give_back(self.by_descriptor[descriptor])
            for connection in again:
                try:
                    if connection.go_on():
                        self.ready.add(connection)
                except OSError:
                    self._drop(connection)
            if self.peers:
                self._forget_idle()

    def _listen(self, events: int) -> None:
        """Without descriptors left nobody is let in; those who wait do so in the kernel."""
        self.full = not events
        for descriptor, (protocol, _, _) in self.listeners.items():
            if protocol == "tcp":
                self.epoll.modify(descriptor, events)

    def _accept(self, listener: _socket.socket, target: tuple[str, int], again: set[Connection]) -> None:
        for _ in range(TURNS):
            try:
                descriptor, _ = listener._accept()  # type: ignore[attr-defined]
            except OSError as error:
                if error.errno in FULL:
                    self._listen(0)
                return
            client = _socket.socket(fileno=descriptor)
            client.setblocking(False)
            try:
                connection = Connection(client, target)
            except OSError:
                client.close()
                continue
            events = select.EPOLLIN | select.EPOLLOUT | select.EPOLLRDHUP | select.EPOLLET
            for one in (connection.client, connection.inner):
                self.connections[one.fileno()] = connection
                self.epoll.register(one.fileno(), events)
            again.add(connection)

    def _drop(self, connection: Connection) -> None:
        self.ready.discard(connection)
        for one in (connection.client, connection.inner):
            self.connections.pop(one.fileno(), None)
        connection.close()

    def _take(self, listener: _socket.socket, target: tuple[str, int]) -> None:
        for _ in range(TURNS):
            try:
                content, address = listener.recvfrom(65536)
            except OSError:
                return
            key = (listener.fileno(), address)
            peer = self.peers.get(key)
            if peer is None:
                try:
                    inner = _socket.socket(_socket.AF_INET6 if ":" in target[0] else _socket.AF_INET, NONBLOCKING_DATAGRAM)
                    inner.connect(target)
                except OSError:
                    continue
                peer = self.peers[key] = Peer(listener, address, inner)
                self.by_descriptor[inner.fileno()] = peer
                self.epoll.register(inner.fileno(), select.EPOLLIN)
            peer.heard = time.monotonic()
            try:
                peer.inner.send(content)
            except OSError:
                continue  # datagrams may be lost

    def _give_back(self, peer: Peer) -> None:
        for _ in range(TURNS):
            try:
                content = peer.inner.recv(65536)
            except OSError:
                return
            peer.heard = time.monotonic()
            try:
                peer.listener.sendto(content, peer.address)
            except OSError:
                continue

    def _forget_idle(self) -> None:
        now = time.monotonic()
        for key, peer in list(self.peers.items()):
            if now - peer.heard >= UDP_IDLE:
                del self.peers[key], self.by_descriptor[peer.inner.fileno()]
                peer.inner.close()


def _exactly(connection: _socket.socket, count: int) -> bytes:
    """So many bytes; whoever ends before them has changed his mind."""
    content = b""
    while len(content) < count:
        part = connection.recv(count - len(content))
        if not part:
            os._exit(0)
        content += part
    return content


def main() -> None:
    """The proxy's life: descriptor 3 is the front end."""
    if os.fork():
        os._exit(0)
    with open("/proc/self/comm", "wb") as name:
        name.write(b"tuidock-proxy")
    connection = _socket.socket(fileno=3)
    os.set_inheritable(3, False)
    import resource

    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    asked = loads(_exactly(connection, int.from_bytes(_exactly(connection, 4), "big")))
    ports = []
    for protocol, (address, port) in asked["ports"]:
        content, rights, _, _ = connection.recvmsg(1, _socket.CMSG_SPACE(4), _socket.MSG_CMSG_CLOEXEC)
        if not content:
            os._exit(0)
        descriptor = int.from_bytes(rights[0][2][:4], interpreter.byteorder)
        ports.append((protocol, (address, port), _socket.socket(fileno=descriptor)))
    _exactly(connection, 1)
    pid, started = (int.from_bytes(_exactly(connection, size), "big") for size in (4, 8))
    pidfd = bundle.open_pidfd(pid, started)
    own = os.getpid()
    if pidfd < 0:
        os._exit(0)
    bundle.write_json(asked["state"], {"pid": own, "start_time": bundle.start_time(own), "boot_id": bundle.boot_id()})
    connection.send(b"r")
    connection.close()
    Relay(ports, pidfd).run()
    os._exit(0)
