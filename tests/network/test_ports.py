"""Published ports on real sockets: who answers where, who is refused, what is left."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.dockerd import dockerd, installed
from tests.engine.running import execute, run, running
from tests.machine import REPOSITORY, alive, eventually
from tests.network.places import HOST4, HOST6, WORLD4, Place, links
from tests.network.test_networks import address
from tuidock.engine.networks import Wanted
from tuidock.engine.requests import RunRequest
from tuidock.errors import Conflict, UsageError
from tuidock.network import netlink, nftables, ports
from tuidock.network.ports import Published, parse
from tuidock.runtime import bundle

WEB = ("sh", "-c", "hostname >/index.html; exec httpd -f -p 80 -h /")


def fetch(host, target, port=4000):
    """What an HTTP server that is reached from there says; the page is the container's host name."""
    where = f"[{target}]" if ":" in target else target
    return (
        host.ask(target, port, f"GET / HTTP/1.0\r\nHost: {where}\r\n\r\n".encode()).rpartition(b"\r\n\r\n")[2].decode().strip()
    )


def up(container):
    """Wait until the server inside listens."""
    return eventually(lambda: any(" 0A " in Path(f"/proc/{container.pid}/net/{name}").read_text() for name in ("tcp", "tcp6")))


@contextmanager
def within(container):
    """The network namespace of a container, as a place."""
    descriptor = os.open(f"/proc/{container.pid}/ns/net", os.O_RDONLY)
    try:
        yield Place(descriptor)
    finally:
        os.close(descriptor)


def proxies(roots):
    return [pid for pid in os.listdir("/proc") if pid.isdigit() and _is_proxy(pid, roots)]


def _is_proxy(pid, roots):
    try:
        with open(f"/proc/{pid}/comm") as file:
            if file.read() != "tuidock-proxy\n":
                return False
        return alive(int(pid)) and os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/thread-self/ns/net")
    except OSError:
        return False


# the words


@pytest.mark.parametrize(
    ("text", "asked"),
    [
        ("80", [Published(80, "tcp")]),
        ("80/udp", [Published(80, "udp")]),
        ("80/UDP", [Published(80, "udp")]),
        ("4000:80", [Published(80, "tcp", "", 4000, 4000)]),
        ("0:80", [Published(80, "tcp")]),
        ("127.0.0.1:4000:80", [Published(80, "tcp", "127.0.0.1", 4000, 4000)]),
        ("127.0.0.1::80", [Published(80, "tcp", "127.0.0.1")]),
        ("[::1]:4000:80/tcp", [Published(80, "tcp", "::1", 4000, 4000)]),
        ("[::1]::80", [Published(80, "tcp", "::1")]),
        ("::1:4000:80", [Published(80, "tcp", "::1", 4000, 4000)]),
        ("4000-4001:80-81", [Published(80, "tcp", "", 4000, 4000), Published(81, "tcp", "", 4001, 4001)]),
        ("4000-4010:80", [Published(80, "tcp", "", 4000, 4010)]),
        ("80-81", [Published(80, "tcp"), Published(81, "tcp")]),
        ("published=4000,target=80,protocol=udp", [Published(80, "udp", "", 4000, 4000)]),
        ("target=80", [Published(80, "tcp")]),
    ],
)  # fmt: skip
def test_every_form(text, asked):
    assert parse(text) == asked


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "No port specified"), ("4000:", "No port specified"), ("a:80", "invalid host port"),
        ("80:a", "invalid container port"), ("70000:80", "invalid host port"), ("80:0", "invalid container port"),
        ("80/sctp", "sctp is not there yet"), ("80/icmp", "invalid proto"), ("4000-4002:80-81", "invalid ranges"),
        ("4001-4000:80-81", "invalid range format"), ("1.2.3:4000:80", "invalid IP address"),
        ("host:4000:80", "invalid IP address"), ("-1:80", "invalid host port"), ("published=1", "invalid publish option"),
        ("٤:80", "invalid host port"),
    ],
)  # fmt: skip
def test_what_is_no_port_is_refused(text, words):
    with pytest.raises(UsageError, match=words):
        parse(text)


# the five ways, and two more


