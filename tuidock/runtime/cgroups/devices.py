"""Which devices a container may use, on v2: a program that the kernel asks at each open and mknod.

bpf(2), BPF_PROG_TYPE_CGROUP_DEVICE; kernel: admin-guide/cgroup-v2, "Device controller".  The rules are those of
runtime-spec's `linux.resources.devices`: the last one that fits decides, and no rule means no.
"""

from __future__ import annotations

import ctypes
import os
import struct

from tuidock.errors import TuidockError
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

_BPF = {"x86_64": 321, "aarch64": 280}.get(os.uname().machine, -1)
BPF_PROG_LOAD, BPF_PROG_ATTACH = 5, 8
BPF_PROG_TYPE_CGROUP_DEVICE, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI = 15, 6, 2
ACCESS = {"m": 1, "r": 2, "w": 4}  # BPF_DEVCG_ACC_*
KINDS = {"b": 1, "c": 2, "u": 2}  # BPF_DEVCG_DEV_*

# linux/bpf_common.h: what an instruction does, put together
LOAD, MOVE, MOVE_IMMEDIATE, AND, SHIFT_RIGHT = 0x61, 0xBC, 0xB7, 0x54, 0x74
JUMP_IF, JUMP_IF_NOT, JUMP_IF_NOT_REGISTER, EXIT = 0x15, 0x55, 0x5D, 0x95
JUMPS = (JUMP_IF, JUMP_IF_NOT, JUMP_IF_NOT_REGISTER)
KIND, WANTED, MAJOR, MINOR, SPARE = 2, 3, 4, 5, 1


def instruction(code: int, target: int = 0, source: int = 0, offset: int = 0, immediate: int = 0) -> bytes:
    return struct.pack("<BBhi", code, source << 4 | target, offset, immediate)


def program(rules: Sequence[Mapping[str, Any]]) -> bytes:
    """The rules as eBPF.  Pure.  Asked is struct bpf_cgroup_dev_ctx: access_type (access << 16 | kind), major, minor."""
    code = [
        instruction(LOAD, KIND, 1, 0),
        instruction(AND, KIND, immediate=0xFFFF),
        instruction(LOAD, WANTED, 1, 0),
        instruction(SHIFT_RIGHT, WANTED, immediate=16),
        instruction(LOAD, MAJOR, 1, 4),
        instruction(LOAD, MINOR, 1, 8),
    ]
    for rule in reversed(rules):
        tests = _tests(rule)
        verdict = [
            instruction(MOVE_IMMEDIATE, 0, immediate=int(bool(rule["allow"]))),
            instruction(EXIT),
        ]
        for place, test in enumerate(tests):
            left = len(tests) - place - 1 + len(verdict)
            code.append(test[:2] + struct.pack("<h", left) + test[4:] if test[0] in JUMPS else test)
        code += verdict
        if not tests:
            return b"".join(code)  # it fits everything: what lies below it is never asked, and would not be loaded
    code += [instruction(MOVE_IMMEDIATE, 0), instruction(EXIT)]
    return b"".join(code)


def _tests(rule: Mapping[str, Any]) -> list[bytes]:
    """Instructions that jump on, past the verdict, where the rule does not fit; the way is filled in by `program`."""
    tests = []
    kind, access = rule.get("type", "a"), rule.get("access") or "rwm"
    if kind != "a":
        if kind not in KINDS:
            raise TuidockError(f"device rule: no such type: {kind}", "a, b or c")
        tests.append(instruction(JUMP_IF_NOT, KIND, immediate=KINDS[kind]))
    mask = 0
    for letter in access:
        if letter not in ACCESS:
            raise TuidockError(f"device rule: no such access: {access}", "letters of rwm")
        mask |= ACCESS[letter]
    if mask != 7:  # allowed is what asks for nothing else; refused, what asks for any of it
        tests += [
            instruction(MOVE, SPARE, WANTED),
            instruction(AND, SPARE, immediate=mask),
            instruction(JUMP_IF_NOT_REGISTER, SPARE, WANTED) if rule["allow"] else instruction(JUMP_IF, SPARE, immediate=0),
        ]
    for register, name in ((MAJOR, "major"), (MINOR, "minor")):
        if rule.get(name) is not None and rule[name] >= 0:  # 12 and 20 bits, so no number is taken for a negative one
            tests.append(instruction(JUMP_IF_NOT, register, immediate=rule[name]))
    return tests


def attach(folder: str, rules: Sequence[Mapping[str, Any]]) -> None:
    """Load the program and attach it to a cgroup; it goes with the cgroup.  Raises TuidockError."""
    code = program(rules)
    text, license_ = ctypes.create_string_buffer(code, len(code)), ctypes.create_string_buffer(b"Apache-2.0")
    load = struct.pack(
        "<IIQQIIQII16s", BPF_PROG_TYPE_CGROUP_DEVICE, len(code) // 8, ctypes.addressof(text), ctypes.addressof(license_),
        0, 0, 0, 0, 0, b"tuidock_devices",
    )  # fmt: skip
    cgroup = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        loaded = _bpf(BPF_PROG_LOAD, load)
        try:
            _bpf(BPF_PROG_ATTACH, struct.pack("<IIII", cgroup, loaded, BPF_CGROUP_DEVICE, BPF_F_ALLOW_MULTI))
        finally:
            os.close(loaded)
    except OSError as error:
        raise TuidockError(
            f"the device rules of {folder} cannot be loaded: bpf: {error.strerror}",
            "the kernel needs CONFIG_CGROUP_BPF; --privileged does without the rules",
        ) from error
    finally:
        os.close(cgroup)


def _bpf(command: int, attributes: bytes) -> int:
    arguments = (ctypes.c_long(_BPF), ctypes.c_int(command), attributes, ctypes.c_long(len(attributes)))
    return sys.call("bpf", (command,), "bpf", sys.libc.syscall, *arguments)
