"""-v: text to what is mounted where.  Named and anonymous volumes, and directories and files of the host.

docker run(1), "-v"; docs.docker.com/engine/storage.  `--mount` and volume drivers come with the networks issue.
"""

from __future__ import annotations

import os

from tuidock.errors import UsageError
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

ACCEPTED = {
    "rw",
    "ro",
    "z",
    "Z",
    "nocopy",
    "cached",
    "delegated",
    "consistent",
    "private",
    "rprivate",
    "slave",
    "rslave",
}
"""z, Z and the consistency words are taken and do nothing: there is no SELinux label to set and no other machine's file."""

TMPFS_WORDS = (
    "defaults rw ro suid nosuid dev nodev exec noexec sync async dirsync remount mand nomand atime noatime diratime "
    "nodiratime relatime norelatime strictatime nostrictatime private rprivate slave rslave shared rshared unbindable "
    "runbindable bind rbind tmpcopyup"
)
TMPFS_VALUES = ("size=", "mode=", "uid=", "gid=", "nr_inodes=", "nr_blocks=", "mpol=")
"""Docker's (sys/mount, MergeTmpfsOptions)."""


class Mount(Value):
    """One mount of a container."""

    kind: str
    """volume, bind or tmpfs"""
    destination: str
    """a path of the container, absolute and normal"""
    source: str = ""
    """bind: a path of the host; volume: its directory, once it is known"""
    name: str = ""
    """of a volume; an anonymous one has its 64 hexadecimal digits"""
    anonymous: bool = False
    read_only: bool = False
    copy: bool = True
    """whether the image's content fills the volume when it is empty"""
    propagation: str = "rprivate"
    mode: str = ""
    """the option words as the user wrote them"""


def parse(text: str) -> Mount:
    """`-v` as docker reads it: /inside, NAME:/inside[:options], /outside:/inside[:options].  Raises UsageError."""
    parts = text.split(":")
    if len(parts) == 1:
        return Mount("volume", destination(parts[0], text), anonymous=True)
    if len(parts) > 3 or not all(parts[:2]):
        raise UsageError(f"invalid volume specification: '{text}'", "/inside, NAME:/inside or /outside:/inside, then :options")
    source, inside = parts[0], destination(parts[1], text)
    words = parts[2].split(",") if len(parts) == 3 else []
    for word in words:
        if word in ("shared", "rshared", "unbindable", "runbindable"):
            raise UsageError(f"propagation {word} is not there yet", "private and slave, and their r- forms, are")
        if word not in ACCEPTED:
            raise UsageError(f'invalid mode: {parts[2]}: "{word}" in "{text}"', f"one of {', '.join(sorted(ACCEPTED))}")
    spread = [word for word in words if word.endswith(("private", "slave"))]
    common: dict[str, Any] = {
        "read_only": "ro" in words, "copy": "nocopy" not in words, "mode": ",".join(words),
        "propagation": spread[-1] if spread else "rprivate",
    }  # fmt: skip
    if source.startswith("/"):
        return Mount("bind", inside, os.path.normpath(source), **common)
    if source.startswith((".", "~")):
        raise UsageError(
            f"invalid volume specification: '{text}': {source} is not absolute",
            f"did you mean {os.path.abspath(source)}?",
        )
    return Mount("volume", inside, name=volume_name(source), **common)


def volume_name(name: str) -> str:
    """The name itself if a volume can have it: [a-zA-Z0-9][a-zA-Z0-9_.-]+.  Raises UsageError."""
    plain = name.replace("_", "a").replace(".", "a").replace("-", "a")
    if len(name) < 2 or not name[0].isalnum() or not plain.isalnum() or not name.isascii():
        raise UsageError(
            f'"{name}" includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            "if you intended to pass a host directory, use its absolute path",
        )
    return name


def destination(path: str, text: str) -> str:
    """Where it is to be in the container: absolute, normal, and not the root nor in /proc.  Raises UsageError."""
    if not path.startswith("/"):
        raise UsageError(
            f"invalid volume specification: '{text}': {path} is not absolute", "paths in the container begin with /"
        )
    inside = os.path.normpath(path).replace("//", "/")  # containerd CVE-2022-23648: `/../../etc` is /etc of the container
    if inside == "/":
        raise UsageError(f"invalid volume specification: '{text}': the destination can't be '/'", "mount it below /")
    if inside == "/proc" or inside.startswith("/proc/"):
        raise UsageError(f"invalid volume specification: '{text}': nothing can be mounted in /proc", "choose another place")
    return inside


def collect(volumes: Iterable[str], tmpfs: Iterable[str], declared: Iterable[str]) -> list[Mount]:
    """All mounts of a container, by depth: -v beats the image's VOLUME at the same place.

    volumes: -v as written; tmpfs: --tmpfs as written; declared: VOLUME of the image.  Raises UsageError for a place
    that is asked for twice.
    """
    found: dict[str, Mount] = {}
    asked = [parse(text) for text in volumes]
    for text in tmpfs:
        path, _, options = text.partition(":")
        for word in filter(None, options.split(",")):
            if word not in TMPFS_WORDS.split() and not (word.startswith(TMPFS_VALUES) and word.partition("=")[2]):
                raise UsageError(
                    f'invalid tmpfs option "{word}" in "{text}"', f"{'…, '.join(TMPFS_VALUES)}…, ro, exec and their like"
                )
        asked.append(Mount("tmpfs", destination(path, text), mode=options))
    for mount in asked:
        if mount.destination in found:
            raise UsageError(f"duplicate mount point: {mount.destination}", "give each place one mount")
        found[mount.destination] = mount
    for path in declared:
        inside = destination(path, path)
        found.setdefault(inside, Mount("volume", inside, anonymous=True))
    return sorted(found.values(), key=lambda mount: mount.destination.count("/"))
