"""From config.json to the list of steps that furnish the root, and the change of root itself."""

from __future__ import annotations

import os

from tuidock.errors import RuntimeFailure
from tuidock.runtime import syscalls as sys
from tuidock.runtime.mounts import PROPAGATION, Bind, CopyUp, Device, FileSystem, Link, Mask, ReadOnly, Seal, Step, Sysctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

DEVICES = (
    Device("/dev/null", "c", 1, 3), Device("/dev/zero", "c", 1, 5), Device("/dev/full", "c", 1, 7),
    Device("/dev/random", "c", 1, 8), Device("/dev/urandom", "c", 1, 9), Device("/dev/tty", "c", 5, 0),
)  # fmt: skip
"""runtime-spec, config-linux.md, "Default Devices"; /dev/console and /dev/ptmx are made from the container's devpts."""

LINKS = (
    Link("/dev/ptmx", "pts/ptmx"), Link("/dev/fd", "/proc/self/fd"), Link("/dev/stdin", "/proc/self/fd/0"),
    Link("/dev/stdout", "/proc/self/fd/1"), Link("/dev/stderr", "/proc/self/fd/2"), Link("/dev/core", "/proc/kcore"),
)  # fmt: skip
"""runtime-spec, runtime-linux.md, "Dev symbolic links"."""

NOTHING: Mapping[str, str] = {}

COPY_UP = "tuidock.copy-up"
"""A mount's annotation among its options: the image's content at this place is to fill the empty source first."""


def plan(config: Mapping[str, Any], controllers: Mapping[str, str], cgroups: Mapping[str, str] = NOTHING) -> list[Step]:
    """What will be done to the root, in order.  Pure.

    config: an OCI config.json.  controllers: what a mount of type `cgroup` stands for on this machine: folder name below
    the mount's destination to the mount options of a v1 hierarchy; empty on pure v2, where it is the one cgroup2.
    cgroups: for a container without a cgroup namespace, those folders to where its own cgroup is in them; "" on pure v2.
    """
    linux = config.get("linux", {})
    steps: list[Step] = []
    for mount in config.get("mounts", ()):
        steps += _mount(mount, controllers, cgroups)
    if any(mount["destination"].rstrip("/") == "/dev" and _is_bind(mount) for mount in config.get("mounts", ())):
        return [*steps, *_kernel(linux)]  # the host's own devices, which are not ours to add to
    steps += DEVICES
    for device in linux.get("devices", ()):
        steps.append(
            Device(
                device["path"], device["type"], device.get("major", 0), device.get("minor", 0),
                device.get("fileMode") or 0o666, device.get("uid") or 0, device.get("gid") or 0,
                device.get("tree", -1),
            )
        )  # fmt: skip
    return [*steps, *LINKS, *_kernel(linux)]


def _kernel(linux: Mapping[str, Any]) -> list[Step]:
    """Parameters first, while they can be written."""
    steps: list[Step] = [Sysctl(key, value) for key, value in linux.get("sysctl", {}).items()]
    steps += [ReadOnly(path) for path in linux.get("readonlyPaths", ())]
    steps += [Mask(path) for path in linux.get("maskedPaths", ())]
    return steps


def _is_bind(mount: Mapping[str, Any]) -> bool:
    options = mount.get("options", ())
    return mount.get("type") == "bind" or "bind" in options or "rbind" in options


def _mount(mount: Mapping[str, Any], controllers: Mapping[str, str], cgroups: Mapping[str, str]) -> list[Step]:
    target, kind, options = mount["destination"], mount.get("type", ""), tuple(mount.get("options", ()))
    source = mount.get("source", "")
    if kind == "cgroup":
        return _cgroup(target, options, controllers, cgroups)
    if _is_bind(mount):
        steps: list[Step] = []
        if COPY_UP in options:
            steps.append(CopyUp(target, source))
            options = tuple(word for word in options if word != COPY_UP)
        return [*steps, Bind(source, target, options, mount.get("tree", -1))]
    return [FileSystem(kind, target, source or kind, options)]


