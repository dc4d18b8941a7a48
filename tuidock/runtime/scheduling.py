"""How the kernel schedules a process and its input and output, and how it presents itself to it.

sched(7), sched_setattr(2), ioprio_set(2), personality(2); runtime-spec, config.md, `scheduler` and `ioPriority`.
"""

from __future__ import annotations

import ctypes
import os
import struct

from tuidock.errors import RuntimeFailure, UsageError
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_SCHED_SETATTR, _IOPRIO_SET = {"x86_64": (314, 251), "aarch64": (274, 30)}.get(os.uname().machine, (-1, -1))
POLICIES = {
    "SCHED_OTHER": 0, "SCHED_FIFO": 1, "SCHED_RR": 2, "SCHED_BATCH": 3, "SCHED_ISO": 4, "SCHED_IDLE": 5, "SCHED_DEADLINE": 6,
}  # fmt: skip
FLAGS = {
    "SCHED_FLAG_RESET_ON_FORK": 0x01, "SCHED_FLAG_RECLAIM": 0x02, "SCHED_FLAG_DL_OVERRUN": 0x04,
    "SCHED_FLAG_KEEP_POLICY": 0x08, "SCHED_FLAG_KEEP_PARAMS": 0x10, "SCHED_FLAG_UTIL_CLAMP_MIN": 0x20,
    "SCHED_FLAG_UTIL_CLAMP_MAX": 0x40,
}  # fmt: skip
CLASSES = {"IOPRIO_CLASS_RT": 1, "IOPRIO_CLASS_BE": 2, "IOPRIO_CLASS_IDLE": 3}
IOPRIO_WHO_PROCESS, CLASS_SHIFT = 1, 13
DOMAINS = {"LINUX": 0x0000, "LINUX32": 0x0008}
SIZE = 48
"""SCHED_ATTR_SIZE_VER0: without the clamps of utilisation."""


def check(process: Mapping[str, Any]) -> None:
    """Raises UsageError for words that mean nothing."""
    scheduler, io = process.get("scheduler"), process.get("ioPriority")
    if scheduler:
        _known(POLICIES, "scheduler policy", scheduler.get("policy"))
        for flag in scheduler.get("flags") or ():
            _known(FLAGS, "scheduler flag", flag)
        if scheduler["policy"] != "SCHED_DEADLINE" and any(scheduler.get(key) for key in ("runtime", "deadline", "period")):
            raise UsageError("scheduler: runtime, deadline and period are for SCHED_DEADLINE alone", "leave them out")
    if io:
        _known(CLASSES, "ioPriority class", io.get("class"))


def _known(table: Mapping[str, int], what: str, word: object) -> None:
    if word not in table:
        raise UsageError(f"no such {what}: {word}", f"one of {', '.join(table)}")


def apply(process: Mapping[str, Any]) -> None:
    """For this process, while it has the right to.  Raises RuntimeFailure."""
    scheduler, io = process.get("scheduler"), process.get("ioPriority")
    try:
        if scheduler:
            _schedule(scheduler)
        if io:
            value = CLASSES[io["class"]] << CLASS_SHIFT | int(io.get("priority") or 0)
            arguments = (ctypes.c_long(_IOPRIO_SET), IOPRIO_WHO_PROCESS, 0, value)
            sys.call("ioprio_set", (io["class"], io.get("priority")), f"ioPriority {io}", sys.libc.syscall, *arguments)
    except OSError as error:
        raise RuntimeFailure(f"{error.filename}: {error.strerror}", "real-time classes take CAP_SYS_NICE") from error


def _schedule(wanted: Mapping[str, Any]) -> None:
    flags = 0
    for flag in wanted.get("flags") or ():
        flags |= FLAGS[flag]
    numbers = [int(wanted.get(key) or 0) for key in ("nice", "priority", "runtime", "deadline", "period")]
    block = struct.pack("=IIQiIQQQ", SIZE, POLICIES[wanted["policy"]], flags, *numbers)
    arguments = (ctypes.c_long(_SCHED_SETATTR), ctypes.c_int(0), block, ctypes.c_uint(0))
    sys.call("sched_setattr", (wanted["policy"], *numbers), f"scheduler {wanted['policy']}", sys.libc.syscall, *arguments)


def check_personality(wanted: Mapping[str, Any]) -> None:
    """Raises UsageError."""
    _known(DOMAINS, "personality", wanted.get("domain"))
    if wanted.get("flags"):
        raise UsageError(f"personality: no such flags: {wanted['flags']}", "there are none yet")


def personality(wanted: Mapping[str, Any]) -> None:
    """linux.personality: what uname(2) says of the machine, for one."""
    domain = wanted["domain"]
    sys.call("personality", (domain,), f"personality {domain}", sys.libc.personality, ctypes.c_ulong(DOMAINS[domain]))
