"""The filter on a container's system calls: profile to OCI object, OCI object to BPF program, program into the kernel.

The program is made by libseccomp and kept, as the same profile and capabilities always give the same one: `run` reads a
file of some kilobytes and loads neither the library nor the profile.  seccomp(2); runtime-spec, config-linux.md, "Seccomp".
"""

from __future__ import annotations

import ctypes
import os
import struct

from tuidock.errors import Missing, RuntimeFailure, UsageError
from tuidock.runtime import syscalls as sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from typing import Any

_SECCOMP = {"x86_64": 317, "aarch64": 277}.get(os.uname().machine, -1)
SECCOMP_SET_MODE_FILTER = 1
PROFILE_VERSION = 2
"""To be raised with the profile: a kept program of an older one is not used."""

ENOSYS, EPERM = 38, 1
ACTIONS = {
    "SCMP_ACT_KILL": 0x00000000, "SCMP_ACT_KILL_THREAD": 0x00000000, "SCMP_ACT_KILL_PROCESS": 0x80000000,
    "SCMP_ACT_TRAP": 0x00030000, "SCMP_ACT_ERRNO": 0x00050000, "SCMP_ACT_TRACE": 0x7FF00000,
    "SCMP_ACT_LOG": 0x7FFC0000, "SCMP_ACT_ALLOW": 0x7FFF0000,
}  # fmt: skip
OPERATORS = {
    "SCMP_CMP_NE": 1, "SCMP_CMP_LT": 2, "SCMP_CMP_LE": 3, "SCMP_CMP_EQ": 4, "SCMP_CMP_GE": 5, "SCMP_CMP_GT": 6,
    "SCMP_CMP_MASKED_EQ": 7,
}  # fmt: skip
ARCHITECTURES = {
    "x86_64": ("SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"),
    "aarch64": ("SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"),
}
"""The machine's own and those whose calls it takes too: a 32-bit call must not pass by the filter."""

FLAGS = {"SECCOMP_FILTER_FLAG_TSYNC": 1, "SECCOMP_FILTER_FLAG_LOG": 2, "SECCOMP_FILTER_FLAG_SPEC_ALLOW": 4}
"""linux/seccomp.h"""

REFUSALS = ("SCMP_ACT_ERRNO", "SCMP_ACT_KILL", "SCMP_ACT_KILL_THREAD", "SCMP_ACT_KILL_PROCESS", "SCMP_ACT_TRAP")

