"""Names on user-defined networks: a container asks 127.0.0.11, as with docker, and one small process of the root answers.

The sockets that it answers on are made in the container's namespace before the container starts, at a port that a rule in
that namespace leads to, so that port 53 stays free for who wants it.  The process itself stays in the machine's namespace: it
reads the database for each question, so connect, disconnect and rename count at once, and what is no container's name
it asks of the machine's own servers, as the machine would, 127.0.0.53 included.  For a container that has internal networks
alone nothing is asked outside (CVE-2024-29018).

It is started by the first container that needs it, takes up those that run already, and ends with the last.  Everything
but its start is off the path of `run`; dnspython reads and writes the messages.
"""

from __future__ import annotations

import _signal as signal
import _socket
import errno
import os
import sys as interpreter

from tuidock.network import netlink
from tuidock.network import nftables as nft
from tuidock.oci.jsontext import dumps, loads
from tuidock.storage.locks import Lock
from tuidock.storage.paths import Roots

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    import dns.message

    from tuidock.storage.database import Database

ADDRESS, PORT = "127.0.0.11", 50053
"""Where a container asks (at port 53), and where its namespace sends that."""
PATIENCE = 2.0
"""Seconds for one of the machine's servers."""
BUSY = 256
"""How many questions may wait for servers outside at once; more are dropped, and will be asked again."""
TTL = 600


# the front end's side


def listen() -> tuple[_socket.socket, _socket.socket]:
    """UDP and TCP sockets for a container's questions, and the rule that leads there; in the calling thread's namespace.

    The loopback must be up: a socket that is bound before answers from another address.  Without nf_tables the sockets
    have port 53 themselves.  Raises OSError.
    """
    port = PORT
    try:
        _lead()
    except OSError:
        port = 53
    made = []
    for kind in (_socket.SOCK_DGRAM, _socket.SOCK_STREAM):
        one = _socket.socket(_socket.AF_INET, kind | _socket.SOCK_CLOEXEC)
        one.bind((ADDRESS, port))
        made.append(one)
    made[1].listen(64)
    return made[0], made[1]


def _lead() -> None:
    """dnat to 127.0.0.11:PORT for what goes to 127.0.0.11:53."""
    if nft.has_table("tuidock"):
        return  # of a process that was killed
    batch = nft.Batch("tuidock")
    batch.add_table()
    batch.add_chain("output", "nat", nft.OUTPUT, nft.DSTNAT)
    to = (nft.immediate(_socket.inet_aton(ADDRESS), nft.R0), nft.immediate(PORT.to_bytes(2, "big"), nft.R1))
    for protocol in (6, 17):
        batch.add_rule(
            "output", nft.meta(nft.META_NFPROTO), nft.equal(bytes((int(_socket.AF_INET),))), nft.load(1, 16, 4),
            nft.equal(_socket.inet_aton(ADDRESS)), nft.meta(nft.META_L4PROTO), nft.equal(bytes((protocol,))),
            nft.load(2, 2, 2), nft.equal((53).to_bytes(2, "big")), *to, nft.dnat(int(_socket.AF_INET), nft.R0, nft.R1),
        )  # fmt: skip
    batch.commit()


def follow(roots: Roots, container: str, pid: int, started: int, sockets: tuple[_socket.socket, _socket.socket]) -> None:
    """A container runs: its questions are answered from now on, also those that wait in its sockets already."""
    told = dumps({"container": container, "pid": pid, "start_time": started}).encode()
    rights = b"".join(one.fileno().to_bytes(4, interpreter.byteorder) for one in sockets)
    with Lock(f"{roots.locks}/names"):
        connection = _connect(roots)
        try:
            connection.sendmsg([len(told).to_bytes(4, "big")], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, rights)])
            connection.sendall(told)
        finally:
            connection.close()


