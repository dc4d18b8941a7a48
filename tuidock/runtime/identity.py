"""Who a process is and what it may: user, groups, capabilities, limits, no_new_privs.

capabilities(7), credentials(7), setrlimit(2).
"""

from __future__ import annotations

import ctypes
import os
import stat
import struct

from tuidock.errors import RuntimeFailure, UsageError
from tuidock.oci.value import Value
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from typing import Any

CAPABILITIES = (
    "CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETGID", "SETUID", "SETPCAP",
    "LINUX_IMMUTABLE", "NET_BIND_SERVICE", "NET_BROADCAST", "NET_ADMIN", "NET_RAW", "IPC_LOCK", "IPC_OWNER",
    "SYS_MODULE", "SYS_RAWIO", "SYS_CHROOT", "SYS_PTRACE", "SYS_PACCT", "SYS_ADMIN", "SYS_BOOT", "SYS_NICE",
    "SYS_RESOURCE", "SYS_TIME", "SYS_TTY_CONFIG", "MKNOD", "LEASE", "AUDIT_WRITE", "AUDIT_CONTROL", "SETFCAP",
    "MAC_OVERRIDE", "MAC_ADMIN", "SYSLOG", "WAKE_ALARM", "BLOCK_SUSPEND", "AUDIT_READ", "PERFMON", "BPF",
    "CHECKPOINT_RESTORE",
)  # fmt: skip
"""In the order of their numbers (linux/capability.h)."""

DEFAULT = (
    "CHOWN", "DAC_OVERRIDE", "FSETID", "FOWNER", "MKNOD", "NET_RAW", "SETGID", "SETUID", "SETFCAP", "SETPCAP",
    "NET_BIND_SERVICE", "SYS_CHROOT", "KILL", "AUDIT_WRITE",
)  # fmt: skip
"""Docker's fourteen."""

PR_SET_KEEPCAPS, PR_CAPBSET_READ, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 8, 23, 24, 38  # linux/prctl.h
PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, PR_CAP_AMBIENT_CLEAR_ALL = 47, 2, 4
CAPABILITY_VERSION = 0x20080522  # _LINUX_CAPABILITY_VERSION_3
LARGEST_ID = (1 << 31) - 1
LARGEST_FILE = 1 << 20
PASSWD, GROUP = "/etc/passwd", "/etc/group"
RLIMITS = {
    name: number
    for number, name in enumerate(
        ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE",
         "NICE", "RTPRIO", "RTTIME")
    )
}  # fmt: skip
"""asm-generic/resource.h"""


class User(Value):
    """Numbers for a process."""

    uid: int
    gid: int
    groups: tuple[int, ...]
    """supplementary, the primary one among them once (CVE-2022-36109)"""
    home: str
    """from the passwd file; empty if it names none"""


def capabilities(add: Iterable[str], drop: Iterable[str], *, privileged: bool) -> list[str]:
    """The capabilities of a container, as docker's --cap-add and --cap-drop give them, sorted by number.

    Names with or without CAP_, in any case; ALL for all of them: `--cap-drop ALL --cap-add X` is X alone, and
    `--cap-add ALL --cap-drop X` is all but X.  All are those that this process could have itself: in a container, or on a
    machine that holds some back, fewer than the kernel knows.  Raises UsageError for a name that is none, and for one of
    `add` that cannot be had.
    """
    adds, drops = [known(word) for word in add], [known(word) for word in drop]
    there = to_be_had()
    for name in adds:
        if name != "ALL" and name not in there and not privileged:
            raise UsageError(
                f"invalid CapAdd: CAP_{name} is not supported by the kernel or not available in the current environment",
                "leave it out; CapBnd in /proc/self/status has those that can be had",
            )
    if privileged:
        return [f"CAP_{name}" for name in there]
    if "ALL" in adds:
        chosen = set(there) - set(drops)
    elif "ALL" in drops:
        chosen = set(adds)
    else:
        chosen = (set(DEFAULT) - set(drops)) | set(adds)
    return [f"CAP_{name}" for name in there if name in chosen]


def known(word: str) -> str:
    """A capability's name without CAP_, or ALL.  Raises UsageError for what is none."""
    name = word.upper().removeprefix("CAP_")
    if name != "ALL" and name not in CAPABILITIES:
        raise UsageError(f'invalid capability: "{word}"', "a name of capabilities(7), such as NET_ADMIN, or ALL")
    return name


