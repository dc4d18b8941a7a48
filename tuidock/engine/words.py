"""What the words of some of run's options mean: --ulimit, --sysctl, --device, --add-host, --dns, --pid and their kin.

Text to runtime-spec or to lines of /etc, with docker's refusals.  Pure but for `devices`, which looks at the host's.
"""

from __future__ import annotations

import _socket
import os
import stat

from tuidock.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from tuidock.engine.requests import RunRequest

ULIMITS = (
    "core", "cpu", "data", "fsize", "locks", "memlock", "msgqueue", "nice", "nofile", "nproc", "rss", "rtprio", "rttime",
    "sigpending", "stack",
)  # fmt: skip
IPC_SYSCTLS = (
    "kernel.msgmax", "kernel.msgmnb", "kernel.msgmni", "kernel.sem", "kernel.shmall", "kernel.shmmax", "kernel.shmmni",
    "kernel.shm_rmid_forced",
)  # fmt: skip
KEY_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/")
HOSTS_GATEWAY = "host-gateway"


def ulimit(text: str) -> tuple[str, int, int]:
    """NAME=SOFT[:HARD] to name, soft and hard; -1 is no limit."""
    name, sign, values = text.partition("=")
    if not sign:
        raise UsageError(f"invalid ulimit argument: {text}", "nofile=1024:2048")
    if name not in ULIMITS:
        raise UsageError(f"invalid ulimit type: {name}", f"one of {', '.join(ULIMITS)}")
    numbers = values.split(":")
    if len(numbers) > 2:
        raise UsageError(
            f"too many limit value arguments - {values}, can only have up to two, `soft[:hard]`", f"{name}={numbers[0]}"
        )
    try:
        soft, hard = int(numbers[0]), int(numbers[-1])
    except ValueError:
        raise UsageError(f"invalid ulimit argument: {text}", "the limits are numbers; -1 is none") from None
    if hard >= 0 and (soft > hard or soft < 0):
        raise UsageError(f"ulimit soft limit must be less than or equal to hard limit: {soft} > {hard}", f"{name}={hard}")
    return name, soft, hard


def sysctl(text: str) -> tuple[str, str]:
    """KEY=VALUE, of those that belong to a namespace of the container.  CVE-2022-0811: nothing but key and value."""
    key, sign, value = text.partition("=")
    allowed = key in IPC_SYSCTLS or key.startswith(("net.", "fs.mqueue."))
    if not (sign and allowed and KEY_CHARACTERS.issuperset(key) and value.isprintable()) or ".." in key.replace("/", "."):
        raise UsageError(f"sysctl '{text}' is not allowed", "net.*, fs.mqueue.* and the parameters of ipc are")
    return key, value


def host(text: str) -> tuple[str, str]:
    """NAME:IP or NAME=IP."""
    name, sign, address = text.partition("=") if "=" in text else text.partition(":")
    if not (name and sign and address) or any(letter.isspace() for letter in text):
        raise UsageError(f'bad format for add-host: "{text}"', "NAME:IP")
    address = address.removeprefix("[").removesuffix("]")
    if address == HOSTS_GATEWAY:
        raise UsageError(f"{HOSTS_GATEWAY} is not there yet", "give the address itself")
    if not _is_address(address):
        raise UsageError(f'invalid IP address in add-host: "{address}"', "NAME:IP")
    return name, address


def server(text: str) -> str:
    """An address for --dns."""
    if not _is_address(text):
        raise UsageError(f"IP address is not correctly formatted: {text}", "--dns 192.0.2.1")
    return text


def _is_address(text: str) -> bool:
    for family in (_socket.AF_INET, _socket.AF_INET6):
        try:
            _socket.inet_pton(family, text)
        except OSError:
            continue
        return True
    return False


def device_rule(text: str) -> dict[str, Any]:
    """`c 1:3 rwm` to an entry of runtime-spec's `linux.resources.devices`."""
    kind, _, rest = text.partition(" ")
    numbers, _, access = rest.partition(" ")
    major, colon, minor = numbers.partition(":")
    fine = all(number == "*" or number.isdecimal() for number in (major, minor))
    if kind not in ("a", "b", "c") or not colon or not fine or not access or not set(access) <= set("rwm"):
        raise UsageError(f"invalid device cgroup format '{text}'", "'c 1:3 rwm'")
    numbered = {name: int(number) for name, number in (("major", major), ("minor", minor)) if number != "*"}
    return {"allow": True, "type": kind, "access": access, **numbered}


def device(text: str) -> tuple[str, str, str]:
    """OUTSIDE[:INSIDE][:rwm]."""
    parts = text.split(":")
    access = "rwm"
    if len(parts) > 1 and _is_access(parts[-1]):
        access = parts.pop()
    elif len(parts) == 3:
        raise UsageError(f"bad mode specified: {parts[-1]}", "letters of rwm")
    elif len(parts) == 2 and not parts[1].startswith("/"):
        raise UsageError(f"bad mode specified: {parts[-1]}", "letters of rwm, or a path inside")
    if len(parts) > 2 or not parts[0].startswith("/"):
        raise UsageError(f"invalid device specification: {text}", "/dev/OUTSIDE[:/dev/INSIDE][:rwm]")
    return parts[0], parts[-1], access