def _connect(roots: Roots) -> _socket.socket:
    """To the process, which is started if there is none.  Under the lock, so that it cannot end meanwhile."""
    folder = os.open(roots.run, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    path = f"/proc/self/fd/{folder}/names.sock"  # sun_path has 108 bytes; a root may lie deep
    try:
        connection = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
        try:
            connection.connect(path)
        except (FileNotFoundError, ConnectionRefusedError):
            _spawn(roots, path)
            connection.connect(path)
        return connection
    finally:
        os.close(folder)


def _spawn(roots: Roots, path: str) -> None:
    """It gets its socket from here, so that who started it can talk at once."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
    listener = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC)
    try:
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(256)
        package = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
        program = "import sys; sys.path.insert(0, sys.argv[1]); from tuidock.network.names import main; main(sys.argv[2:])"
        command = [interpreter.executable, "-I", "-c", program, package, roots.data, roots.run]
        actions = [
            *((os.POSIX_SPAWN_OPEN, number, "/dev/null", os.O_RDWR, 0) for number in range(3)),
            (os.POSIX_SPAWN_DUP2, listener.fileno(), 3),
        ]
        pid = os.posix_spawn(
            command[0], command, {"PATH": os.environ.get("PATH", "")}, file_actions=actions, setsid=True, setsigmask=(),
            setsigdef=[signal.SIGPIPE, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGTSTP],
        )  # fmt: skip
        os.waitpid(pid, 0)  # it forks at once
    finally:
        listener.close()


# the process


class Asker:
    """A container that asks."""

    def __init__(self, container: str, pidfd: int, udp: _socket.socket, tcp: _socket.socket) -> None:
        self.container = container
        self.pidfd = pidfd
        self.udp = udp
        self.tcp = tcp

    def close(self) -> None:
        self.udp.close()
        self.tcp.close()
        os.close(self.pidfd)


def addresses_of(database: Database, container: str, name: str) -> list[bytes]:
    """Every address that a name means to a container: of those that share a user-defined network with it and run.

    name: a container's name, alias or first twelve digits, alone or with `.NETWORK` behind it; case does not matter.
    """
    query = (
        "SELECT leases.address FROM endpoints AS mine"
        " JOIN networks ON networks.id = mine.network AND networks.name != 'bridge'"
        " JOIN endpoints AS theirs ON theirs.network = mine.network AND theirs.link != ''"
        " JOIN containers ON containers.id = theirs.container"
        " JOIN leases ON leases.container = theirs.container AND leases.network = theirs.network"
        " WHERE mine.container = ?1 AND (lower(containers.name) = ?2 OR substr(containers.id, 1, 12) = ?2"
        " OR lower(containers.name || '.' || networks.name) = ?2"
        " OR EXISTS (SELECT 1 FROM json_each(theirs.asked, '$.aliases')"
        " WHERE lower(value) = ?2 OR lower(value || '.' || networks.name) = ?2))"
    )
    return [row[0] for row in database.rows(query, (container, name.lower()))]


def name_of(database: Database, container: str, address: bytes) -> str:
    """The name of who has an address on a network of the container's, as docker gives it: NAME.NETWORK."""
    row = database.row(
        "SELECT containers.name || '.' || networks.name FROM leases JOIN containers ON containers.id = leases.container"
        " JOIN networks ON networks.id = leases.network AND networks.name != 'bridge'"
        " JOIN endpoints ON endpoints.network = leases.network AND endpoints.container = ? WHERE leases.address = ?",
        (container, address),
    )
    return str(row[0]) if row else ""


def goes_outside(database: Database, container: str) -> bool:
    """Whether one of its networks leads out."""
    query = (
        "SELECT 1 FROM endpoints JOIN networks ON networks.id = network"
        " WHERE container = ? AND NOT internal AND networks.link != ''"
    )
    return database.row(query, (container,)) is not None


def answer(database: Database, container: str, question: bytes) -> bytes | None:
    """The answer to a question about containers; None if it is about something else.  Raises dns.exception.DNSException."""
    import dns.message
    import dns.rdatatype
    import dns.reversename

    asked = dns.message.from_wire(question)
    if len(asked.question) != 1:
        return None
    (one,) = asked.question
    name = one.name.to_text(omit_final_dot=True)
    if one.rdtype == dns.rdatatype.PTR:
        try:
            address = dns.reversename.to_address(one.name)
        except dns.exception.DNSException:
            return None
        packed = _socket.inet_pton(_socket.AF_INET6 if ":" in address else _socket.AF_INET, address)
        found = [f"{known}."] if (known := name_of(database, container, packed)) else []
    else:
        every = addresses_of(database, container, name)
        if not every:
            return None
        size = {dns.rdatatype.A: 4, dns.rdatatype.AAAA: 16}.get(one.rdtype, 0)
        found = [netlink.show(address) for address in every if len(address) == size]
    if one.rdtype == dns.rdatatype.PTR and not found:
        return None
    return _made(asked, found)


def _made(asked: dns.message.Message, found: list[str]) -> bytes:
    """An answer with these records, in an order that changes from question to question; none: the name is there."""
    import random

    import dns.flags
    import dns.message
    import dns.rrset

    response = dns.message.make_response(asked, recursion_available=True)
    response.flags |= dns.flags.AA
    (one,) = asked.question
    if found:
        random.shuffle(found)
        response.answer.append(dns.rrset.from_text_list(one.name, TTL, one.rdclass, one.rdtype, found))
    return bytes(response.to_wire(max_size=65535))


def failed(question: bytes) -> bytes:
    """SERVFAIL: the question's head with other flags, and the question."""
    return question[:2] + bytes((0x80 | (question[2] & 0x79), 0x82)) + question[4:6] + bytes(6) + question[12:]


def servers() -> list[str]:
    """The machine's own, as /etc/resolv.conf has them now."""
    try:
        with open("/etc/resolv.conf", encoding="utf-8", errors="replace") as file:
            words = [line.split() for line in file]
    except OSError:
        return []
    return [line[1].partition("%")[0] for line in words if len(line) > 1 and line[0] == "nameserver"]


def servers_of(database: Database, container: str) -> list[str]:
    """Those that a container's --dns names, else the machine's."""
    row = database.row("SELECT request FROM containers WHERE id = ?", (container,))
    return list(loads(row[0]).get("dns", ()) if row else ()) or servers()


def ask_outside(question: bytes, kind: int, asked_ones: list[str]) -> bytes:
    """What one of these servers answers, or SERVFAIL.  kind: SOCK_DGRAM or SOCK_STREAM."""
    for server in asked_ones * 2:
        family = _socket.AF_INET6 if ":" in server else _socket.AF_INET
        one = _socket.socket(family, kind | _socket.SOCK_CLOEXEC)
        one.settimeout(PATIENCE)
        try:
            one.connect((server, 53))
            # a number of our own: who could guess the container's could answer in the server's place
            number = os.urandom(2)
            asked = number + question[2:]
            if kind == _socket.SOCK_DGRAM:
                one.send(asked)
                while True:
                    said = one.recv(65535)
                    if said[:2] == number and len(said) >= 12:
                        return question[:2] + said[2:]
            one.sendall(len(asked).to_bytes(2, "big") + asked)
            said = _exactly(one, int.from_bytes(_exactly(one, 2), "big"))
            if said[:2] == number:
                return question[:2] + said[2:]
        except OSError:
            continue
        finally:
            one.close()
    return failed(question)


def _exactly(connection: _socket.socket, count: int) -> bytes:
    content = b""
    while len(content) < count:
        part = connection.recv(count - len(content))
        if not part:
            raise OSError(errno.ECONNRESET, "the other side has ended")
        content += part
    return content


class Resolver:
    """All containers of a root that ask."""

    def __init__(self, roots: Roots, listener: _socket.socket) -> None:
        import select

        from tuidock.storage.database import Database

        self.roots = roots
        self.database = Database(roots)
        self.listener = listener
        self.epoll = select.epoll()
        self.epoll.register(listener.fileno(), select.EPOLLIN)
        self.askers: dict[int, Asker] = {}
        """by each of the three descriptors"""
        self.busy = 0

    def run(self) -> None:
        """Until nobody asks any more."""
        self.take_up()
        while True:
            happenings = self.epoll.poll(-1 if self.askers else 1.0)
            if not happenings and not self.askers and self._end():
                return
            for descriptor, _ in happenings:
                asker = self.askers.get(descriptor)
                if descriptor == self.listener.fileno():
                    self._told()
                elif asker is None:
                    continue
                elif descriptor == asker.pidfd:
                    self._forget(asker)
                elif descriptor == asker.udp.fileno():
                    self._datagram(asker)
                else:
                    self._connection(asker)

    def add(self, asker: Asker) -> None:
        import select

        for descriptor in (asker.pidfd, asker.udp.fileno(), asker.tcp.fileno()):
            self.askers[descriptor] = asker
            self.epoll.register(descriptor, select.EPOLLIN)
        asker.udp.setblocking(False)
        asker.tcp.setblocking(False)

    def _forget(self, asker: Asker) -> None:
        for descriptor in (asker.pidfd, asker.udp.fileno(), asker.tcp.fileno()):
            del self.askers[descriptor]
        asker.close()

    def _end(self) -> bool:
        """Whether nobody is about to come: under the lock that they take."""
        lock = Lock(f"{self.roots.locks}/names")
        if not lock.take(wait=False):
            return False
        try:
            if self.epoll.poll(0):
                return False
            os.unlink(f"{self.roots.run}/names.sock")
            return True
        except FileNotFoundError:
            return True  # the root itself has gone
        finally:
            lock.release()

    def take_up(self) -> None:
        """Containers that run and asked another process before, which was killed."""
        from tuidock.network import endpoint
        from tuidock.runtime import bundle

        rows = self.database.rows(
            "SELECT DISTINCT containers.id, pid, start_time FROM containers"
            " JOIN endpoints ON endpoints.container = containers.id"
            " JOIN networks ON networks.id = network AND networks.name != 'bridge' WHERE status = 'running'"
        )
        for container, pid, started in rows:
            pidfd = bundle.open_pidfd(pid, started)
            if pidfd < 0:
                continue
            try:
                namespace = endpoint.Joined(pid)
                try:
                    with namespace.inside():
                        self.add(Asker(container, pidfd, *listen()))
                finally:
                    namespace.close()
            except OSError:
                os.close(pidfd)  # its sockets are on their way here, or it has just ended

    def _told(self) -> None:
        """A container that has just been started, with its sockets."""
        from tuidock.runtime import bundle

        try:
            descriptor, _ = self.listener._accept()  # type: ignore[attr-defined]
            connection = _socket.socket(fileno=descriptor)
            connection.settimeout(PATIENCE)
            head, rights, _, _ = connection.recvmsg(4, _socket.CMSG_SPACE(8), _socket.MSG_CMSG_CLOEXEC)
            numbers = rights[0][2] if rights else b""
            udp, tcp = (_socket.socket(fileno=int.from_bytes(numbers[at : at + 4], interpreter.byteorder)) for at in (0, 4))
            told = loads(_exactly(connection, int.from_bytes(head, "big")))
            connection.close()
        except (OSError, ValueError):
            return
        pidfd = bundle.open_pidfd(int(told["pid"]), int(told["start_time"]))
        if pidfd >= 0:
            self.add(Asker(told["container"], pidfd, udp, tcp))
        else:
            udp.close()
            tcp.close()

    def known(self, container: str, question: bytes, *, longest: int) -> bytes | None:
        """What can be said without asking outside; None if that is to be asked.  longest: bytes, before it is cut."""
        import dns.exception

        try:
            said = answer(self.database, container, question)
        except (dns.exception.DNSException, ValueError):
            return failed(question)
        if said is None:
            return None if goes_outside(self.database, container) else failed(question)
        if len(said) > longest:
            return said[:2] + bytes((said[2] | 2,)) + said[3:6] + bytes(6) + question[12:]  # TC: ask again by TCP
        return said

    def _datagram(self, asker: Asker) -> None:
        try:
            question, peer = asker.udp.recvfrom(65535)
        except OSError:
            return
        if len(question) < 12:
            return
        said = self.known(asker.container, question, longest=512)
        if said is not None:
            _send(asker.udp, said, peer)
        elif self.busy < BUSY:
            udp = _socket.socket(fileno=os.dup(asker.udp.fileno()))
            outside = servers_of(self.database, asker.container)
            self._aside(lambda: _send(udp, ask_outside(question, int(_socket.SOCK_DGRAM), outside), peer), udp)

    def _connection(self, asker: Asker) -> None:
        try:
            descriptor, _ = asker.tcp._accept()  # type: ignore[attr-defined]
        except OSError:
            return
        connection = _socket.socket(fileno=descriptor)
        if self.busy >= BUSY:
            connection.close()
            return
        connection.settimeout(10.0)

        def work() -> None:
            try:
                while True:
                    question = _exactly(connection, int.from_bytes(_exactly(connection, 2), "big"))
                    if len(question) < 12:
                        return
                    said = self.known(asker.container, question, longest=65535)
                    if said is None:
                        said = ask_outside(question, int(_socket.SOCK_STREAM), servers_of(self.database, asker.container))
                    connection.sendall(len(said).to_bytes(2, "big") + said)
            finally:
                self.database.close()  # this thread's

        self._aside(work, connection)

    def _aside(self, work: Callable[[], None], used: _socket.socket) -> None:
        """Do it in a thread: who waits for a server outside holds up nobody."""
        from _thread import start_new_thread

        def do() -> None:
            try:
                work()
            except OSError:
                pass  # the container has gone, or gave up
            finally:
                used.close()
                self.busy -= 1

        self.busy += 1
        start_new_thread(do, ())


def _send(udp: _socket.socket, said: bytes, peer: Any) -> None:
    try:
        udp.sendto(said, peer)
    except OSError:
        pass  # datagrams may be lost


def main(arguments: list[str]) -> None:
    """arguments: data root, run root.  Descriptor 3 is its listening socket."""
    if os.fork():
        os._exit(0)
    with open("/proc/self/comm", "wb") as name:
        name.write(b"tuidock-names")
    os.set_inheritable(3, False)
    os.chdir("/")
    listener = _socket.socket(fileno=3)
    listener.setblocking(False)
    Resolver(Roots(*arguments), listener).run()
    os._exit(0)
