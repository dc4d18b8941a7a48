"""What the words of run's further options mean, and what the kernel knows of it in a real container."""

from __future__ import annotations

import os
import socket
import threading

import pytest

from tests.dockerd import Docker
from tests.engine.running import execute, run, running
from tests.machine import Cli, alive, eventually, inode
from tuidock.engine import words
from tuidock.engine.requests import ExecRequest, RunRequest
from tuidock.errors import RuntimeFailure, UsageError
from tuidock.network.networks import Wanted


def test_ulimits():
    assert words.ulimit("nofile=100:200") == ("nofile", 100, 200)
    assert words.ulimit("core=0") == ("core", 0, 0)
    assert words.ulimit("memlock=-1:-1") == ("memlock", -1, -1)


@pytest.mark.parametrize(
    "text",
    [
        "kernel.core_pattern=|/x", "kernel.x=1", "net.ipv4.x", "net.ipv4.x=1\nkernel.core_pattern=|/x", "net.a+b=1",
        "net.../../kernel/core_pattern=x", "net/../kernel/core_pattern=x", "vm.swappiness=1", "=1",
    ],
)  # fmt: skip
def test_a_parameter_of_the_whole_machine_is_refused(text):
    """CVE-2022-0811."""
    with pytest.raises(UsageError, match="is not allowed"):
        words.sysctl(text)


def test_devices_by_their_words():
    assert words.device("/dev/null") == ("/dev/null", "/dev/null", "rwm")
    assert words.device("/dev/null:r") == ("/dev/null", "/dev/null", "r")
    assert words.device("/dev/null:/dev/x") == ("/dev/null", "/dev/x", "rwm")
    assert words.device("/dev/null:/dev/x:rw") == ("/dev/null", "/dev/x", "rw")
    assert words.device_rule("c 1:* rm") == {"allow": True, "type": "c", "major": 1, "access": "rm"}


def test_names_and_servers_for_etc():
    assert words.hosts(("a.b:1.2.3.4", "c=::1", "d:[fe80::1]")) == "1.2.3.4\ta.b\n::1\tc\nfe80::1\td\n"
    host = "# x\nnameserver 9.9.9.9\nsearch old\noptions a b\n"
    nothing = {"dns": (), "dns_search": (), "dns_options": ()}
    assert words.resolv_conf(host, nothing) == "search old\nnameserver 9.9.9.9\noptions a b\n"
    assert (
        words.resolv_conf(host, {**nothing, "dns": ("1.1.1.1",), "dns_search": (".",)}) == "nameserver 1.1.1.1\noptions a b\n"
    )


