"""The record of a container's start, with the names of what the kernel got as numbers."""

from __future__ import annotations

import os

from tuidock.oci.value import Value
from tuidock.runtime import bundle
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tuidock.engine.reconcile import Container
    from tuidock.storage.paths import Roots


class Call(Value):
    """One system call."""

    process: str
    """monitor, or init: the container's own process before it became the command"""
    name: str
    arguments: tuple[str, ...]
    """as a person reads them"""
    result: int
    error: str
    """empty, or the errno's name"""
    nanoseconds: int
    meaning: str = ""
    """what it is for, in a few words"""


def _named(prefix: str, *without: str) -> dict[int, str]:
    return {
        value: name
        for name, value in vars(sys).items()
        if name.startswith(prefix) and isinstance(value, int) and name not in without
    }


_MOUNT = _named("MS_")
_CLONE = _named("CLONE_")
_ATTRIBUTE = _named("MOUNT_ATTR_", "MOUNT_ATTR__ATIME")
_RESOLVE = _named("RESOLVE_")
_OPEN = {
    os.O_WRONLY: "O_WRONLY", os.O_RDWR: "O_RDWR", os.O_PATH: "O_PATH", os.O_DIRECTORY: "O_DIRECTORY",
    os.O_NOFOLLOW: "O_NOFOLLOW", os.O_CREAT: "O_CREAT", os.O_EXCL: "O_EXCL", os.O_TRUNC: "O_TRUNC", os.O_APPEND: "O_APPEND",
    os.O_NONBLOCK: "O_NONBLOCK", os.O_NOCTTY: "O_NOCTTY", os.O_CLOEXEC: "O_CLOEXEC",
}  # fmt: skip
_PRCTL = _named("PR_")
_FSCONFIG = _named("FSCONFIG_")

MEANINGS = {
    "unshare": "leave a namespace that is shared with the parent for a new one",
    "clone3": "the container's first process, born in new namespaces",
    "setns": "join a namespace that is there",
    "pivot_root": "the container's root becomes the root",
    "umount2": "let go of a mount",
    "sethostname": "the host name, in the uts namespace",
    "fsopen": "begin to configure a file system",
    "fsmount": "a mount of it, attached nowhere yet",
    "move_mount": "attach the mount to its place",
    "open_tree": "a copy of a mount, attached nowhere yet",
    "capset": "give up all capabilities but these",
    "seccomp": "from here on the filter judges each system call",
    "execve": "the process becomes the command",
    "keyctl": "a session keyring of its own",
    "cgroup": "a limit, or a process put under it",
}


def calls(container: Container, roots: Roots) -> list[Call]:
    """Of its last start, in order; empty if it was never started."""
    kept = bundle.read_json(roots.container(container.id).start)
    return [call(*entry) for entry in kept["calls"]] if kept else []


def call(process: str, name: str, arguments: Sequence[Any], result: int, error: int, nanoseconds: int) -> Call:
    """One entry of a record (trace.py), decoded."""
    import errno

    shown = tuple(str(word) for word in _decode(name, list(arguments)))
    named = errno.errorcode.get(error, str(error)) if error else ""
    return Call(process, name, shown, result, named, nanoseconds, _meaning(name, arguments))


def _meaning(name: str, arguments: Sequence[Any]) -> str:
    if name == "mount":
        source, target, kind, flags, _ = arguments
        if not kind and flags & (sys.MS_SLAVE | sys.MS_PRIVATE):
            return "what is mounted here stays in this mount namespace"
        return f"a {kind} for the container" if kind else f"{source} seen at {target}"
    if name == "fsconfig" and arguments[2] == "lowerdir+":
        return "a read-only layer"
    if name == "fsconfig" and arguments[2] == "upperdir":
        return "the read-write layer"
    return MEANINGS.get(name, "")


def _decode(name: str, arguments: list[Any]) -> list[Any]:
    if name == "mount":
        arguments[3] = flags(arguments[3], _MOUNT)
    elif name in ("clone3", "unshare"):
        arguments[0] = flags(arguments[0], _CLONE)
    elif name == "setns":
        arguments[1] = flags(arguments[1], _CLONE)
    elif name == "mount_setattr":
        arguments[1], arguments[2] = flags(arguments[1], _ATTRIBUTE), flags(arguments[2], _ATTRIBUTE)
        arguments[3] = flags(arguments[3], _MOUNT)
    elif name == "openat2":
        arguments[2], arguments[3] = _opened(arguments[2]), flags(arguments[3], _RESOLVE)
    elif name == "fsconfig":
        arguments[1] = _FSCONFIG.get(arguments[1], arguments[1])
    elif name == "prctl":
        arguments = [_PRCTL.get(arguments[0], arguments[0]), arguments[1]]
    return arguments


def _opened(value: int) -> str:
    """Flags of open(2); to read is no bit, and has a name all the same."""
    if value & (os.O_ACCMODE | os.O_PATH):
        return flags(value, _OPEN)
    return f"O_RDONLY|{flags(value, _OPEN)}" if value else "O_RDONLY"


def flags(value: int, names: dict[int, str]) -> str:
    """A number as the names of its bits: MS_BIND|MS_REC."""
    words = [name for bit, name in names.items() if bit and value & bit == bit]
    rest = value
    for bit, name in names.items():
        if name in words:
            rest &= ~bit
    return "|".join([*words, *([hex(rest)] if rest else [])]) or "0"
