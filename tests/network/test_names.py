"""Names of containers, as containers ask for them, and what is asked outside: with a server of the test's own there."""

from __future__ import annotations

import os
import signal
import socket
import threading
from contextlib import contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest

from tests.engine.running import execute, run, running
from tests.machine import eventually
from tests.network.test_networks import address
from tests.network.test_ports import within
from tuidock.engine.networks import Wanted
from tuidock.network import names

pytestmark = pytest.mark.usefixtures("busybox")


def ask(inside, name, kind="A", *, tcp=False):
    """The answer to a question that comes from a container's namespace."""
    question = dns.message.make_query(name, kind).to_wire()
    if tcp:
        with inside.open() as client:
            client.connect(("127.0.0.11", 53))
            client.sendall(len(question).to_bytes(2, "big") + question)
            head = client.recv(2)
            content = b""
            while len(content) < int.from_bytes(head, "big"):
                content += client.recv(65536)
    else:
        with inside.open(kind=socket.SOCK_DGRAM) as client:
            client.connect(("127.0.0.11", 53))
            client.settimeout(10)
            client.send(question)
            content = client.recv(65536)
    return dns.message.from_wire(content)


def found(inside, name, kind="A"):
    return sorted(str(record) for one in ask(inside, name, kind).answer for record in one)


def resolvers(roots):
    return [int(pid) for pid in os.listdir("/proc") if pid.isdigit() and _named(pid, roots)]


def _named(pid, roots):
    try:
        with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/cmdline") as words:
            return comm.read() == "tuidock-names\n" and roots.data in words.read()
    except OSError:
        return False


@contextmanager
def server(place, where="127.0.0.53"):
    """A name server on the machine's loopback, as systemd-resolved has one; gives the names that it was asked for."""
    heard: list[str] = []
    with place.open(kind=socket.SOCK_DGRAM) as udp:
        udp.bind((where, 53))
        udp.settimeout(None)

        def serve() -> None:
            while True:
                try:
                    content, peer = udp.recvfrom(4096)
                except OSError:
                    return
                if not content:
                    return
                asked = dns.message.from_wire(content)
                heard.append(asked.question[0].name.to_text())
                answer = dns.message.make_response(asked)
                if heard[-1] == "example.org.":
                    answer.answer.append(dns.rrset.from_text("example.org.", 60, "IN", "A", "203.0.113.7"))
                else:
                    answer.set_rcode(dns.rcode.NXDOMAIN)
                udp.sendto(answer.to_wire(), peer)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield heard
        with place.open(kind=socket.SOCK_DGRAM) as last:
            last.sendto(b"", (where, 53))
        thread.join(2)


def test_name_alias_short_id_and_both_families(engine):
    engine.networks.create(Wanted("mine", ipv6=True))
    with (
        running(engine, network="mine", name="db", network_aliases=("store", "Shop")) as db,
        running(engine, network="mine") as asker,
    ):
        four, six = address(engine, db, "mine"), address(engine, db, "mine", 6)
        with within(asker) as inside:
            for name in ("db", "DB", "db.mine", "store", "shop", "shop.mine", db.id[:12]):
                assert found(inside, name) == [four], name
                assert found(inside, name, "AAAA") == [six], name
            assert found(inside, ".".join(reversed(four.split("."))) + ".in-addr.arpa", "PTR") == ["db.mine."]
            assert [str(record) for one in ask(inside, "db", tcp=True).answer for record in one] == [four]
        resolv = execute(engine, asker, "cat", "/etc/resolv.conf").out
        assert [line for line in resolv.splitlines() if line.startswith("nameserver")] == ["nameserver 127.0.0.11"]
        assert four in execute(engine, asker, "nslookup", "db").out


def test_a_name_without_the_other_family_is_there_all_the_same(engine):
    """NODATA and not NXDOMAIN: else a resolver would stop asking for A."""
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", name="db"), running(engine, network="mine") as asker, within(asker) as inside:
        said = ask(inside, "db", "AAAA")
        assert (said.rcode(), said.answer, said.id != 0) == (dns.rcode.NOERROR, [], True)


def test_only_who_shares_a_network_is_known(engine):
    engine.networks.create(Wanted("mine"))
    engine.networks.create(Wanted("other"))
    with (
        running(engine, network="mine", name="a") as a,
        running(engine, network="other", name="b"),
        running(engine, network="bridge", name="c") as c,
        within(a) as inside,
    ):
        assert found(inside, "a") == [address(engine, a, "mine")]
        assert found(inside, "b") == found(inside, "c") == []
        assert "127.0.0.11" not in execute(engine, c, "cat", "/etc/resolv.conf").out, "the default bridge has no names"


def test_connect_disconnect_rename_and_the_end_count_at_once(engine):
    engine.networks.create(Wanted("mine"))
    engine.networks.create(Wanted("other"))
    with running(engine, network="other", name="b") as b, running(engine, network="mine", name="a") as a, within(a) as inside:
        engine.networks.connect("mine", "b", aliases=("late",))
        assert found(inside, "b") == found(inside, "late") == [address(engine, b, "mine")]
        engine.containers.rename("b", "c")
        assert (found(inside, "b"), found(inside, "c")) == ([], [address(engine, b, "mine")])
        engine.networks.disconnect("mine", "c")
        assert found(inside, "c") == []
        engine.networks.connect("mine", "c")
        engine.containers.stop("c", timeout=0)
        assert found(inside, "c") == []