# linux/bpf_common.h: what an instruction does, put together; seccomp(2): where struct seccomp_data has what
LOAD, JUMP, JUMP_EQUAL, JUMP_ABOVE, JUMP_NOT_BELOW, RETURN = 0x20, 0x05, 0x15, 0x25, 0x35, 0x06
OF_NUMBER, OF_ARCHITECTURE = 0, 4
X86_64, X32, X32_BIT = 0xC000003E, 0x4000003E, 1 << 30
ABSENT, FILTER = -1, -2
"""Jumps to what says ENOSYS, and to the filter itself."""


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp"""

    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def default(capabilities: Sequence[str]) -> dict[str, Any]:
    """The default profile as runtime-spec's `linux.seccomp`, for a container with these capabilities."""
    from tuidock.runtime import seccomp_profile as profile

    machine = os.uname().machine
    names = " ".join(profile.ALWAYS.values()).split()
    names += profile.SINCE_4_8.split()
    names += (profile.ON_X86 if machine == "x86_64" else profile.ON_ARM).split()
    for capability, more in profile.WITH_CAPABILITY.items():
        if capability in capabilities:
            names += more.split()
    calls: list[dict[str, Any]] = [_allow(dict.fromkeys(names))]
    for value in profile.PERSONALITIES:
        calls.append(_allow(["personality"], index=0, value=value, op="SCMP_CMP_EQ"))
    lowest = profile.FAMILIES_REFUSED[0]
    calls.append(_allow(["socket"], index=0, value=lowest, op="SCMP_CMP_LT"))
    for family in range(lowest, profile.LAST_FAMILY + 1):
        if family not in profile.FAMILIES_REFUSED:
            calls.append(_allow(["socket"], index=0, value=family, op="SCMP_CMP_EQ"))
    if "CAP_SYS_ADMIN" not in capabilities:
        flags = {"value": profile.NAMESPACE_FLAGS, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}
        calls.append(_allow(["clone"], index=0, **flags))
        calls.append({"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS})
    return {
        "defaultAction": "SCMP_ACT_ERRNO",
        "defaultErrnoRet": EPERM,
        "architectures": list(ARCHITECTURES.get(machine, ())),
        "syscalls": calls,
    }


def _allow(names: Any, **argument: Any) -> dict[str, Any]:
    return {"names": list(names), "action": "SCMP_ACT_ALLOW", **({"args": [argument]} if argument else {})}


def from_json(text: str, capabilities: Sequence[str]) -> dict[str, Any]:
    """A profile as docker's --security-opt seccomp=FILE takes it, as runtime-spec's object: `archMap`, `includes` and
    `excludes` are resolved for this machine.  Raises ValueError, TypeError, AttributeError and KeyError for other shapes.
    """
    from json import loads

    wanted = dict(loads(text))
    machine = os.uname().machine
    own = {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    calls = []
    for rule in wanted.get("syscalls") or ():
        includes, excludes = rule.get("includes") or {}, rule.get("excludes") or {}
        if any(name not in capabilities for name in includes.get("caps") or ()):
            continue
        if any(name in capabilities for name in excludes.get("caps") or ()):
            continue
        if own not in (includes.get("arches") or (own,)) or own in (excludes.get("arches") or ()):
            continue
        if includes.get("minKernel") and not _kernel_is(includes["minKernel"]):
            continue
        if excludes.get("minKernel") and _kernel_is(excludes["minKernel"]):
            continue
        names = rule.get("names") or ([rule["name"]] if "name" in rule else [])
        calls.append({**rule, "names": names})
    for entry in wanted.get("archMap") or ():
        if entry.get("architecture") == ARCHITECTURES.get(machine, ("",))[0]:
            wanted["architectures"] = [entry["architecture"], *(entry.get("subArchitectures") or ())]
    return {**wanted, "syscalls": calls}


def _kernel_is(least: str) -> bool:
    """Whether this kernel is of that release (`4.8`) or newer."""
    release = os.uname().release.split("-")[0].split("+")[0].split(".")
    return [int(part) for part in release[:2]] >= [int(part) for part in least.split(".")[:2]]


def _library() -> ctypes.CDLL:
    try:
        library = ctypes.CDLL("libseccomp.so.2")
    except OSError as error:
        raise Missing(
            "libseccomp.so.2 is not on this machine, so no seccomp filter can be made",
            "install it (Debian, Ubuntu: libseccomp2), or run without: --security-opt seccomp=unconfined",
        ) from error
    library.seccomp_init.restype = ctypes.c_void_p
    library.seccomp_init.argtypes = (ctypes.c_uint32,)
    library.seccomp_release.argtypes = (ctypes.c_void_p,)
    library.seccomp_arch_resolve_name.argtypes = (ctypes.c_char_p,)
    library.seccomp_arch_resolve_name.restype = ctypes.c_uint32
    library.seccomp_arch_native.restype = ctypes.c_uint32
    library.seccomp_syscall_resolve_name_arch.argtypes = (ctypes.c_uint32, ctypes.c_char_p)
    library.seccomp_arch_add.argtypes = (ctypes.c_void_p, ctypes.c_uint32)
    library.seccomp_attr_set.argtypes = (ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32)
    library.seccomp_export_bpf.argtypes = (ctypes.c_void_p, ctypes.c_int)
    library.seccomp_rule_add_array.argtypes = (
        ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison),
    )  # fmt: skip
    return library


def compile(profile: Mapping[str, Any]) -> bytes:
    """runtime-spec's `linux.seccomp` to the bytes of a BPF program (struct sock_filter, 8 bytes each).

    Names that this libseccomp does not know are left out, as runc does: an older one has never heard of newer calls.
    Raises Missing without libseccomp, UsageError for what the profile says wrong.
    """
    library = _library()
    errno_default = _errno(profile.get("defaultErrnoRet"))
    default_action = _action(str(profile["defaultAction"]), errno_default)
    context = library.seccomp_init(default_action)
    if not context:
        raise UsageError(f"seccomp: no such default action: {profile['defaultAction']}", "SCMP_ACT_ERRNO and its kin")
    try:
        library.seccomp_attr_set(context, 3, 0)  # SCMP_FLTATR_CTL_NNP: who loads it decides
        library.seccomp_attr_set(context, 8, 2)  # SCMP_FLTATR_CTL_OPTIMIZE: a binary tree, 9 steps instead of 300
        tokens = [library.seccomp_arch_native()]
        for name in profile.get("architectures") or ():
            token = library.seccomp_arch_resolve_name(name.removeprefix("SCMP_ARCH_").lower().encode())
            if token == 0:
                raise UsageError(f"seccomp: no such architecture: {name}", "SCMP_ARCH_X86_64 and its kin")
            if token not in tokens:
                library.seccomp_arch_add(context, token)
                tokens.append(token)
        for rule in profile.get("syscalls") or ():
            _add(library, context, rule, default_action)
        refuses = profile["defaultAction"] in REFUSALS and errno_default != ENOSYS
        names = {name for rule in profile.get("syscalls") or () for name in rule["names"]}
        return (_unheard_of(library, tokens, names) if refuses else b"") + _export(library, context)
    finally:
        library.seccomp_release(context)


def _unheard_of(library: ctypes.CDLL, tokens: Sequence[int], names: Iterable[str]) -> bytes:
    """Instructions that go before a filter: calls newer than all that the profile names do not exist (ENOSYS).

    EPERM would not tell a program to try the older call: a C library that is newer than this libseccomp asks for
    fchmodat2, say, and believes a refusal.  runc does the same (patchbpf).
    """
    last: dict[int, int] = {}
    for token in tokens:
        newest = max((library.seccomp_syscall_resolve_name_arch(token, name.encode()) for name in names), default=-1)
        if newest >= 0:
            last[token] = newest
    code = [(LOAD, 0, 0, OF_ARCHITECTURE)]
    for token, newest in last.items():
        block = [(LOAD, 0, 0, OF_NUMBER), (JUMP_ABOVE, ABSENT, FILTER, newest)]
        if token == X86_64:  # x32 is told from it by a bit of the number alone
            block.insert(1, (JUMP_NOT_BELOW, 1, 0, X32_BIT))
            block.append((JUMP_ABOVE, ABSENT, FILTER, last.get(X32, 0xFFFFFFFF)))
        if token != X32:
            code += [(JUMP_EQUAL, 0, len(block), token), *block]
    code += [(JUMP, 0, 0, 1), (RETURN, 0, 0, ACTIONS["SCMP_ACT_ERRNO"] | ENOSYS)]
    labels = {ABSENT: len(code) - 1, FILTER: len(code)}
    program = b""
    for place, (operation, yes, no, value) in enumerate(code):
        yes, no = (labels[to] - place - 1 if to in labels else to for to in (yes, no))
        program += struct.pack("=HBBI", operation, yes, no, value)
    return program


def _add(library: ctypes.CDLL, context: int, rule: Mapping[str, Any], default_action: int) -> None:
    action = _action(rule["action"], _errno(rule.get("errnoRet")))
    if action == default_action:
        return  # libseccomp refuses rules that change nothing
    arguments = rule.get("args") or ()
    for name in rule["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:  # __NR_SCMP_ERROR
            continue
        indices = [argument["index"] for argument in arguments]
        groups = [arguments] if len(set(indices)) == len(indices) else [[argument] for argument in arguments]
        for group in groups:  # several tests of one argument are alternatives, as in runc
            tests = (_Comparison * max(1, len(group)))(*(_comparison(argument) for argument in group))
            failed = library.seccomp_rule_add_array(context, action, number, len(group), tests)
            if failed not in (0, -17):  # EEXIST: it is said twice
                raise UsageError(f"seccomp: the rule for {name} cannot be used: {os.strerror(-failed)}", "see libseccomp(3)")


def _comparison(argument: Mapping[str, Any]) -> _Comparison:
    operator = OPERATORS.get(argument["op"])
    if operator is None:
        raise UsageError(f"seccomp: no such operator: {argument['op']}", "SCMP_CMP_EQ and its kin")
    return _Comparison(argument["index"], operator, int(argument["value"]), int(argument.get("valueTwo", 0)))


def _action(name: str, errno: int) -> int:
    if name not in ACTIONS:
        raise UsageError(f"seccomp: no such action: {name}", f"one of {', '.join(ACTIONS)}")
    return ACTIONS[name] | (errno & 0xFFFF if name in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE") else 0)


def _errno(value: object) -> int:
    return EPERM if value is None else int(str(value))


def _export(library: ctypes.CDLL, context: int) -> bytes:
    memory = os.memfd_create("seccomp", os.MFD_CLOEXEC)
    try:
        failed = library.seccomp_export_bpf(context, memory)
        if failed:
            raise RuntimeFailure(f"libseccomp cannot make the filter: {os.strerror(-failed)}")
        return os.pread(memory, os.fstat(memory).st_size, 0)
    finally:
        os.close(memory)


def cached(profile: str, capabilities: Sequence[str], folder: str) -> str:
    """The path of the compiled filter, made if it is not there.

    profile: a file as docker takes it, or empty for the default.  capabilities: of the container.  folder: where they
    are kept, by what they depend on.
    """
    from _blake2 import blake2b

    parts = [str(PROFILE_VERSION), os.uname().machine, os.uname().release, _library_stamp(), *sorted(capabilities)]
    text = ""
    if profile:
        try:
            with open(profile, encoding="utf-8") as file:
                text = file.read()
        except (OSError, ValueError) as error:
            raise UsageError(f"opening seccomp profile ({profile}) failed: {error}", "name a file of this machine") from error
        parts.append(text)
    key = blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()
    path = f"{folder}/{key}.bpf"
    if not os.path.exists(path):
        try:
            program = compile(from_json(text, capabilities) if profile else default(capabilities))
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise UsageError(
                f"decoding seccomp profile ({profile}) failed: {type(error).__name__}: {error}",
                "a JSON object with defaultAction and syscalls, as docker takes it",
            ) from error
        temporary = f"{path}.{os.getpid()}.{os.urandom(4).hex()}"
        with open(temporary, "wb") as made:
            made.write(program)
            made.flush()
            os.fsync(made.fileno())  # a power cut must not leave an empty one under the name
        os.rename(temporary, path)
    return path


def _library_stamp() -> str:
    """Which libseccomp made it: a newer one knows more calls."""
    for folder in ("/usr/lib/x86_64-linux-gnu", "/usr/lib/aarch64-linux-gnu", "/usr/lib64", "/usr/lib", "/lib"):
        try:
            return os.path.realpath(f"{folder}/libseccomp.so.2", strict=True)
        except OSError:
            continue
    return ""


def flags(profile: Mapping[str, Any]) -> int:
    """The flags that a profile wants it to be loaded with.  Raises UsageError for one that is none."""
    found = 0
    for name in profile.get("flags") or ():
        if name not in FLAGS:
            raise UsageError(f"seccomp: no such flag: {name}", f"one of {', '.join(FLAGS)}")
        found |= FLAGS[name]
    return found


def load(program: bytes, flags: int = 0) -> None:
    """seccomp(2), SECCOMP_SET_MODE_FILTER: from here on this process and all that come from it are judged by it.

    Needs CAP_SYS_ADMIN or no_new_privs.
    """
    text = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        """struct sock_fprog"""

        _fields_ = [("len", ctypes.c_ushort), ("filter", ctypes.c_void_p)]

    head = Program(len(program) // 8, ctypes.addressof(text))
    arguments = (ctypes.c_long(_SECCOMP), ctypes.c_uint(SECCOMP_SET_MODE_FILTER), ctypes.c_uint(flags), ctypes.byref(head))
    shown = ("SECCOMP_SET_MODE_FILTER", f"{len(program) // 8} instructions")
    sys.call("seccomp", shown, "seccomp", sys.libc.syscall, *arguments)
