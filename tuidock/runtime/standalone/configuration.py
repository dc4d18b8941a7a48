"""A bundle's config.json: read, checked, and what this runtime does not do refused with a reason.  runtime-spec 1.2, config.md.

What cannot work is found here, before anything is made; the rest is the kernel's to refuse.
"""

from __future__ import annotations

import os
import posixpath

from tuidock.errors import RuntimeFailure, UsageError
from tuidock.oci.jsontext import loads
from tuidock.runtime import identity, scheduling
from tuidock.runtime.standalone import hooks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

KINDS = ("mount", "pid", "network", "ipc", "uts", "cgroup", "user", "time")
ALL_IDS = (1 << 32) - 1
SETS = ("bounding", "effective", "permitted", "inheritable", "ambient")
PROPAGATIONS = ("private", "slave", "shared", "unbindable", "rprivate", "rslave", "rshared", "runbindable")
IPC_PARAMETERS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
)  # fmt: skip


class BadConfig(UsageError):
    exit_status = 1


def read(folder: str, name: str = "config.json") -> dict[str, Any]:
    """The configuration of a bundle, with an absolute root path.  Raises BadConfig."""
    path = os.path.join(folder, name)
    try:
        with open(path, "rb") as file:
            config = loads(file.read())
    except OSError as error:
        raise BadConfig(
            f"open {path}: {(error.strerror or '').lower()}", "a bundle is a folder with config.json in it"
        ) from None
    except ValueError as error:
        raise BadConfig(f"{path} is no JSON: {error}") from None
    if not isinstance(config, dict):
        raise BadConfig(f"{path} is no JSON object")
    try:
        _check(config, folder)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadConfig(f"{path} has not the shape of a configuration: {type(error).__name__}: {error}") from None
    return config


def _check(config: dict[str, Any], folder: str) -> None:
    version = config.get("ociVersion")
    if not isinstance(version, str) or not version.startswith("1."):
        raise BadConfig(f"unsupported ociVersion: {version!r}", "1.0 to 1.2 are understood")
    root = config.get("root")
    if not root or not root.get("path"):
        raise BadConfig("config.json has no root.path")
    root["path"] = os.path.realpath(os.path.join(folder, root["path"]))
    if not os.path.isdir(root["path"]):
        raise BadConfig(f"the root {root['path']} is no folder")
    if not config.get("process"):
        raise BadConfig("config.json has no process", "this runtime does not make containers without one")
    if not config.get("linux"):
        config["linux"] = {}
    linux = config["linux"]
    config["mounts"] = config.get("mounts") or []
    _namespaces(linux)
    process(config["process"])
    for mount in config["mounts"]:
        mount["options"] = mount.get("options") or []
        mount["type"] = "bind" if {"bind", "rbind"} & set(mount["options"]) else mount.get("type") or "none"
        mount["destination"] = posixpath.normpath(posixpath.join("/", mount["destination"]))
        if mount["type"] == "bind" and mount.get("source"):
            mount["source"] = os.path.join(folder, mount["source"])
    own = {space["type"] for space in linux["namespaces"]}
    if (config.get("hostname") or config.get("domainname")) and "uts" not in own:
        raise BadConfig("unable to set hostname without a private UTS namespace", "add a namespace of type uts")
    sysctls(linux.get("sysctl") or {}, own, config.get("domainname") or "")
    if linux.get("rootfsPropagation") and linux["rootfsPropagation"] not in PROPAGATIONS:
        raise BadConfig(f"no such rootfsPropagation: {linux['rootfsPropagation']}", f"one of {', '.join(PROPAGATIONS)}")
    for name in ("devices", "maskedPaths", "readonlyPaths"):
        linux[name] = linux.get(name) or []
    linux["sysctl"] = linux.get("sysctl") or {}
    _refuse(linux)
    if linux.get("personality"):
        scheduling.check_personality(linux["personality"])
    else:
        linux.pop("personality", None)
    for name, several in (config.get("hooks") or {}).items():
        if name not in hooks.NAMES:
            continue
        for hook in several or ():
            if not str(hook.get("path", "")).startswith("/"):
                raise BadConfig(f"the path of a {name} hook is not absolute: {hook.get('path')!r}")
            if hook.get("timeout") is not None and hook["timeout"] <= 0:
                raise BadConfig(f"the timeout of the {name} hook {hook['path']} is not greater than zero")