def _cgroup(
    target: str, options: Sequence[str], controllers: Mapping[str, str], cgroups: Mapping[str, str]
) -> list[Step]:  # fmt: skip
    if not controllers and "" in cgroups:
        return [Bind(cgroups[""], target, ("bind", *options))]
    if not controllers:
        return [FileSystem("cgroup2", target, "cgroup", tuple(options))]
    words = tuple(options)
    steps: list[Step] = [FileSystem("tmpfs", target, "tmpfs", ("nosuid", "noexec", "nodev", "mode=755"))]
    for folder, own in controllers.items():
        if folder in cgroups:
            steps.append(Bind(cgroups[folder], f"{target}/{folder}", ("bind", *words)))
        elif folder == "unified":
            steps.append(FileSystem("cgroup2", f"{target}/{folder}", "cgroup", words))
        else:
            steps.append(FileSystem("cgroup", f"{target}/{folder}", "cgroup", (*words, *own.split(","))))
        steps += [Link(f"{target}/{part}", folder) for part in own.split(",") if "," in own]
    if "ro" in words:
        steps.append(Seal(target))
    return steps


def part(propagation: str, rootfs: str) -> None:
    """What is mounted in this mount namespace from now on is not seen outside of it; what is mounted outside, is.

    propagation: rootfsPropagation of config.json.  With `shared`, what is mounted outside stays one with it, so that a bind
    mount can carry mounts out; only what `rootfs` lies on does not.
    """
    if PROPAGATION.get(propagation) != sys.MS_SHARED:
        sys.mount("", "/", "", sys.MS_SLAVE | sys.MS_REC)
        return
    with open("/proc/self/mountinfo") as file:
        points = [line.split()[4] for line in file]
    lies_on = max((point for point in points if f"{rootfs}/".startswith(f"{point.rstrip('/')}/")), key=len)
    sys.mount("", lies_on, "", sys.MS_PRIVATE)


def attach(tree: int, rootfs: str, propagation: str) -> None:
    """Mount a copy of the folder that shall be the root on itself: only a mount can be pivoted to, and no shared one.

    tree: its descriptor, opened by who may go there.  propagation: see `part`.
    """
    if PROPAGATION.get(propagation) == sys.MS_SHARED:
        sys.mount_setattr(tree, 0, propagation=sys.MS_PRIVATE)
    else:
        sys.mount_setattr(tree, 0, propagation=sys.MS_SLAVE, recursive=True)
    place = os.open(rootfs, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sys.move_mount(tree, place, rootfs)
    os.close(place)
    os.close(tree)


def spread(propagation: str) -> None:
    """rootfsPropagation of config.json, for the container's root as it is now.  runtime-spec, config-linux.md."""
    if propagation:
        sys.mount("", "/", "", PROPAGATION[propagation])  # mounts below it have their own words


def pivot(rootfs: str) -> None:
    """Make `rootfs`, a mount point, the root of this mount namespace, and let go of the old one.

    pivot_root(2), "pivot_root(".", ".")": no folder for the old root is needed.
    """
    old = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(rootfs)
        sys.pivot_root(".", ".")
        os.fchdir(old)  # or "." would be the new root, whose mounts would lose what they share
        sys.mount("", ".", "", sys.MS_SLAVE | sys.MS_REC)
        sys.umount2(".", sys.MNT_DETACH)
        os.chdir("/")
    except OSError as error:
        raise RuntimeFailure(f"cannot change the root to {rootfs}: {error.strerror}") from error
    finally:
        os.close(old)


def make_read_only() -> None:
    """Remount the root of this mount namespace read-only; what is mounted on it stays as it is."""
    root = os.open("/", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    sys.mount_setattr(root, sys.MOUNT_ATTR_RDONLY)
    os.close(root)
