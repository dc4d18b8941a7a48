"""From a request to config.json: pure, so no root is needed."""

from __future__ import annotations

from tuidock.engine.config import configure
from tuidock.engine.requests import RunRequest
from tuidock.engine.spec import MASKED, spec
from tuidock.runtime.rootfs import COPY_UP
from tuidock.volume import collect


def made(mounts=(), network="", **asked):
    request = RunRequest("x", command=("true",), **asked)
    config = configure({}, request, "a" * 64)
    return spec(config, request, mounts, rootfs="/r", etc="/e", capabilities=["CAP_KILL"], resources={}, network=network)


def kinds(configuration):
    return {space["type"]: space.get("path") for space in configuration["linux"]["namespaces"]}


def test_by_default_everything_is_its_own():
    assert kinds(made()) == dict.fromkeys(("mount", "pid", "ipc", "uts", "cgroup", "network"))


def test_host_network_has_no_namespace_and_no_sysctl_of_the_host_is_set():
    configuration = made(network="host")
    assert "network" not in kinds(configuration)
    assert configuration["linux"]["sysctl"] == {}


def test_a_joined_network_is_a_path():
    assert kinds(made(network="/proc/7/ns/net"))["network"] == "/proc/7/ns/net"


def test_inheritable_and_ambient_are_empty():
    """CVE-2022-24769."""
    sets = made()["process"]["capabilities"]
    assert (sets["inheritable"], sets["ambient"]) == ([], [])
    assert sets["bounding"] == sets["effective"] == sets["permitted"] == ["CAP_KILL"]


def test_privileged_masks_nothing_and_writes_to_sys():
    configuration = made(privileged=True)
    assert configuration["linux"]["maskedPaths"] == configuration["linux"]["readonlyPaths"] == []
    assert "rw" in next(mount for mount in configuration["mounts"] if mount["destination"] == "/sys")["options"]
    assert set(MASKED) <= set(made()["linux"]["maskedPaths"])


def test_a_mount_of_the_user_takes_the_place_of_the_engines():
    mounts = [mount.replace(source="/v") for mount in collect(["/shm:/dev/shm", "/h:/etc/hosts"], [], [])]
    destinations = [mount["destination"] for mount in made(mounts)["mounts"]]
    assert destinations.count("/dev/shm") == destinations.count("/etc/hosts") == 1


def test_volumes_are_filled_and_host_directories_are_not():
    mounts = collect(["/v", "/h:/b", "name:/c:nocopy"], [], [])
    options = {mount["destination"]: mount["options"] for mount in made(mounts)["mounts"]}
    assert COPY_UP in options["/v"]
    assert COPY_UP not in options["/b"] + options["/c"]


def test_a_terminal_brings_term_unless_it_is_given():
    assert "TERM=xterm" in made(tty=True)["process"]["env"]
    assert "TERM=vt100" in made(tty=True, env=("TERM=vt100",))["process"]["env"]
    assert "TERM=xterm" not in made()["process"]["env"]