def to_be_had() -> list[str]:
    """In the bounding set, which has none that the kernel does not know."""
    with open("/proc/self/status") as file:
        bounding = next(int(line.split()[1], 16) for line in file if line.startswith("CapBnd:"))
    return [name for number, name in enumerate(CAPABILITIES) if bounding >> number & 1]


def user_of(wanted: Mapping[str, Any]) -> User:
    """runtime-spec's `user`, numbers only; where it has a `username`, what that means in the root this process is in.

    username: docker's -u: NAME, UID, NAME:GROUP, UID:GID …; empty for 0.  groups, beside it: names or numbers of further
    ones.  Raises RuntimeFailure for one that is not there.
    """
    text = wanted.get("username")
    extra = tuple(wanted.get("additionalGids", ()))
    if text is None:
        uid, gid = wanted.get("uid", 0), wanted.get("gid", 0)
        for number in (uid, gid, *extra):
            _number(str(number), "user or group")
        return User(uid, gid, tuple(dict.fromkeys(extra)), _home(uid))  # engines add the primary one: CVE-2022-36109
    user = resolve_user(text)
    extra += tuple(_resolve_group(word) for word in wanted.get("groups", ()))
    return user.replace(groups=tuple(dict.fromkeys((*user.groups, *extra)))) if extra else user


def resolve_user(text: str) -> User:
    """NAME, UID, NAME:GROUP and so on, by the passwd and group files of the root this process is in.

    A number without an entry is fine, with group 0; what consists of digits is a number, even if somebody has that name.
    No name is 0.  With no group given, the groups that the group file lists.
    """
    name, _, group = text.partition(":")
    name = name or "0"
    uid = _number(name, "user") if _digits(name) else -1
    found = next((line for line in _lines(PASSWD, 4) if (line[0] == name if uid < 0 else _id(line[2]) == uid)), None)
    if found is not None:
        uid, gid, home = _number(found[2], "user"), _number(found[3], "group"), found[5]
    elif uid >= 0:
        gid, home = 0, ""
    else:
        raise RuntimeFailure(
            f"unable to find user {name}: no matching entries in passwd file",
            "give a name that the image's /etc/passwd has, or a number",
        )
    if group:
        gid = _resolve_group(group)
        return User(uid, gid, (gid,), home)
    member = found[0] if found is not None else ""
    more = [_number(line[2], "group") for line in _lines(GROUP, 3) if member and member in line[3].split(",")]
    return User(uid, gid, tuple(dict.fromkeys((gid, *more))), home)


def _resolve_group(group: str) -> int:
    if _digits(group):
        return _number(group, "group")
    for line in _lines(GROUP, 3):
        if line[0] == group:
            return _number(line[2], "group")
    raise RuntimeFailure(
        f"unable to find group {group}: no matching entries in group file",
        "give a name that the image's /etc/group has, or a number",
    )


def _home(uid: int) -> str:
    return next((line[5] for line in _lines(PASSWD, 4) if _id(line[2]) == uid), "")