@pytest.mark.usefixtures("busybox")
def test_the_ways_to_a_published_port(engine, host, world):
    """Walkthrough 6: `run -p 4000:80 …`, `curl http://localhost:4000`, the page shows the short id."""
    with running(engine, *WEB, network="bridge", publish=("4000:80",)) as container, running(engine, network="bridge") as other:
        assert up(container)
        page = container.id[:12]
        assert fetch(host, "127.0.0.1") == page
        assert fetch(host, "::1") == page
        assert fetch(host, HOST4) == page, "the machine's own address, from itself"
        assert fetch(host, HOST6) == page, "by IPv6, though the container has none"
        assert fetch(world, HOST4) == page, "from outside"
        assert fetch(world, HOST6) == page
        assert execute(engine, other, "wget", "-qO-", f"http://{HOST4}:4000").out.strip() == page, "from another container"
        assert execute(engine, container, "wget", "-qO-", f"http://{HOST4}:4000").out.strip() == page, "from itself"
        engine.networks.create(Wanted("other"))
        assert run(engine, "wget", "-qO-", f"http://{HOST4}:4000", network="other").out.strip() == page, "from another network"


@pytest.mark.usefixtures("busybox")
def test_who_comes_from_outside_is_seen_as_himself(engine, host, world):
    with running(engine, network="bridge", publish=("4000:80",)) as container, within(container) as inside:
        with inside.serving(80, str.encode):
            assert world.ask(HOST4, 4000) == WORLD4.encode()
            assert host.ask(HOST4, 4000) == HOST4.encode()
            assert host.ask("127.0.0.1", 4000) == b"172.17.0.1", "what the proxy carries comes from the bridge, as with docker"


@pytest.mark.usefixtures("busybox")
def test_the_loopback_alone_is_closed_to_the_outside(engine, host, world):
    with running(engine, *WEB, network="bridge", publish=("127.0.0.1:4000:80", "[::1]:4001:80")) as container:
        assert up(container)
        assert fetch(host, "127.0.0.1") == fetch(host, "::1", 4001) == container.id[:12]
        for place in (host, world):
            for target, port in ((HOST4, 4000), (HOST6, 4001), (HOST4, 4001)):
                with pytest.raises(ConnectionRefusedError):
                    fetch(place, target, port)
        world.run("route", "add", "127.0.0.2/32", "via", HOST4)
        with pytest.raises(OSError):
            fetch(world, "127.0.0.2")


@pytest.mark.usefixtures("busybox")
def test_one_address_of_the_machine_and_no_other(engine, host, world):
    with running(engine, *WEB, network="bridge", publish=(f"{HOST4}:4000:80",)) as container:
        assert up(container)
        assert fetch(host, HOST4) == fetch(world, HOST4) == container.id[:12]
        with pytest.raises(ConnectionRefusedError):
            fetch(host, "127.0.0.1")
    with pytest.raises(Conflict, match=r"no address of this machine is 203\.0\.113\.9"):
        run(engine, "true", network="bridge", publish=("203.0.113.9:4000:80",))


@pytest.mark.usefixtures("busybox")
def test_ipv6_all_the_way(engine, host, world):
    engine.networks.create(Wanted("six", ipv6=True))
    with running(engine, "httpd", "-f", "-p", "[::]:80", "-h", "/etc", network="six", publish=("4000:80",)) as container:
        assert up(container)
        for place, target in ((host, "::1"), (host, HOST6), (world, HOST6), (world, HOST4), (host, "127.0.0.1")):
            assert b"404" in place.ask(target, 4000, b"GET /x HTTP/1.0\r\n\r\n"), target


@pytest.mark.usefixtures("busybox")
def test_datagrams_go_there_and_back(engine, host, world):
    with running(engine, network="bridge", publish=("5300:53/udp",)) as container, within(container) as inside:
        with inside.open(kind=socket.SOCK_DGRAM) as server:
            server.bind(("", 53))

            def echo() -> None:
                for _ in range(10):
                    content, peer = server.recvfrom(65536)
                    server.sendto(content[::-1], peer)

            thread = threading.Thread(target=echo)
            thread.start()
            for place, target in ((host, "127.0.0.1"), (host, "::1"), (host, HOST4), (world, HOST4), (world, HOST6)):
                assert [place.ask_udp(target, 5300, said) for said in (b"olleh", b"x" * 1400)] == [b"hello", b"x" * 1400], (
                    target
                )
            thread.join()


@pytest.mark.usefixtures("busybox")
def test_without_nf_tables_the_proxy_does_it_all(engine, host, world, monkeypatch):
    monkeypatch.setattr(netlink, "NETLINK_NETFILTER", 31)
    with running(engine, *WEB, network="bridge", publish=("4000:80",)) as container:
        assert up(container)
        for place, target in ((host, "127.0.0.1"), (host, HOST4), (world, HOST4), (world, HOST6)):
            assert fetch(place, target) == container.id[:12]


