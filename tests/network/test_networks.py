"""Networks on real containers, asked of the kernel and of sockets: in a machine of each test's own (places.py)."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.dockerd import dockerd, installed
from tests.engine.running import execute, run, running
from tests.machine import REPOSITORY, alive, eventually, inode
from tests.network.places import HOST4, HOST6, WORLD4, WORLD6, ip, links, tables
from tuidock.engine import Engine, reconcile
from tuidock.engine.networks import Wanted
from tuidock.engine.requests import RunRequest
from tuidock.errors import Conflict, Missing, NameTaken, NoSuchNetwork, RuntimeFailure, UsageError
from tuidock.network import firewall, netlink, networks, nftables
from tuidock.storage.paths import Roots

pytestmark = pytest.mark.usefixtures("busybox")


def address(engine, container, network="bridge", family=4):
    """What the database says that a container has."""
    settings = engine.containers.inspect(container.id)["NetworkSettings"]["Networks"][network]
    return settings["IPAddress" if family == 4 else "GlobalIPv6Address"]


def interface(engine, container, name="eth0"):
    return execute(engine, container, "ip", "addr", "show", name).out


def reaches(engine, container, target) -> bool:
    return execute(engine, container, "ping", "-c1", "-W1", target).status == 0


def cables(roots) -> set[str]:
    return links(f"v{roots.mark}")


def test_a_container_on_the_bridge_has_address_route_and_name(engine, roots):
    with running(engine, network="bridge") as container:
        mine = address(engine, container)
        assert f"inet {mine}/20" in interface(engine, container)
        assert execute(engine, container, "ip", "route").out.startswith("default via 172.17.0.1 dev eth0")
        assert execute(engine, container, "cat", "/etc/hosts").out.endswith(f"{mine}\t{container.id[:12]}\n")
        assert inode(container.pid, "net") != inode("self", "net")
        assert reaches(engine, container, "172.17.0.1")
        with pytest.raises(ConnectionRefusedError):  # it answers, and says no
            socket.create_connection((mine, 9), 2)
        assert cables(roots) != set()
    assert eventually(lambda: cables(roots) == set())
    assert engine.database.rows("SELECT * FROM leases") == []


def test_ipv6_on_the_default_bridge_stays_off(engine):
    with running(engine, network="bridge") as container:
        assert "inet6" not in interface(engine, container)
        assert "inet6 ::1" in interface(engine, container, "lo")


def test_what_is_joined_by_path_stands_in_the_bundle(engine, roots):
    with running(engine, network="bridge") as container:
        with open(roots.container(container.id).config) as file:
            spaces = {space["type"]: space.get("path", "") for space in json.load(file)["linux"]["namespaces"]}
        assert spaces["network"].startswith("/proc/")
        assert spaces["pid"] == ""


def test_explain_tells_how_the_network_was_made(engine):
    with running(engine, network="bridge") as container:
        calls = engine.containers.explain(container.id)
        told = [call.arguments[0] for call in calls if call.name == "netlink"]
        assert next(call.process for call in calls) == "engine"
        assert any(words.startswith("link add v") and "type veth peer eth0" in words for words in told)
        assert "route add default via 172.17.0.1 dev eth0" in told
        assert "clone3" in [call.name for call in calls if call.process == "monitor"]


def test_containers_of_one_network_reach_each_other_and_no_others(engine):
    engine.networks.create(Wanted("other"))
    with running(engine, network="bridge") as a, running(engine, network="bridge") as b, running(engine, network="other") as c:
        assert reaches(engine, a, address(engine, b))
        assert not reaches(engine, a, address(engine, c, "other"))
        assert not reaches(engine, c, address(engine, a))


def test_the_outside_is_reached_from_the_machines_address(engine, world):
    with world.serving(7000, str.encode), world.serving(7006, str.encode, socket.AF_INET6):
        assert run(engine, "nc", WORLD4, "7000", network="bridge").out == HOST4
        engine.networks.create(Wanted("six", ipv6=True))
        assert run(engine, "nc", WORLD6, "7006", network="six").out == HOST6
        assert run(engine, "nc", WORLD4, "7000", network="six").out == HOST4


def test_an_internal_network_lets_none_out_and_none_in(engine, world):
    engine.networks.create(Wanted("inner", internal=True))
    with world.serving(7000, str.encode), running(engine, network="inner") as a, running(engine, network="inner") as b:
        mine = address(engine, a, "inner")
        assert execute(engine, a, "nc", "-w", "1", WORLD4, "7000").out == ""
        execute(engine, a, "ip", "route", "add", "default", "via", ".".join([*mine.split(".")[:3], "1"]))
        assert execute(engine, a, "nc", "-w", "1", WORLD4, "7000").out == ""
        assert reaches(engine, b, mine)


def test_who_routes_to_a_container_does_not_reach_it(engine, world):
    """Only published ports are open to the outside, as with docker since version 28."""
    with running(engine, "httpd", "-f", "-p", "80", "-h", "/etc", network="bridge") as container:
        mine = address(engine, container)
        assert eventually(lambda: execute(engine, container, "wget", "-qO-", "http://127.0.0.1/hostname").status == 0)
        with pytest.raises(TimeoutError):
            world.ask(mine, 80)


def test_without_the_tables_masquerading_nothing_would_come_back(engine, world, roots):
    """The test of the outside can fail: without the table the world answers to an address that it does not know."""
    world.run("route", "del", "default")
    with world.serving(7000, str.encode), running(engine, network="bridge") as container:
        assert execute(engine, container, "nc", "-w", "1", WORLD4, "7000").out == HOST4
        firewall.remove(roots)
        assert execute(engine, container, "nc", "-w", "1", WORLD4, "7000").out == ""


def test_a_table_that_somebody_flushed_is_made_again(engine, world, roots):
    with running(engine, network="bridge"):
        firewall.remove(roots)
        with world.serving(7000, str.encode):
            assert run(engine, "nc", WORLD4, "7000", network="bridge").out == HOST4


def test_other_tables_stay_as_they_are(engine, roots):
    ruleset = ["iptables", "-A", "FORWARD", "-s", "203.0.113.0/24", "-j", "DROP"]
    subprocess.run(ruleset, check=True)
    before = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    run(engine, "true", network="bridge")
    engine.networks.create(Wanted("mine"))
    engine.networks.remove("mine")
    after = subprocess.run(["iptables-save"], check=True, capture_output=True, text=True).stdout
    assert [line for line in before.splitlines() if line[:1] != "#"] == [line for line in after.splitlines() if line[:1] != "#"]
    assert tables() == {roots.cgroup}


def test_a_foreign_firewall_that_drops_is_named(engine):
    subprocess.run(["iptables", "-P", "FORWARD", "DROP"], check=True)
    engine.networks.create(Wanted("mine"))
    assert any("ip filter FORWARD" in warning for warning in engine.warnings)


# addresses


def test_twenty_at_once_have_twenty_addresses(engine):
    with ThreadPoolExecutor(20) as pool:
        ids = list(
            pool.map(lambda _: engine.containers.create(RunRequest("busybox", ("sleep", "60"), network="bridge")), range(20))
        )
        list(pool.map(engine.containers.start, ids))
        given = [address(engine, engine.containers.get(one)) for one in ids]
        inside = [interface(engine, engine.containers.get(one)) for one in ids]
        list(pool.map(lambda one: engine.containers.remove(one, force=True), ids))
    assert len(set(given)) == 20
    assert all(f"inet {its}/" in said for its, said in zip(given, inside, strict=True))
    assert engine.database.rows("SELECT * FROM leases") == []


def test_front_ends_that_are_killed_leave_no_address_and_no_cable(engine, cli, roots, monkeypatch):
    with running(engine, network="bridge") as stays:
        taken = address(engine, stays)
        for delay in range(24):
            process = cli.start("run", "--rm", "--net", "bridge", "busybox", "true")
            time.sleep(0.03 + delay * 0.004)
            process.kill()
            process.communicate()
        monkeypatch.setattr(reconcile, "SWEEP_AFTER", 0.0)  # of folders that got no row
        assert eventually(lambda: [one.id for one in engine.containers.list(all=True) if one.running] == [stays.id])
        for one in engine.containers.list(all=True):
            if one.id != stays.id:
                engine.containers.remove(one.id, force=True)
        assert engine.database.rows("SELECT container FROM leases") == [(stays.id,)]
        assert eventually(lambda: len(cables(roots)) == 1)
        assert address(engine, stays) == taken
        assert run(engine, "ping", "-c1", "-W1", taken, network="bridge").status == 0


def test_an_address_that_is_asked_for_is_given_or_refused(engine):
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",), ipv6=True))
    with running(engine, network="mine", ip="10.77.0.9", ip6="", mac_address="02:00:00:00:00:0a") as container:
        shown = interface(engine, container)
        assert "inet 10.77.0.9/24" in shown
        assert "link/ether 02:00:00:00:00:0a" in shown
        with pytest.raises(Conflict, match=f"10.77.0.9 is already in use by container {container.id[:12]}"):
            run(engine, "true", network="mine", ip="10.77.0.9")
        for wrong in ("10.78.0.9", "10.77.0.1", "10.77.0.0", "10.77.0.255"):
            with pytest.raises(UsageError, match=wrong):
                run(engine, "true", network="mine", ip=wrong)
    with pytest.raises(UsageError, match="user defined networks only"):
        run(engine, "true", network="bridge", ip="172.17.0.9")


def test_a_full_network_says_so_and_frees_again(engine):
    engine.networks.create(Wanted("small", subnets=("10.77.0.0/30",)))
    with running(engine, network="small"):
        with pytest.raises(Conflict, match=r"network small has no address left in 10.77.0.0/30"):
            run(engine, "true", network="small")
    assert run(engine, "true", network="small").status == 0


def test_a_range_is_where_addresses_come_from(engine):
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",), ranges=("10.77.0.128/30",), gateways=("10.77.0.254",)))
    given = set()
    for _ in range(6):
        with running(engine, network="mine") as container:
            given.add(address(engine, container, "mine"))
            assert "default via 10.77.0.254" in execute(engine, container, "ip", "route").out
    assert given == {f"10.77.0.{last}" for last in (128, 129, 130, 131)}


def test_nets_that_the_machine_has_a_route_to_are_not_taken(engine):
    ip("link", "add", "vpn", "type", "bridge")
    ip("addr", "add", "172.17.5.1/16", "dev", "vpn")
    ip("link", "set", "vpn", "up")
    assert str(engine.networks.get("bridge").pools[0].subnet) == "172.18.0.0/20"
    with pytest.raises(Conflict, match=r"overlaps with 172.17.0.0/16 of the route by vpn"):
        engine.networks.create(Wanted("mine", subnets=("172.17.64.0/20",)))


def test_two_roots_never_share_a_net(engine, scratch, tmp_path_factory):
    other = [Roots(f"{scratch}/other{number}", f"{scratch}/other{number}-run") for number in range(4)]
    for roots in other:
        roots.make()
    engines = [engine, *(Engine(roots) for roots in other)]
    with ThreadPoolExecutor(5) as pool:
        nets = [str(one.pools[0].subnet) for one in pool.map(lambda one: one.networks.get("bridge"), engines)]
    assert len(set(nets)) == 5


# what dies, what comes back


def test_a_killed_monitor_leaves_nothing_of_the_network(engine, roots):
    container = engine.containers.create(RunRequest("busybox", ("sleep", "600"), network="bridge"))
    engine.containers.start(container)
    running_one = engine.containers.get(container)
    os.kill(running_one.monitor_pid, signal.SIGKILL)
    os.kill(running_one.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(running_one.pid))
    assert engine.containers.get(container).status == "exited"
    assert engine.database.rows("SELECT * FROM leases") == []
    assert eventually(lambda: cables(roots) == set())


def test_networks_come_back_after_a_reboot(engine, roots, world):
    """The links and tables are gone, and the boot id is another one."""
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",)))
    container = engine.containers.create(RunRequest("busybox", ("sleep", "600"), network="mine", name="a"))
    engine.containers.start(container)
    before = engine.containers.get(container)
    os.kill(before.pid, signal.SIGKILL)
    os.kill(before.monitor_pid, signal.SIGKILL)
    ip("link", "del", engine.networks.get("mine").link)
    firewall.remove(roots)
    with engine.database.transaction() as transaction:
        transaction.execute("UPDATE containers SET boot_id = 'another'")
    engine.containers.start("a")
    with world.serving(7000, str.encode):
        assert execute(engine, engine.containers.get("a"), "nc", WORLD4, "7000").out == HOST4
    engine.containers.remove("a", force=True)


def test_a_net_that_became_somebody_elses_is_an_error_that_names_it(engine, roots):
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",)))
    ip("link", "del", engine.networks.get("mine").link)
    ip("link", "add", "vpn", "type", "bridge")
    ip("link", "set", "vpn", "up")
    ip("route", "add", "10.0.0.0/8", "dev", "vpn")
    with pytest.raises(Conflict, match=r"network mine \(10.77.0.0/24\) overlaps with 10.0.0.0/8, which goes by vpn"):
        run(engine, "true", network="mine")
    assert engine.database.rows("SELECT * FROM leases") == []


def test_who_joined_a_container_that_ended_cannot_use_its_address(engine):
    engine.containers.start(engine.containers.create(RunRequest("busybox", ("sleep", "60"), network="bridge", name="a")))
    with running(engine, network="container:a") as b:
        mine = address(engine, engine.containers.get("a"))
        assert reaches(engine, b, "172.17.0.1")
        engine.containers.remove("a", force=True)
        assert f"inet {mine}/" in interface(engine, b)
        assert not reaches(engine, b, "172.17.0.1")


# commands


def test_create_refuses_what_contradicts_itself(engine):
    for wanted, error, words in (
        (Wanted("x", subnets=("10.1.0.0/24", "10.2.0.0/24")), UsageError, "one subnet of each family"),
        (Wanted("x", subnets=("10.1.0.0/24",), gateways=("10.2.0.1",)), UsageError, "no matching subnet for gateway 10.2.0.1"),
        (Wanted("x", gateways=("10.2.0.1",)), UsageError, "no matching subnet"),
        (Wanted("x", subnets=("10.1.0.0",)), UsageError, "invalid subnet: 10.1.0.0"),
        (Wanted("x", subnets=("fd00::/64",)), UsageError, "add --ipv6|is IPv6"),
        (Wanted("x y"), UsageError, "invalid network name"),
        (Wanted("bridge"), Conflict, "predefined bridge network"),
        (Wanted("x", driver="overlay"), UsageError, "could not find plugin overlay"),
        (Wanted("x", driver="macvlan"), UsageError, "not there yet"),
    ):
        with pytest.raises(error, match=words):
            engine.networks.create(wanted)
    engine.networks.create(Wanted("x"))
    with pytest.raises(NameTaken, match="network with name x already exists"):
        engine.networks.create(Wanted("x"))
    with pytest.raises(NoSuchNetwork):
        run(engine, "true", network="y")


def test_a_network_in_use_stays_and_prune_takes_the_others(engine, roots):
    engine.networks.create(Wanted("used"))
    link = engine.networks.create(Wanted("unused")).link
    with running(engine, network="used", name="a"):
        with pytest.raises(Conflict, match=r'network used has active endpoints \(name:"a"'):
            engine.networks.remove("used")
        assert link in links()
        assert [one.name for one in engine.networks.prune()] == ["unused"]
        assert link not in links()
    assert engine.networks.remove("used").name == "used"
    assert {one.name for one in engine.networks.list()} == {"bridge", "host", "none"}
    with pytest.raises(Conflict, match="pre-defined"):
        engine.networks.remove("bridge")
    assert nftables.elements(roots.cgroup, "bridges") == [(nftables.ifname(roots.bridge("0")), b"")]
    assert len(nftables.elements(roots.cgroup, "same")) == 1


def test_connect_and_disconnect_while_it_runs(engine, world):
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",), ipv6=True))
    with running(engine, network="bridge", name="a") as a, world.serving(7000, str.encode):
        engine.networks.connect("mine", "a", ip="10.77.0.9")
        shown = interface(engine, a, "eth1")
        assert "inet 10.77.0.9/24" in shown
        assert address(engine, a, "mine", 6) in shown
        assert "10.77.0.9\t" in execute(engine, a, "cat", "/etc/hosts").out
        assert execute(engine, a, "nc", WORLD4, "7000").out == HOST4
        with pytest.raises(Conflict, match="already exists in network mine"):
            engine.networks.connect("mine", "a")
        engine.networks.disconnect("bridge", "a")
        assert "eth0" not in execute(engine, a, "ip", "link").out
        assert execute(engine, a, "nc", WORLD4, "7000").out == HOST4, "the way out goes by the other network now"
        assert "172.17" not in execute(engine, a, "cat", "/etc/hosts").out
        with pytest.raises(Conflict, match="not connected"):
            engine.networks.disconnect("bridge", "a")
        assert list(engine.networks.inspect("mine")["Containers"]) == [a.id]
    assert engine.database.rows("SELECT * FROM endpoints") == []


def test_connect_while_it_does_not_run_holds_from_the_next_start(engine):
    engine.networks.create(Wanted("mine", subnets=("10.77.0.0/24",)))
    container = engine.containers.create(RunRequest("busybox", ("sleep", "600"), network="bridge", name="a"))
    engine.networks.connect("mine", "a", ip="10.77.0.9")
    engine.containers.start(container)
    assert "inet 10.77.0.9/24" in interface(engine, engine.containers.get("a"), "eth1")
    engine.containers.remove("a", force=True)


def test_several_networks_from_the_start(engine):
    engine.networks.create(Wanted("mine"))
    with running(engine, network="mine", networks=("bridge",)) as container:
        gateway = engine.containers.inspect(container.id)["NetworkSettings"]["Networks"]["mine"]["Gateway"]
        assert execute(engine, container, "ip", "route").out.startswith(f"default via {gateway} dev eth0")
        assert f"inet {address(engine, container, 'mine')}/" in interface(engine, container, "eth0")
        assert f"inet {address(engine, container)}/" in interface(engine, container, "eth1")


def test_the_driver_none_has_a_loopback_alone(engine):
    engine.networks.create(Wanted("alone", driver="none"))
    assert [line for line in run(engine, "ip", "-o", "link", network="alone").out.splitlines() if ": lo:" not in line] == []


def test_commands_from_the_command_line(cli):
    made = cli.ok(
        "network", "create", "--subnet", "10.77.0.0/24", "--label", "a=b", "-o", "com.docker.network.driver.mtu=1300", "n"
    )
    assert (
        cli.ok("network", "inspect", "-f", "{{.Id}} {{(index .IPAM.Config 0).Gateway}} {{.Labels.a}}", "n")
        == f"{made} 10.77.0.1 b"
    )
    assert cli.ok("network", "ls", "--format", "{{.Name}} {{.Driver}}").splitlines() == [
        "bridge bridge",
        "host host",
        "n bridge",
        "none null",
    ]
    assert cli.ok("network", "ls", "-q", "--filter", "label=a=b") == made[:12]
    cli.ok("run", "-d", "--name", "c", "--net", "n", "--ip", "10.77.0.7", "--net", "bridge", "busybox", "sleep", "60")
    assert "mtu 1300" in cli.ok("exec", "c", "ip", "link", "show", "eth0")
    assert cli.ok("ps", "--format", "{{.Networks}}") == "n,bridge"
    assert cli.ok("ps", "-q", "--filter", "network=bridge") == cli.ok("ps", "-q")
    assert cli("network", "rm", "n").status == 1
    cli.ok("network", "disconnect", "n", "c")
    assert cli.ok("network", "rm", "n") == "n"
    cli.ok("rm", "-f", "c")
    missing = cli("network", "rm", "n")
    assert (missing.status, missing.err.splitlines()[0]) == (1, "tuidock: Network n not found")


@pytest.mark.parametrize("words", [(), ("--net", "default"), ("--net", "bridge")])
def test_without_a_word_it_is_on_the_bridge(cli, words):
    assert cli.ok("run", "--rm", *words, "busybox", "ip", "route").startswith("default via 172.17.0.1 dev eth0")


# what the machine lacks


def test_without_nf_tables_containers_still_reach_each_other(engine, monkeypatch):
    monkeypatch.setattr(netlink, "NETLINK_NETFILTER", 31)
    with running(engine, network="bridge") as a, running(engine, network="bridge") as b:
        assert any("nf_tables cannot be used" in warning for warning in engine.warnings)
        assert reaches(engine, a, address(engine, b))


def test_forwarding_is_switched_on_or_said_to_be_off(engine, monkeypatch):
    networks.set_kernel("ipv4/ip_forward", "0")
    run(engine, "true", network="bridge")
    assert networks.get_kernel("ipv4/ip_forward") == "1"
    assert engine.warnings == []
    networks.set_kernel("ipv4/ip_forward", "0")
    monkeypatch.setattr(networks, "set_kernel", lambda *_: False)
    run(engine, "true", network="bridge")
    assert engine.warnings == ["IPv4 forwarding is off and cannot be set: network bridge does not reach the outside"]


def test_without_bridges_it_says_so_and_what_needs_none(engine, roots, monkeypatch):
    def refuse(*_):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(netlink, "add_address", refuse)
    with pytest.raises(Missing, match=r"the bridge of network bridge cannot be made: .*Operation not supported") as caught:
        run(engine, "true", network="bridge")
    assert caught.value.hint == "--net none and --net host need none"
    assert links(f"td{roots.mark}") == set()
    assert run(engine, "true", network="none").status == 0


def test_a_failed_start_gives_everything_back(engine, roots, monkeypatch):
    monkeypatch.setattr(netlink, "add_default_route", lambda *_: (_ for _ in ()).throw(OSError(22, "no")))
    with pytest.raises(RuntimeFailure):
        run(engine, "true", network="bridge")
    assert engine.database.rows("SELECT * FROM leases") == []
    assert eventually(lambda: cables(roots) == set())


def test_this_thread_is_where_it_was(engine):
    before = inode("self", "net")
    seen = []
    run(engine, "true", network="bridge")
    thread = threading.Thread(
        target=lambda: (run(engine, "true", network="bridge"), seen.append(os.readlink("/proc/thread-self/ns/net")))
    )
    thread.start()
    thread.join()
    assert seen == [os.readlink("/proc/thread-self/ns/net")]
    assert inode("self", "net") == before


@pytest.mark.skipif(not installed(), reason="there is no dockerd here")
def test_docker_says_the_same(engine, cli, busybox_tar, tmp_path, host):
    """Keys of both inspects, the table of ls, and what is seen inside: docker's own answers beside ours."""

    def docker(*words: str) -> str:
        done = subprocess.run([*client, *words], capture_output=True, text=True, cwd=REPOSITORY)
        assert done.returncode == 0, done.stderr
        return done.stdout

    folder = tmp_path / "docker"
    folder.mkdir()
    with dockerd(folder, networks=True) as client:
        docker("import", str(busybox_tar), "busybox")
        for ask in (docker, cli.ok):
            ask("network", "create", "--subnet", "10.77.0.0/24" if ask is docker else "10.78.0.0/24", "n")
            ask("run", "-d", "--name", "one", "--net", "n", "busybox", "sleep", "60")
        theirs, ours = (json.loads(ask("network", "inspect", "n"))[0] for ask in (docker, cli.ok))
        assert set(theirs) <= set(ours)
        assert set(theirs["Containers"].popitem()[1]) == set(ours["Containers"].popitem()[1])
        theirs, ours = (json.loads(ask("inspect", "one"))[0]["NetworkSettings"]["Networks"]["n"] for ask in (docker, cli.ok))
        assert set(theirs) <= set(ours)
        titles = [ask("network", "ls").splitlines()[0].split() for ask in (docker, cli.ok)]
        assert titles[0] == titles[1]
        inside = [
            ask("exec", "one", "ip", "route").replace("10.77.", "10.N.").replace("10.78.", "10.N.").split()
            for ask in (docker, cli.ok)
        ]
        assert inside[0] == inside[1]
        docker("rm", "-f", "one")
        cli.ok("rm", "-f", "one")