def _digits(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _id(text: str) -> int:
    """A number of decimal digits; -1 for anything else, and for one that is no id."""
    short = text.lstrip("0")[:11]
    return int(short or "0") if _digits(text) and int(short or "0") <= LARGEST_ID else -1


def _number(text: str, what: str) -> int:
    """CVE-2024-40635: a number beyond 2^31 - 1 wraps around to another's, root's for one."""
    number = _id(text)
    if number < 0:
        raise RuntimeFailure(f"{what} id {text[:40]} is not a number from 0 to {LARGEST_ID}", "give another with -u")
    return number


def _lines(path: str, least: int) -> Iterator[list[str]]:
    """The entries of a passwd or group file that have the first `least` fields and a number as their third, filled up to
    seven; nothing if it is no plain file of bearable size.

    It is the image's and may be a fifo or a link to an endless device: CVE-2024-9676.
    """
    content = b""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                return
            while len(content) <= LARGEST_FILE and (part := os.read(file, 65536)):
                content += part
        finally:
            os.close(file)
    except OSError:
        return  # not there, or a link into /proc that gives nothing
    if len(content) > LARGEST_FILE:
        return  # the line that is cut off could mean another user
    for line in content.split(b"\n"):  # not by str.splitlines: a full name may have a form feed in it
        words = line.strip().decode("utf-8", "surrogateescape").split(":")
        if len(words) >= least and _digits(words[2]):
            yield words + [""] * (7 - len(words))


def limit(process: Mapping[str, Any]) -> None:
    """rlimits and oomScoreAdj of runtime-spec's `process`, while the process is still privileged.

    Raises RuntimeFailure; the kernel refuses to raise a hard limit, or to lower the score, without CAP_SYS_RESOURCE.
    """
    for wanted in process.get("rlimits", ()):
        name = wanted["type"].removeprefix("RLIMIT_")
        if name not in RLIMITS:
            raise RuntimeFailure(f"no such rlimit: {wanted['type']}", f"one of {', '.join(RLIMITS)}")
        block = struct.pack("QQ", wanted["soft"] & (1 << 64) - 1, wanted["hard"] & (1 << 64) - 1)
        try:
            sys.call("setrlimit", (name, wanted["soft"], wanted["hard"]), name, sys.libc.setrlimit, RLIMITS[name], block)
        except OSError as error:
            raise RuntimeFailure(
                f"rlimit {name}={wanted['soft']}:{wanted['hard']}: {error.strerror}",
                "raising a hard limit takes CAP_SYS_RESOURCE",
            ) from error
    score = process.get("oomScoreAdj")
    if score is not None:
        try:
            with open("/proc/self/oom_score_adj", "w") as file:
                file.write(str(score))
        except OSError as error:
            raise RuntimeFailure(f"oom_score_adj {score}: {error.strerror}", "lowering it takes CAP_SYS_RESOURCE") from error


def no_new_privileges() -> None:
    """prctl(2), PR_SET_NO_NEW_PRIVS: no execve gives more than there is, setuid and file capabilities included."""
    sys.prctl(PR_SET_NO_NEW_PRIVS, 1)


def become(user: User, process: Mapping[str, Any]) -> None:
    """Give away what `process` does not keep: bounding set, then groups and user, then the other sets.

    The bounding set goes first, while CAP_SETPCAP is there; capabilities are kept across the change of user so that the
    last step can choose among them.  Who is not root has none effective after execve, as with docker.
    """
    sets = process.get("capabilities", {})
    keep = _mask(sets.get("bounding", ()))
    for number, _ in enumerate(CAPABILITIES):
        if not keep >> number & 1 and sys.libc.prctl(PR_CAPBSET_READ, ctypes.c_ulong(number), 0, 0, 0) == 1:
            sys.prctl(PR_CAPBSET_DROP, number)
    if user.uid:
        sys.prctl(PR_SET_KEEPCAPS, 1)
    groups = (ctypes.c_uint * len(user.groups))(*user.groups)
    sys.call("setgroups", user.groups, "setgroups", sys.libc.setgroups, ctypes.c_size_t(len(user.groups)), groups)
    sys.call("setresgid", (user.gid,) * 3, "setresgid", sys.libc.setresgid, *[ctypes.c_uint(user.gid)] * 3)
    sys.call("setresuid", (user.uid,) * 3, "setresuid", sys.libc.setresuid, *[ctypes.c_uint(user.uid)] * 3)
    if user.uid:
        sys.prctl(PR_SET_KEEPCAPS, 0)
    effective, permitted = _mask(sets.get("effective", ())), _mask(sets.get("permitted", ()))
    inheritable, ambient = _mask(sets.get("inheritable", ())), sets.get("ambient", ())
    if user.uid and not ambient:
        effective = permitted = 0
    sys.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    _capset(effective, permitted, inheritable)
    for name in ambient:
        sys.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAPABILITIES.index(name.removeprefix("CAP_")))


def _capset(effective: int, permitted: int, inheritable: int) -> None:
    """capset(2), version 3: three sets of 64 bits, in halves."""
    head = struct.pack("Ii", CAPABILITY_VERSION, 0)
    low, high = 0xFFFFFFFF, 32
    body = struct.pack(
        "6I", effective & low, permitted & low, inheritable & low, effective >> high, permitted >> high, inheritable >> high
    )
    shown = (hex(effective), hex(permitted), hex(inheritable))
    sys.call("capset", shown, "capset", sys.libc.capset, head, body)


def _mask(names: Iterable[str]) -> int:
    mask = 0
    for name in names:
        mask |= 1 << CAPABILITIES.index(name.removeprefix("CAP_"))
    return mask
