"""The filter, asked by calls: a child takes it on, makes one call, and says what the kernel answered."""

from __future__ import annotations

import ctypes
import errno
import json
import os
import struct

import pytest

from tests.engine.running import execute, run, running
from tuidock.errors import TuidockError, UsageError
from tuidock.runtime import identity, seccomp

DEFAULT = [f"CAP_{name}" for name in identity.DEFAULT]
CALLS = {
    "socket": 41, "clone": 56, "ptrace": 101, "personality": 135, "mount": 165, "reboot": 169, "unshare": 272, "keyctl": 250,
    "perf_event_open": 298, "open_by_handle_at": 304, "setns": 308, "bpf": 321, "userfaultfd": 323, "clone3": 435,
    "io_uring_setup": 425, "open_tree": 428, "getpid": 39, "chroot": 161,
}  # fmt: skip
"""x86_64's numbers, asm/unistd_64.h"""
NEWUSER, NEWNS, AF_ALG, AF_VSOCK, SOCK_STREAM = 0x10000000, 0x00020000, 38, 40, 1

pytestmark = pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers of calls are those of x86_64")


def ask(program: bytes, number: int, *arguments: int) -> str:
    """What the kernel says to one call of a process under that filter: `ok`, an error's name, or `signal N`."""
    libc = ctypes.CDLL(None, use_errno=True)
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            identity.no_new_privileges()
            seccomp.load(program)
            words = [ctypes.c_long(word) for word in (number, *arguments, *[0] * (6 - len(arguments)))]
            result = libc.syscall(*words)
            if result == 0 and number == CALLS["clone"]:
                os._exit(0)  # the child's child
            error = ctypes.get_errno() if result == -1 else 0
            os.write(start, (errno.errorcode.get(error, str(error)) if error else "ok").encode())
        finally:
            os._exit(0)
    os.close(start)
    _, status = os.waitpid(child, 0)
    with os.fdopen(end, "rb") as pipe:
        said = pipe.read().decode()
    return said or f"signal {os.WTERMSIG(status)}"


@pytest.fixture(scope="module")
def default():
    return seccomp.compile(seccomp.default(DEFAULT))


@pytest.fixture(scope="module")
def admin():
    return seccomp.compile(seccomp.default([*DEFAULT, "CAP_SYS_ADMIN"]))


@pytest.mark.parametrize(
    ("name", "arguments", "answer"),
    [
        ("getpid", (), "ok"),
        ("chroot", (), "EFAULT"),  # let through, as CAP_SYS_CHROOT is among docker's fourteen
        ("clone3", (0, 0), "ENOSYS"),
        ("clone", (NEWUSER | 17,), "EPERM"),
        ("clone", (NEWNS | 17,), "EPERM"),
        ("clone", (17,), "ok"),
        ("unshare", (NEWUSER,), "EPERM"),
        ("setns", (-1, 0), "EPERM"),
        ("mount", (), "EPERM"),
        ("open_tree", (-1, 0, 0), "EPERM"),
        ("reboot", (), "EPERM"),
        ("keyctl", (0, -3, 0), "EPERM"),
        ("bpf", (), "EPERM"),
        ("perf_event_open", (), "EPERM"),
        ("open_by_handle_at", (-1, 0, 0), "EPERM"),
        ("userfaultfd", (0,), "EPERM"),
        ("io_uring_setup", (0, 0), "EPERM"),
        ("ptrace", (16, 0, 0), "ESRCH"),  # PTRACE_ATTACH of no process: let through
        ("personality", (0xFFFFFFFF,), "ok"),
        ("personality", (0x20008,), "ok"),
        ("personality", (0x0040000,), "EPERM"),  # ADDR_NO_RANDOMIZE
        ("socket", (2, SOCK_STREAM, 0), "ok"),
        ("socket", (16, 3, 0), "ok"),  # netlink, what `ip` needs
        ("socket", (AF_ALG, 5, 0), "EPERM"),
        ("socket", (AF_VSOCK, SOCK_STREAM, 0), "EPERM"),
        ("socket", (12, SOCK_STREAM, 0), "EPERM"),
        ("socket", (46, SOCK_STREAM, 0), "EPERM"),
        ("socket", (AF_ALG | 1 << 32, 5, 0), "EPERM"),  # the kernel reads the lower half only
    ],
)
def test_the_default_filter(default, name, arguments, answer):
    assert ask(default, CALLS[name], *arguments) == answer