def test_one_who_comes_from_the_bridge_may_ask_from_then_on(engine):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="bridge", name="a") as a, running(engine, network="mine", name="b") as b:
        engine.networks.connect("mine", "a")
        with within(a) as inside:
            assert found(inside, "b") == [address(engine, b, "mine")]
        assert "nameserver 127.0.0.11" in execute(engine, a, "cat", "/etc/resolv.conf").out


def test_an_alias_of_several_has_all_their_addresses(engine):
    engine.networks.create(Wanted("mine"))
    asked = {"network": "mine", "network_aliases": ("web",)}
    with running(engine, **asked) as a, running(engine, **asked) as b, within(a) as inside:
        assert found(inside, "web") == sorted(address(engine, one, "mine") for one in (a, b))


def test_the_rest_is_asked_of_the_machines_servers_also_on_its_loopback(engine, host, world, monkeypatch, tmp_path):
    engine.networks.create(Wanted("mine"))
    monkeypatch.setattr(names, "_spawn", spawn_with("127.0.0.53", tmp_path))
    with server(host) as heard, running(engine, network="mine") as a, within(a) as inside:
        assert found(inside, "example.org") == ["203.0.113.7"]
        assert ask(inside, "nosuch.example.org").rcode() == dns.rcode.NXDOMAIN
        assert heard == ["example.org.", "nosuch.example.org."]


def test_an_internal_network_asks_nobody_outside(engine, host, world, monkeypatch, tmp_path):
    """CVE-2024-29018."""
    engine.networks.create(Wanted("inner", internal=True))
    monkeypatch.setattr(names, "_spawn", spawn_with("127.0.0.53", tmp_path))
    with server(host) as heard, running(engine, network="inner", name="a") as a, within(a) as inside:
        assert found(inside, "a") == [address(engine, a, "inner")]
        assert ask(inside, "example.org").rcode() == dns.rcode.SERVFAIL
        assert ask(inside, "example.org", tcp=True).rcode() == dns.rcode.SERVFAIL
        assert heard == []


def spawn_with(address, folder):
    """The process with another /etc/resolv.conf, on a mount of its own."""
    conf = folder / "resolv.conf"
    conf.write_text(f"search test\nnameserver {address}\n")
    plain = names._spawn

    def spawn(roots, path):
        command = names.interpreter.executable
        script = folder / "python"
        mounting = f'mount --bind {conf} "$(readlink -f /etc/resolv.conf)"; exec "$@"'
        script.write_text(f"#!/bin/sh\nexec unshare -m sh -c '{mounting}' - {command} \"$@\"\n")
        script.chmod(0o755)
        try:
            names.interpreter.executable = str(script)
            plain(roots, path)
        finally:
            names.interpreter.executable = command

    return spawn


def test_what_is_no_question_hurts_nobody(engine):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", name="a") as a, within(a) as inside:
        for rubbish in (
            b"",
            b"x",
            bytes(12),
            b"\0\1\1\0\0\1\0\0\0\0\0\0\xc0\x0c\0\1\0\1",
            os.urandom(300),
            bytes(11) + b"\xff" * 60,
        ):
            with inside.open(kind=socket.SOCK_DGRAM) as client:
                client.sendto(rubbish, ("127.0.0.11", 53))
            with inside.open() as client:
                client.connect(("127.0.0.11", 53))
                client.sendall(len(rubbish).to_bytes(2, "big") + rubbish)
        assert found(inside, "a") == [address(engine, a, "mine")]


def test_port_53_is_free_for_who_wants_it(engine):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", name="a") as a, within(a) as inside:
        for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
            with inside.open(kind=kind) as wants:
                wants.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 0)
                wants.bind(("0.0.0.0", 53))
        assert found(inside, "a") == [address(engine, a, "mine")]


def test_one_process_for_all_that_ends_with_the_last(engine, roots):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine"), running(engine, network="mine"):
        assert eventually(lambda: len(resolvers(roots)) == 1)
    assert eventually(lambda: resolvers(roots) == [])
    assert not os.path.exists(f"{roots.run}/names.sock")


def test_a_killed_one_is_replaced_by_the_next_start_and_all_may_ask_again(engine, roots):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", name="a") as a, within(a) as inside:
        assert eventually(lambda: resolvers(roots))
        (resolver,) = resolvers(roots)
        os.kill(resolver, signal.SIGKILL)
        assert eventually(lambda: resolver not in resolvers(roots))
        with running(engine, network="mine", name="b") as b:
            assert eventually(lambda: _answers(inside, "b") == [address(engine, b, "mine")])


def _answers(inside, name):
    try:
        return found(inside, name)
    except OSError:
        return None


def test_who_is_gone_at_once_could_ask_all_the_same(engine):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", name="db") as db:
        for _ in range(3):
            assert address(engine, db, "mine") in run(engine, "nslookup", "db", network="mine").out


@pytest.mark.parametrize("text", ["nameserver 10.0.0.1\n# x\n\nnameserver fe80::1%eth0\nsearch a\n"])
def test_the_machines_servers(text, monkeypatch, tmp_path):
    path = tmp_path / "resolv.conf"
    path.write_text(text)
    plain = open
    monkeypatch.setattr("builtins.open", lambda name, *a, **k: plain(path if name == "/etc/resolv.conf" else name, *a, **k))
    assert names.servers() == ["10.0.0.1", "fe80::1"]


def test_a_failure_has_the_questions_number_and_the_question():
    asked = dns.message.make_query("example.org", "A", use_edns=False)
    said = dns.message.from_wire(names.failed(asked.to_wire()))
    assert (said.id, said.rcode(), said.question) == (asked.id, dns.rcode.SERVFAIL, asked.question)
    assert said.flags & dns.flags.QR