@pytest.mark.usefixtures("busybox")
def test_an_internal_network_publishes_nothing_and_says_so(engine, host):
    engine.networks.create(Wanted("inner", internal=True))
    with running(engine, network="inner", publish=("4000:80",)) as container:
        assert container.published == ()
        assert any("are not published" in warning for warning in engine.warnings)
        with pytest.raises(ConnectionRefusedError):
            host.ask("127.0.0.1", 4000)


# much, long, broken


@pytest.mark.usefixtures("busybox")
def test_half_a_connection_ends_and_the_other_half_goes_on(engine, host):
    """The server answers when the client has ended its side: shutdown(2) passes the proxy in both directions."""
    content = os.urandom(8 << 20)
    with running(engine, network="bridge", publish=("4000:80",)) as container, within(container) as inside:
        with inside.open() as listener:
            listener.bind(("", 80))
            listener.listen()

            def answer() -> None:
                connection, _ = listener.accept()
                with connection:
                    received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
                    connection.sendall(received[::-1])

            thread = threading.Thread(target=answer)
            thread.start()
            assert host.ask("127.0.0.1", 4000, content) == content[::-1]
            thread.join()


@pytest.mark.usefixtures("busybox")
def test_a_hundred_clients_at_once_and_those_that_break_off(engine, host, roots):
    with running(engine, network="bridge", publish=("4000:80",)) as container, within(container) as inside:
        with inside.serving(80, lambda peer: b"all of it" * 10_000):
            for _ in range(50):  # reset in the middle
                with host.open() as client:
                    client.connect(("127.0.0.1", 4000))
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
            with ThreadPoolExecutor(100) as pool:
                pages = list(pool.map(lambda _: host.ask("127.0.0.1", 4000, b""), range(300)))
            assert set(pages) == {b"all of it" * 10_000}
            (proxy,) = proxies(roots)
            assert eventually(lambda: len(os.listdir(f"/proc/{proxy}/fd")) < 12), "no descriptor of a connection is left"


@pytest.mark.usefixtures("busybox")
def test_the_proxy_is_small_and_nobodys_child(engine, host, roots):
    with running(engine, *WEB, network="bridge", publish=("4000:80",)):
        (proxy,) = proxies(roots)
        state = bundle.read_json(next(roots.container(one.id).proxy for one in engine.containers.list()))
        assert state["pid"] == int(proxy)

        def kilobytes() -> int:
            with open(f"/proc/{proxy}/smaps_rollup") as file:
                return next(int(line.split()[1]) for line in file if line.startswith("Pss:"))

        assert eventually(lambda: kilobytes() <= 6 << 10)
        with open(f"/proc/{proxy}/stat") as file:
            assert int(file.read().rpartition(")")[2].split()[1]) != os.getpid()


# who has it


@pytest.mark.usefixtures("busybox")
def test_a_taken_port_is_an_error_that_names_who_has_it(engine, cli, host):
    with running(engine, network="bridge", name="web", publish=("4000:80",)):
        taken = cli("run", "--rm", "-p", "4000:81", "busybox", "true")
        assert taken.status == 125
        assert "Bind for 0.0.0.0:4000 failed: port is already allocated (tcp; container web has it)" in taken.err
        assert run(engine, "true", network="bridge", publish=("4000:80/udp",)).status == 0, "tcp and udp are two"
    server = subprocess.Popen(["busybox", "nc", "-l", "-p", "4000"])
    try:
        assert eventually(lambda: cli("run", "--rm", "-p", "4000:80", "busybox", "true").status == 125)
        refused = cli("run", "--rm", "-p", "4000:80", "busybox", "true")
        assert f"has it, process {server.pid})" in refused.err
        assert cli.ok("ps", "-aq") == ""
    finally:
        server.kill()
        server.wait()


@pytest.mark.usefixtures("busybox")
def test_the_first_free_one_of_a_range(engine, host):
    with (
        running(engine, network="bridge", publish=("4000-4001:80",)) as a,
        running(engine, network="bridge", publish=("4000-4001:80",)) as b,
    ):
        assert {one.published[0][3] for one in (a, b)} == {4000, 4001}
        with pytest.raises(ports.PortTaken, match="4001"):
            run(engine, "true", network="bridge", publish=("4000-4001:80",))


@pytest.mark.usefixtures("busybox")
def test_all_exposed_ones_at_ports_that_are_free(engine, host):
    with running(engine, *WEB, network="bridge", publish_all=True, expose=("80", "90-91/udp")) as container:
        assert up(container)
        assert {(protocol, inside) for protocol, inside, _, _ in container.published} == {("tcp", 80), ("udp", 90), ("udp", 91)}
        port = next(row[3] for row in container.published if row[0] == "tcp")
        assert fetch(host, "127.0.0.1", port) == container.id[:12]
        four, six = ({row[:2]: row[3] for row in container.published if len(row[2]) == size} for size in (4, 16))
        assert four == six, "one port in both families"