@pytest.mark.parametrize(
    ("name", "arguments", "refused"), [("clone3", (0, 0), "ENOSYS"), ("mount", (), "EPERM"), ("bpf", (-1,), "EPERM")]
)
def test_a_capability_opens_the_calls_that_are_its_own(admin, default, name, arguments, refused):
    """The kernel then sees the call, and finds its arguments wrong."""
    assert ask(default, CALLS[name], *arguments) == refused
    assert ask(admin, CALLS[name], *arguments) in ("EINVAL", "EFAULT")


def test_a_call_newer_than_the_profile_does_not_exist(default):
    """Refused, it would end a program whose C library has an older way (fchmodat2 of glibc 2.39 under libseccomp 2.5)."""
    assert ask(default, 9999) == "ENOSYS"
    assert ask(default, CALLS["keyctl"]) == "EPERM"


def test_x32_calls_pass_the_same_filter(default):
    """With the bit of x32 in the number; a kernel without x32 has none of them, but a refused one never gets that far."""
    assert ask(default, (1 << 30) | CALLS["mount"]) == "EPERM"
    assert ask(default, (1 << 30) | 9999) == "ENOSYS"


I386 = bytes.fromhex("b8{:08x}".format(struct.unpack("<I", struct.pack(">I", 21))[0]) + "cd80c3")
"""mov $21 (mount of i386), %eax; int $0x80; ret"""


def test_32_bit_calls_pass_the_same_filter(default):
    """int 0x80 out of a 64-bit process: number 21 is mount there, and access in 64 bits."""
    import mmap

    page = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(I386)
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    end, start = os.pipe()
    child = os.fork()
    if child == 0:
        identity.no_new_privileges()
        seccomp.load(default)
        os.write(start, str(call()).encode())
        os._exit(0)
    os.close(start)
    os.waitpid(child, 0)
    with os.fdopen(end) as pipe:
        said = pipe.read()
    if said in ("", str(-errno.ENOSYS)):
        pytest.skip("this kernel has no 32-bit calls")
    assert int(said) == -errno.EPERM


def test_the_table_has_a_name_once_and_libseccomp_knows_it(default):
    from tuidock.runtime import seccomp_profile

    names = " ".join(seccomp_profile.ALWAYS.values()).split()
    assert len(names) == len(set(names))
    library = seccomp._library()
    numbers = {name: library.seccomp_syscall_resolve_name(name.encode()) for name in names}
    newer = {
        "cachestat", "fchmodat2", "futex_requeue", "futex_wait", "futex_wake", "getxattrat", "listmount", "listxattrat",
        "map_shadow_stack", "mseal", "removexattrat", "riscv_hwprobe", "setxattrat", "statmount", "uretprobe",
    }  # fmt: skip
    assert {name for name, number in numbers.items() if number == -1} <= newer


# ------------------------------------------------------------------------------------------- profiles as docker takes them


def rule(*names, action="SCMP_ACT_ALLOW", **more):
    return {"names": list(names), "action": action, **more}


def resolved(*rules, capabilities=(), **more):
    text = json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": list(rules), **more})
    return [name for one in seccomp.from_json(text, capabilities)["syscalls"] for name in one["names"]]


def test_conditions_of_a_profile():
    assert resolved(rule("a", includes={"caps": ["CAP_X"]}), rule("b", excludes={"caps": ["CAP_X"]})) == ["b"]
    assert resolved(
        rule("a", includes={"caps": ["CAP_X"]}), rule("b", excludes={"caps": ["CAP_X"]}), capabilities=["CAP_X"]
    ) == ["a"]
    assert resolved(rule("a", includes={"arches": ["amd64"]}), rule("b", includes={"arches": ["s390x", "x86"]})) == ["a"]
    assert resolved(rule("a", excludes={"arches": ["amd64"]}), rule("b", excludes={"arches": ["arm"]})) == ["b"]
    assert resolved(rule("a", includes={"minKernel": "4.8"}), rule("b", includes={"minKernel": "99.0"})) == ["a"]
    assert resolved(rule("a", excludes={"minKernel": "4.8"}), rule("b", excludes={"minKernel": "99.0"})) == ["b"]
    assert resolved({"name": "old", "action": "SCMP_ACT_ALLOW"}) == ["old"]