def _is_access(word: str) -> bool:
    return bool(word) and set(word) <= set("rwm") and len(set(word)) == len(word)


def devices(words: Iterable[str]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Entries of `linux.devices`, and the rules that let them be used; of a folder, all below it."""
    nodes: list[dict[str, Any]] = []
    rules: list[dict[str, Any]] = []
    for word in words:
        outside, inside, access = device(word)
        found = _nodes(outside, inside)
        if not found:
            raise UsageError(
                f'error gathering device information while adding custom device "{outside}": not a device node', "ls -l /dev"
            )
        nodes += found
        rules += [
            {"allow": True, "type": node["type"], "major": node["major"], "minor": node["minor"], "access": access}
            for node in found
        ]
    return nodes, rules


def _nodes(outside: str, inside: str) -> list[dict[str, Any]]:
    try:
        status = os.stat(outside)
        if stat.S_ISDIR(status.st_mode):
            return [node for name in sorted(os.listdir(outside)) for node in _nodes(f"{outside}/{name}", f"{inside}/{name}")]
    except OSError as error:
        reason = (error.strerror or "").lower()
        raise UsageError(
            f'error gathering device information while adding custom device "{outside}": {reason}', "ls -l /dev"
        ) from error
    kind = "c" if stat.S_ISCHR(status.st_mode) else "b" if stat.S_ISBLK(status.st_mode) else ""
    if not kind:
        return []
    return [
        {
            "path": inside, "type": kind, "major": os.major(status.st_rdev), "minor": os.minor(status.st_rdev),
            "fileMode": stat.S_IMODE(status.st_mode), "uid": status.st_uid, "gid": status.st_gid,
        }
    ]  # fmt: skip


def check(request: RunRequest) -> None:
    """Raises UsageError for what contradicts itself or makes no sense."""
    if request.pid not in ("", "host") and not request.pid.startswith("container:"):
        raise UsageError("--pid: invalid PID mode", "host or container:NAME")
    if request.uts not in ("", "host"):
        raise UsageError("--uts: invalid UTS mode", "host")
    if request.cgroupns not in ("", "host", "private"):
        raise UsageError("--cgroupns: invalid CGROUP mode", "host or private")
    if request.ipc.startswith("container:"):
        raise UsageError("--ipc container: is not there yet", "none, private, shareable and host are")
    if request.ipc not in ("", "none", "private", "shareable", "host"):
        raise UsageError(f"Invalid IPC mode: {request.ipc}", "none, private, shareable or host")
    if request.uts == "host" and (request.hostname or request.domainname):
        raise UsageError("conflicting options: hostname and the UTS mode", "-h goes with a name of its own")
    if not -1000 <= request.oom_score_adj <= 1000:
        raise UsageError(f"Invalid value {request.oom_score_adj}, range for oom score adj is [-1000, 1000]")
    for text in request.sysctls:
        key, _ = sysctl(text)
        if key.startswith("net.") and request.network == "host":
            raise UsageError(f'sysctl "{key}" not allowed in host network namespace', "it would be the host's own")
        if not key.startswith("net.") and request.ipc == "host":
            raise UsageError(f'sysctl "{key}" is not allowed in the hosts ipc namespace', "it would be the host's own")
    for reader, words in (
        (ulimit, request.ulimits), (host, request.extra_hosts), (server, request.dns), (device_rule, request.device_rules),
    ):  # fmt: skip
        for text in words:
            reader(text)
    devices(request.devices)


def limits(request: RunRequest) -> dict[str, Any]:
    """What --ulimit and --oom-score-adj add to runtime-spec's `process`."""
    found: dict[str, Any] = {
        "rlimits": [
            {"type": f"RLIMIT_{name.upper()}", "soft": soft & (1 << 64) - 1, "hard": hard & (1 << 64) - 1}
            for name, soft, hard in map(ulimit, request.ulimits)
        ]
    }
    return {**found, "oomScoreAdj": request.oom_score_adj} if request.oom_score_adj else found


def hosts(words: Iterable[str]) -> str:
    """Lines of /etc/hosts."""
    return "".join(f"{address}\t{name}\n" for name, address in map(host, words))


def resolv_conf(text: str, kept: Mapping[str, Any]) -> str:
    """/etc/resolv.conf with what --dns, --dns-search and --dns-option say in the place of the host's.

    kept: a RunRequest's fields.  A search domain of `.` is none.
    """
    lines = [line.split() for line in text.splitlines()]
    servers = list(kept["dns"]) or [line[1] for line in lines if line[:1] == ["nameserver"] and len(line) > 1]
    search = list(kept["dns_search"]) or next((line[1:] for line in reversed(lines) if line[:1] == ["search"]), [])
    options = list(kept["dns_options"]) or [word for line in lines if line[:1] == ["options"] for word in line[1:]]
    made = [f"search {' '.join(search)}"] if search and search != ["."] else []
    made += [f"nameserver {word}" for word in servers]
    made += [f"options {' '.join(options)}"] if options else []
    return "\n".join(made) + "\n"