def _namespaces(linux: dict[str, Any]) -> None:
    spaces = linux["namespaces"] = linux.get("namespaces") or []
    seen: set[str] = set()
    for space in spaces:
        kind = space["type"]
        if kind not in KINDS:
            raise BadConfig(f"no such namespace: {kind}", f"one of {', '.join(KINDS)}")
        if kind in seen:
            raise BadConfig(f"there are two namespaces of type {kind}")
        seen.add(kind)
        path = space.get("path")
        if path and not path.startswith("/"):
            raise BadConfig(f"the path of the {kind} namespace is not absolute: {path}")
        if path and kind == "mount":
            raise BadConfig("a container in another's mount namespace is not made", "leave out the path of the mount namespace")
        if path and kind == "user":
            raise BadConfig("a container in another's user namespace is not made", "give it mappings of its own")
        if path and not os.path.lexists(path):
            raise BadConfig(f"the {kind} namespace {path} is not there")
    if "mount" not in seen:
        raise BadConfig("a container without a mount namespace of its own is not made", "add a namespace of type mount")
    mapped = bool(linux.get("uidMappings") or linux.get("gidMappings"))
    fresh = any(space["type"] == "user" and not space.get("path") for space in spaces)
    if mapped and "user" not in seen:
        raise BadConfig("there are uidMappings without a user namespace", "add a namespace of type user")
    for field in ("uidMappings", "gidMappings") if fresh else ():
        linux[field] = linux.get(field) or [{"containerID": 0, "hostID": 0, "size": ALL_IDS}]  # as crun
    if linux.get("timeOffsets") and not any(space["type"] == "time" and not space.get("path") for space in spaces):
        raise BadConfig("there are timeOffsets without a new time namespace", "add a namespace of type time")


def process(wanted: dict[str, Any]) -> None:
    """Check runtime-spec's `process`, and take from it what does not count here.  Raises BadConfig."""
    if not wanted.get("args"):
        raise BadConfig("process.args is empty")
    cwd = wanted.get("cwd") or ""
    if not cwd.startswith("/"):
        raise BadConfig(f"process.cwd is not absolute: {cwd!r}")
    wanted["env"] = wanted.get("env") or []
    user = wanted["user"] = wanted.get("user") or {}
    user.pop("username", None)  # of other systems
    user["additionalGids"] = user.get("additionalGids") or []
    if user.get("umask") is None:
        user["umask"] = 0o022
    for name in ("scheduler", "ioPriority"):
        if not wanted.get(name):
            wanted.pop(name, None)
    scheduling.check(wanted)
    there = set(identity.to_be_had())
    sets = wanted.get("capabilities") or {}
    wanted["capabilities"] = {
        name: [word for word in sets.get(name) or () if word.removeprefix("CAP_") in there] for name in SETS
    }  # what this kernel does not have, or this machine holds back, is left out, as the specification wants it
    kinds = [limit["type"] for limit in wanted.get("rlimits") or ()]
    wanted["rlimits"] = wanted.get("rlimits") or []
    for kind in kinds:
        if kind.removeprefix("RLIMIT_") not in identity.RLIMITS or not kind.startswith("RLIMIT_"):
            raise BadConfig(f"no such rlimit: {kind}", f"RLIMIT_ and one of {', '.join(identity.RLIMITS)}")
        if kinds.count(kind) > 1:
            raise BadConfig(f"rlimit {kind} is there twice")
    if wanted.get("selinuxLabel"):
        raise BadConfig(f"process.selinuxLabel {wanted['selinuxLabel']}: SELinux labels are not set", "leave it out")
    profile = wanted.get("apparmorProfile")
    if profile and profile != "unconfined":
        raise BadConfig(f"process.apparmorProfile {profile}: AppArmor profiles are not applied", "leave it out, or unconfined")