def test_a_profile_of_ones_own(tmp_path):
    profile = tmp_path / "profile.json"
    profile.write_text(
        json.dumps({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule("chroot", action="SCMP_ACT_ERRNO", errnoRet=72)]})
    )
    with open(seccomp.cached(str(profile), [], str(tmp_path)), "rb") as file:
        program = file.read()
    assert ask(program, CALLS["chroot"]) == "EMULTIHOP"
    assert ask(program, 9999) == "ENOSYS", "the kernel's own answer"
    assert ask(program, CALLS["getpid"]) == "ok"


def test_a_default_of_its_own_number_holds_for_what_is_known(tmp_path):
    everything = seccomp.default(DEFAULT)
    program = seccomp.compile({**everything, "defaultErrnoRet": 72})
    assert ask(program, CALLS["mount"]) == "EMULTIHOP"
    assert ask(program, 9999) == "ENOSYS"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "7", "{}", '{"defaultAction": "SCMP_ACT_MAYBE"}', '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [7]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"]}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "errnoRet": "x"}]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_Z80"]}',
        '{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["chroot"], "action": "SCMP_ACT_ERRNO", "args": [{}]}]}',
    ],
)  # fmt: skip
def test_a_profile_that_is_none_is_named(tmp_path, text):
    profile = tmp_path / "profile.json"
    profile.write_text(text)
    with pytest.raises(UsageError):
        seccomp.cached(str(profile), [], str(tmp_path))
    assert os.listdir(tmp_path) == ["profile.json"]


def test_a_profile_that_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="/nosuch"):
        seccomp.cached("/nosuch", [], str(tmp_path))


def test_a_compiled_filter_is_kept_for_the_same_question_only(tmp_path):
    first = seccomp.cached("", DEFAULT, str(tmp_path))
    assert seccomp.cached("", list(reversed(DEFAULT)), str(tmp_path)) == first
    assert seccomp.cached("", [*DEFAULT, "CAP_SYS_ADMIN"], str(tmp_path)) != first
    assert len(os.listdir(tmp_path)) == 2


# ------------------------------------------------------------------------------------------------------- in a container


def mode(text: str) -> str:
    return next(line.split()[1] for line in text.splitlines() if line.startswith("Seccomp:"))


def test_containers_and_what_joins_them_have_it(engine, busybox):
    with running(engine) as container:
        assert mode(execute(engine, container, "cat", "/proc/1/status").out) == "2"
        assert mode(execute(engine, container, "cat", "/proc/self/status").out) == "2"
    with running(engine, security_opt=("seccomp=unconfined",)) as container:
        assert mode(execute(engine, container, "cat", "/proc/self/status").out) == "0"
    assert mode(run(engine, "cat", "/proc/self/status", security_opt=("no-new-privileges",)).out) == "2"


def test_what_a_container_asks(engine, busybox):
    refused = "unshare: unshare(0x10000000): Operation not permitted"
    assert run(engine, "unshare", "-U", "true").err.strip() == refused
    assert run(engine, "unshare", "-m", "true").status == 1
    assert run(engine, "unshare", "-U", "true", cap_add=("SYS_ADMIN",)).status == 0
    assert run(engine, "mount", "-t", "tmpfs", "x", "/tmp").status != 0


def test_a_damaged_filter_starts_nothing(engine, busybox):
    """A container without its filter would run, and nobody would see."""
    run(engine, "true")
    (kept,) = os.listdir(engine.roots.seccomp)
    with open(f"{engine.roots.seccomp}/{kept}", "w"):
        pass
    with pytest.raises(TuidockError, match="damaged"):
        run(engine, "true")