@pytest.mark.usefixtures("busybox")
class TestOnRealContainers:
    def test_limits_and_groups_hold_for_the_command_and_for_exec(self, engine):
        asks = ("sh", "-c", "ulimit -n; ulimit -Hn; id -G; cat /proc/self/oom_score_adj")
        asked = {"ulimits": ("nofile=100:200",), "group_add": ("5", "nogroup"), "oom_score_adj": 500}
        assert run(engine, *asks, **asked).out == "100\n200\n0 5 65534\n500\n"
        with running(engine, **asked) as container:
            assert execute(engine, container, *asks).out == "100\n200\n0 5 65534\n500\n"
        with pytest.raises(RuntimeFailure, match="unable to find group nosuch"):
            run(engine, "true", group_add=("nosuch",))

    def test_names(self, engine):
        asks = ("sh", "-c", "hostname; cat /proc/sys/kernel/domainname; grep a.b /etc/hosts; cat /etc/resolv.conf")
        result = run(
            engine, *asks, hostname="hh", domainname="d.e", extra_hosts=("a.b:1.2.3.4",), dns=("9.9.9.9",), dns_search=("x.y",),
            dns_options=("ndots:3",),
        )  # fmt: skip
        assert result.out == "hh\nd.e\n1.2.3.4\ta.b\nsearch x.y\nnameserver 9.9.9.9\noptions ndots:3\n"

    def test_on_a_network_of_its_own_the_resolver_asks_the_servers_of_dns(self, engine):
        """A server on this machine that answers one question stands for the one outside."""
        import dns.message
        import dns.rrset

        engine.networks.create(Wanted("nn"))
        try:
            with running(
                engine, network="nn", dns=("127.0.0.77",), dns_search=("x.y",), extra_hosts=("a.b:1.2.3.4",)
            ) as container:
                asks = ("sh", "-c", "cat /etc/resolv.conf; grep a.b /etc/hosts")
                assert (
                    execute(engine, container, *asks).out
                    == "search x.y\nnameserver 127.0.0.11\noptions ndots:0\n1.2.3.4\ta.b\n"
                )
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
                    server.bind(("127.0.0.77", 53))
                    server.settimeout(10)

                    def serve() -> None:
                        question, peer = server.recvfrom(4096)
                        asked = dns.message.from_wire(question)
                        said = dns.message.make_response(asked)
                        if asked.question[0].rdtype == 1:
                            said.answer.append(dns.rrset.from_text(asked.question[0].name, 1, "IN", "A", "9.8.7.6"))
                        server.sendto(said.to_wire(), peer)

                    serving = threading.Thread(target=serve)
                    serving.start()
                    found = execute(engine, container, "nslookup", "-type=a", "far.example.", "127.0.0.11")
                    serving.join()
                assert "9.8.7.6" in found.out
        finally:
            engine.networks.remove("nn")

    @pytest.mark.parametrize(("field", "kind"), [("pid", "pid"), ("uts", "uts"), ("ipc", "ipc"), ("cgroupns", "cgroup")])
    def test_the_hosts_own_namespaces(self, engine, field, kind):
        name = os.uname().nodename
        with running(engine, **{field: "host"}) as container:
            assert inode(container.pid, kind) == inode("self", kind)
            assert os.uname().nodename == name
        with running(engine, **({field: "private"} if field in ("ipc", "cgroupns") else {})) as container:
            assert inode(container.pid, kind) != inode("self", kind)

    def test_a_container_among_the_hosts_processes_ends_with_all_of_its_own(self, engine):
        with running(engine, "sh", "-c", "sleep 1234 & echo $$; wait", pid="host") as container:
            assert eventually(lambda: len(engine.containers.processes(container.id)) == 2)
            others = [pid for pid in engine.containers.processes(container.id) if pid != container.pid]
            assert execute(engine, container, "readlink", "/proc/self/ns/pid").out.strip() == os.readlink("/proc/self/ns/pid")
            engine.containers.exec(ExecRequest(container.id, ("sleep", "1235"), detach=True))
            assert eventually(lambda: len(engine.containers.processes(container.id)) == 3)
            engine.containers.kill(container.id)
            assert engine.containers.get(container.id).status == "exited", "nobody waits for those that nobody ends"
            assert not alive(others[0])

    def test_the_processes_of_another_container(self, engine):
        with running(engine, "sleep", "1111", name="a") as a, running(engine, "sleep", "2222", pid="container:a") as b:
            assert inode(a.pid, "pid") == inode(b.pid, "pid") != inode("self", "pid")
            assert "sleep 1111" in execute(engine, b, "ps").out
            assert "sleep 2222" in execute(engine, a, "ps").out

    def test_shared_memory_of_ipc(self, engine):
        assert run(engine, "sh", "-c", "grep -c /dev/shm /proc/mounts", ipc="none").out == "0\n"
        marker = f"/dev/shm/tuidock-test-{os.getpid()}"
        with open(marker, "w"):
            try:
                assert run(engine, "ls", marker, ipc="host").status == 0
            finally:
                os.unlink(marker)

    def test_parameters_of_its_namespaces(self, engine):
        asks = ("cat", "/proc/sys/net/ipv4/ip_forward", "/proc/sys/kernel/msgmax")
        before = open("/proc/sys/kernel/msgmax").read()
        assert run(engine, *asks, sysctls=("net.ipv4.ip_forward=1", "kernel.msgmax=1234")).out == "1\n1234\n"
        assert open("/proc/sys/kernel/msgmax").read() == before

    def test_a_device_and_what_may_be_done_with_it(self, engine):
        status = os.stat("/dev/loop-control") if os.path.exists("/dev/loop-control") else None
        if status is None:
            pytest.skip("there is no /dev/loop-control here")
        asks = ("sh", "-c", "stat -c '%t:%T' /dev/mine; : </dev/mine && echo read; : >>/dev/mine && echo written")
        numbers = f"{os.major(status.st_rdev):x}:{os.minor(status.st_rdev):x}\n"
        assert run(engine, *asks, devices=("/dev/loop-control:/dev/mine",)).out == f"{numbers}read\nwritten\n"
        assert run(engine, *asks, devices=("/dev/loop-control:/dev/mine:r",)).out == f"{numbers}read\n"
        rule = f"c {os.major(status.st_rdev)}:{os.minor(status.st_rdev)} rwm"
        asks = (
            "sh",
            "-c",
            f"mknod /dev/mine c {os.major(status.st_rdev)} {os.minor(status.st_rdev)}; : </dev/mine && echo read",
        )
        assert run(engine, *asks, device_rules=(rule,)).out == "read\n"
        assert run(engine, *asks).out == ""

    def test_annotations_are_the_runtimes(self, engine):
        with running(engine, annotations=("a.b=c",)) as container:
            with open(engine.roots.container(container.id).config) as file:
                assert '"a.b":"c"' in file.read().replace(": ", ":")

    @pytest.mark.parametrize(
        "asked",
        [
            {"pid": "bad"}, {"uts": "bad"}, {"ipc": "bad"}, {"cgroupns": "bad"}, {"uts": "host", "hostname": "x"},
            {"oom_score_adj": 5000}, {"sysctls": ("net.a=1",), "network": "host"}, {"devices": ("/dev/nosuch",)},
            {"sysctls": ("kernel.sem=1",), "ipc": "host"}, {"devices": ("/etc/passwd",)}, {"ipc": "container:x"},
        ],
    )  # fmt: skip
    def test_what_contradicts_itself_leaves_nothing(self, engine, asked):
        with pytest.raises(UsageError):
            engine.containers.create(RunRequest("busybox", ("true",), **asked))
        assert os.listdir(engine.roots.containers) == []