# ends


@pytest.mark.usefixtures("busybox")
def test_at_the_end_the_port_is_free_and_nothing_is_left(engine, host, roots):
    for end in ("remove", "kill", "monitor"):
        container = engine.containers.create(RunRequest("busybox", WEB, network="bridge", publish=("4000:80", "4001:80/udp")))
        engine.containers.start(container)
        it = engine.containers.get(container)
        if end == "monitor":
            os.kill(it.monitor_pid, signal.SIGKILL)
            os.kill(it.pid, signal.SIGKILL)
            assert eventually(lambda pid=it.pid: not alive(pid))
        elif end == "kill":
            engine.containers.kill(container)
        engine.containers.remove(container, force=True)
        assert proxies(roots) == []
        assert [len(nftables.elements(roots.cgroup, name)) for name in ("any4", "at4", "self4")] == [0, 0, 0]
        assert engine.database.rows("SELECT * FROM ports") == []
        assert eventually(lambda: links(f"v{roots.mark}") == set())


@pytest.mark.usefixtures("busybox")
def test_a_start_that_fails_holds_no_port(engine, host, roots):
    for _ in range(3):
        with pytest.raises(Exception, match="nosuch"):
            run(engine, "nosuch", network="bridge", publish=("4000:80",))
    assert eventually(lambda: proxies(roots) == [])
    with host.open() as free:
        free.bind(("", 4000))


@pytest.mark.usefixtures("busybox")
def test_stopped_and_started_again_it_answers_again(engine, host):
    with running(engine, *WEB, network="bridge", publish=("4000:80",)) as container:
        engine.containers.stop(container.id, timeout=0)
        assert engine.containers.get(container.id).published == ()
        engine.containers.start(container.id)
        container = engine.containers.get(container.id)
        assert up(container)
        assert fetch(host, "127.0.0.1") == container.id[:12]


@pytest.mark.usefixtures("busybox")
def test_an_address_that_becomes_anothers_takes_no_port_along(engine, host, world):
    """A network of one address: the second container has the first one's, and nothing of it is published."""
    engine.networks.create(Wanted("one", subnets=("10.77.0.0/30",)))
    with running(engine, *WEB, network="one", publish=("4000:80",)) as container:
        first = address(engine, container, "one")
    with running(engine, *WEB, network="one") as container:
        assert up(container)
        assert address(engine, container, "one") == first
        for place in (host, world):
            with pytest.raises(ConnectionRefusedError):
                fetch(place, HOST4)


# beside docker


@pytest.mark.skipif(not installed(), reason="there is no dockerd here")
def test_docker_shows_the_same(cli, busybox, busybox_tar, tmp_path, host):
    """`port`, ps' PORTS and inspect's two, for every form; -P and hosts' ports that are chosen have no number to compare."""
    folder = tmp_path / "docker"
    folder.mkdir()
    forms = (
        "-p",
        "4000:80",
        "-p",
        "127.0.0.1:4001:81",
        "-p",
        "4002-4003:82-83",
        "-p",
        "90:90",
        "-p",
        "91:91/udp",
        "-p",
        "[::1]:4004:84",
    )
    with dockerd(folder, networks=True) as client:

        def docker(*words: str) -> str:
            done = subprocess.run([*client, *words], capture_output=True, text=True, cwd=REPOSITORY)
            assert done.returncode == 0, done.stderr
            return done.stdout.strip()

        docker("import", str(busybox_tar), "busybox")
        seen = []
        for ask in (docker, cli.ok):
            ask("run", "-d", "--name", "one", "--expose", "7", "--expose", "8", *forms, "busybox", "sleep", "60")
            looks = [("ps", "--format", "{{.Ports}}"), ("port", "one"), ("port", "one", "80"), ("port", "one", "91/udp")]
            look = json.loads(ask("inspect", "one"))[0]
            ports_seen = {key: sorted(map(str, value or ())) for key, value in look["NetworkSettings"]["Ports"].items()}
            bindings = {key: sorted(map(str, value)) for key, value in look["HostConfig"]["PortBindings"].items()}
            exposed = sorted(look["Config"]["ExposedPorts"])
            seen.append([[sorted(ask(*words).split(", ")) for words in looks], ports_seen, bindings, exposed])
            ask("rm", "-f", "one")
        for theirs, ours in zip(*seen, strict=True):
            assert ours == theirs