def sysctls(wanted: Mapping[str, Any], own: set[str], domain: str = "") -> None:
    """Only what belongs to a namespace that is not the host's can be set.  CVE-2022-0811 is why values are looked at, too.

    own: kinds of all namespaces of the configuration; one by path that is the host's own is found later (not_the_hosts).
    domain: domainname of the configuration.
    """
    for key, value in wanted.items():
        if not isinstance(value, str) or any(letter in f"{key}{value}" for letter in "\n\0") or ".." in key or "/" in key:
            raise BadConfig(f"sysctl {key}={value!r} is malformed", "names with dots, values of one line")
        name = key.replace("/", ".")
        needs = ""
        if name in IPC_PARAMETERS or name.startswith("fs.mqueue."):
            needs = "ipc"
        elif name.startswith("net."):
            needs = "network"
        elif name == "kernel.domainname":
            needs = "uts"
            if domain and domain != value:
                raise BadConfig("sysctl kernel.domainname and domainname differ", "leave one out")
        elif name == "kernel.hostname":
            raise BadConfig(f"sysctl {key} is not set this way", "hostname of config.json sets it")
        elif not (name.startswith("user.") and "user" in own):
            raise BadConfig(f"sysctl {key} is not in a separate kernel namespace", "it would change the host")
        if needs and needs not in own:
            raise BadConfig(f"sysctl {key} is not allowed in the host's {needs} namespace", f"add a namespace of type {needs}")


def _refuse(linux: Mapping[str, Any]) -> None:
    if linux.get("intelRdt"):
        raise BadConfig("linux.intelRdt: cache and bandwidth classes of Intel RDT are not made", "leave it out")
    if linux.get("mountLabel"):
        raise BadConfig(f"linux.mountLabel {linux['mountLabel']}: SELinux labels are not set", "leave it out")
    if linux.get("memoryPolicy"):
        raise BadConfig("linux.memoryPolicy is not set", "leave it out")
    if linux.get("netDevices"):
        raise BadConfig("linux.netDevices are not moved", "an engine sets up the network")


def cgroup_path(config: Mapping[str, Any], identifier: str) -> str:
    """cgroupsPath below the hierarchies' own root; what is relative lies there as well, and none is the container's id."""
    wanted = config["linux"].get("cgroupsPath") or identifier
    if wanted.count(":") == 2:
        raise BadConfig(
            f"cgroupsPath {wanted} names a systemd slice, and cgroups are made without systemd", "use the cgroupfs driver"
        )
    path = posixpath.normpath(posixpath.join("/", wanted)).strip("/")
    if not path:
        raise BadConfig(f"cgroupsPath {wanted} is the root of all")
    return path


def has(config: Mapping[str, Any], kind: str) -> bool:
    """Whether the container has a namespace of its own of this kind, new or by path."""
    return any(space["type"] == kind for space in config["linux"]["namespaces"])


def fresh(config: Mapping[str, Any]) -> list[str]:
    """Kinds of the namespaces that are made for it."""
    return [space["type"] for space in config["linux"]["namespaces"] if not space.get("path")]


def paths(config: Mapping[str, Any]) -> Sequence[Mapping[str, str]]:
    """The namespaces that it joins."""
    return [space for space in config["linux"]["namespaces"] if space.get("path")]


def not_the_hosts(config: Mapping[str, Any]) -> None:
    """A parameter of the network or of ipc, in a namespace by path that turns out to be the host's, is refused."""
    wanted = config["linux"]["sysctl"]
    for space in paths(config):
        name, prefixes = {"network": ("net", ("net.",)), "ipc": ("ipc", ("kernel.", "fs.mqueue."))}.get(space["type"], ("", ()))
        touches = [key for key in wanted if key.startswith(prefixes)] if name else []
        if touches and os.stat(space["path"]).st_ino == os.stat(f"/proc/self/ns/{name}").st_ino:
            raise RuntimeFailure(f"sysctl {touches[0]} is not allowed in the host's {space['type']} namespace")