TOLD = (
    ("--ulimit", "nofile=100:200", "--group-add", "5", "IMAGE", "sh", "-c", "ulimit -n; ulimit -Hn; id -G"),
    ("--ulimit", "bad=1", "IMAGE", "true"),
    ("--ulimit", "nofile", "IMAGE", "true"),
    ("--ulimit", "nofile=3:2", "IMAGE", "true"),
    ("--ulimit", "nofile=1:2:3", "IMAGE", "true"),
    ("--sysctl", "kernel.x=1", "IMAGE", "true"),
    ("--sysctl", "net.ipv4.ip_forward=1", "IMAGE", "cat", "/proc/sys/net/ipv4/ip_forward"),
    ("--uts", "host", "-h", "x", "IMAGE", "true"),
    ("--uts", "host", "IMAGE", "hostname"),
    ("--uts", "bad", "IMAGE", "true"),
    ("--pid", "bad", "IMAGE", "true"),
    ("--pid", "host", "IMAGE", "readlink", "/proc/self/ns/pid"),
    ("--ipc", "bad", "IMAGE", "true"),
    ("--ipc", "host", "IMAGE", "readlink", "/proc/self/ns/ipc"),
    ("--cgroupns", "bad", "IMAGE", "true"),
    ("--oom-score-adj", "500", "IMAGE", "cat", "/proc/self/oom_score_adj"),
    ("--oom-score-adj", "5000", "IMAGE", "true"),
    ("--add-host", "a", "IMAGE", "true"),
    ("--add-host", "a:b", "IMAGE", "true"),
    ("--add-host", "a.b:1.2.3.4", "IMAGE", "grep", "a.b", "/etc/hosts"),
    ("--dns", "1.2.3.4", "--dns-search", "x.y", "--dns-opt", "ndots:3", "IMAGE", "cat", "/etc/resolv.conf"),
    ("--dns", "x", "IMAGE", "true"),
    ("--device", "/dev/null:/dev/nn:r", "IMAGE", "stat", "-c", "%t:%T %a", "/dev/nn"),
    ("--device", "/dev/null:/dev/nn:x", "IMAGE", "true"),
    ("--device-cgroup-rule", "c 1:3 x", "IMAGE", "true"),
    ("--group-add", "nosuch", "IMAGE", "true"),
    ("--domainname", "d.e", "IMAGE", "cat", "/proc/sys/kernel/domainname"),
)


def test_as_docker_does_it(cli: Cli, busybox: str, docker: Docker) -> None:
    """Status and output of each are docker's; where docker refuses while it reads, in the same words.

    A device that is not there is not among them: docker's client takes "no such file" for a command and says 127, we 125.
    """
    for options in TOLD:
        ours = cli("run", "--rm", "--net", "none", *(busybox if word == "IMAGE" else word for word in options))
        theirs = docker.run("run", "--rm", "--net", "none", *("base" if word == "IMAGE" else word for word in options))
        assert (ours.status, ours.out) == (theirs.status, theirs.out), options
        if theirs.err.startswith("invalid argument"):
            assert ours.err.splitlines()[0].removeprefix("tuidock: ") == theirs.err.splitlines()[0], options
