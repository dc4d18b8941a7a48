"""The system calls that make a container: one function each, named and argued as in section 2 of the manual.

Each records itself (trace.py) and raises OSError with the path or name it was about.  The library is called with the
interpreter's lock held: `clone3` must come back in the child with a lock that the child owns, and none of the others blocks.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys as interpreter

from tuidock.runtime import trace

# linux/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 1, 2, 4, 8, 32
MS_NOSYMFOLLOW, MS_NOATIME, MS_NODIRATIME, MS_BIND, MS_REC = 256, 1024, 2048, 4096, 16384
MS_UNBINDABLE, MS_PRIVATE, MS_SLAVE, MS_SHARED = 1 << 17, 1 << 18, 1 << 19, 1 << 20
MS_RELATIME, MS_STRICTATIME = 1 << 21, 1 << 24
MS_SYNCHRONOUS, MS_MANDLOCK, MS_DIRSYNC, MS_SILENT = 16, 64, 128, 1 << 15
MS_POSIXACL, MS_I_VERSION, MS_LAZYTIME = 1 << 16, 1 << 23, 1 << 25
MNT_DETACH, UMOUNT_NOFOLLOW = 2, 8
OPEN_TREE_CLONE, OPEN_TREE_CLOEXEC = 1, os.O_CLOEXEC
MOVE_MOUNT_F_EMPTY_PATH, MOVE_MOUNT_T_EMPTY_PATH = 0x04, 0x40
FSOPEN_CLOEXEC, FSMOUNT_CLOEXEC = 1, 1
FSCONFIG_SET_FLAG, FSCONFIG_SET_STRING, FSCONFIG_SET_FD, FSCONFIG_CMD_CREATE = 0, 1, 5, 6
MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV, MOUNT_ATTR_NOEXEC = 1, 2, 4, 8
MOUNT_ATTR__ATIME, MOUNT_ATTR_RELATIME, MOUNT_ATTR_NOATIME, MOUNT_ATTR_STRICTATIME = 0x70, 0, 0x10, 0x20
MOUNT_ATTR_NODIRATIME = 0x80
MOUNT_ATTR_NOSYMFOLLOW, MOUNT_ATTR_IDMAP = 0x200000, 0x100000

# linux/fcntl.h
AT_FDCWD, AT_SYMLINK_NOFOLLOW, AT_EMPTY_PATH, AT_RECURSIVE = -100, 0x100, 0x1000, 0x8000

# linux/openat2.h
RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16

# linux/sched.h
CLONE_NEWTIME, CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x80, 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000
CLONE_PIDFD, CLONE_INTO_CGROUP = 0x1000, 0x200000000

# linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_CHILD_SUBREAPER = 1, 4, 15, 36

# linux/close_range.h
CLOSE_RANGE_CLOEXEC = 4

# linux/magic.h
DEVPTS_SUPER_MAGIC, PROC_SUPER_MAGIC = 0x1CD1, 0x9FA0

# asm/unistd.h: those from 424 on are the same everywhere; the older ones are not
_MACHINE = os.uname().machine
_PIVOT_ROOT, _KEYCTL = {"x86_64": (155, 250), "aarch64": (41, 219)}.get(_MACHINE, (-1, -1))
_OPEN_TREE, _MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 428, 429, 430, 431, 432
_CLONE3, _CLOSE_RANGE, _OPENAT2, _MOUNT_SETATTR = 435, 436, 437, 442

libc = ctypes.PyDLL(None, use_errno=True)
_long = ctypes.c_long
libc.syscall.restype = _long
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
libc.fstatfs.argtypes = (ctypes.c_int, ctypes.c_char_p)


def call(name: str, shown: tuple[object, ...], subject: str, function: object, *arguments: object) -> int:
    """Call `function` of the C library, write it down as `name(shown)`, raise OSError about `subject` if it failed.

    Every wrapper here and in the runtime's other files ends in this; -1 with errno is failure, as in the manual.
    """
    began = trace.now()
    result: int = function(*arguments)  # type: ignore[operator]
    error = ctypes.get_errno() if result == -1 else 0
    trace.add(name, shown, result, error, trace.now() - began)
    if error:
        raise OSError(error, os.strerror(error), subject)
    return result


def _text(words: str) -> bytes | None:
    return os.fsencode(words) if words else None


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2).  Raises OSError with `target` as its filename; EINVAL often means a detail that dmesg has."""
    shown = (source, target, kind, flags, options)
    call("mount", shown, target, libc.mount, _text(source), _text(target), _text(kind), flags, _text(options))


def umount2(target: str, flags: int = 0) -> None:
    """umount2(2)."""
    call("umount2", (target, flags), target, libc.umount2, os.fsencode(target), flags)


def pivot_root(new_root: str, put_old: str) -> None:
    """pivot_root(2)."""
    shown = (new_root, put_old)
    call("pivot_root", shown, new_root, libc.syscall, _long(_PIVOT_ROOT), os.fsencode(new_root), os.fsencode(put_old))


def unshare(flags: int) -> None:
    """unshare(2)."""
    call("unshare", (flags,), "unshare", libc.unshare, ctypes.c_int(flags))


def setns(descriptor: int, kinds: int, subject: str = "") -> None:
    """setns(2).  descriptor: of a /proc/PID/ns file, or a pidfd with several kinds at once (Linux 5.8)."""
    call("setns", (descriptor, kinds, subject), subject, libc.setns, ctypes.c_int(descriptor), ctypes.c_int(kinds))


def clone3(flags: int, exit_signal: int, cgroup: int = -1) -> tuple[int, int]:
    """clone3(2) as fork(2) is used: the child goes on here, with a copy of everything.

    cgroup: descriptor of a cgroup v2 directory to be born in, or -1.
    Returns (pid, pidfd) to the parent and (0, -1) to the child.  Only for a process with a single thread.
    """
    pidfd = ctypes.c_int(-1)
    flags |= CLONE_PIDFD | (CLONE_INTO_CGROUP if cgroup >= 0 else 0)
    values = (flags, ctypes.addressof(pidfd), 0, 0, exit_signal, 0, 0, 0, 0, 0, max(cgroup, 0))
    block = struct.pack("11Q", *values)
    pid = call("clone3", (flags, cgroup), "clone3", libc.syscall, _long(_CLONE3), block, _long(len(block)))
    return pid, pidfd.value if pid else -1


def retitle(title: str) -> None:
    """Write `title` over this process's command line, which ps shows; nothing happens where the C library hides it.

    prctl(PR_SET_MM_ARG_START) needs CAP_SYS_RESOURCE; the bytes themselves are the process's own.  The last one is no NUL,
    so that the kernel ends the line at the first (fs/proc/base.c, get_mm_proctitle).
    """
    words = b"".join(os.fsencode(word) + b"\0" for word in interpreter.orig_argv)
    try:
        begin = ctypes.c_void_p.in_dll(libc, "program_invocation_name").value
    except ValueError:
        return
    written = os.fsencode(title)
    if begin and len(written) + 2 <= len(words) and ctypes.string_at(begin, len(words)) == words:
        ctypes.memmove(begin, written.ljust(len(words) - 1, b"\0") + b".", len(words))


def openat2(directory: int, path: str, flags: int, resolve: int, mode: int = 0) -> int:
    """openat2(2).  Returns a descriptor that is closed on exec.  ELOOP or EXDEV: `resolve` forbids the way there."""
    flags |= os.O_CLOEXEC
    how = struct.pack("3Q", flags, mode, resolve)
    arguments = (_long(_OPENAT2), ctypes.c_int(directory), os.fsencode(path), how, _long(len(how)))
    return call("openat2", (directory, path, flags, resolve), path, libc.syscall, *arguments)


def open_tree(directory: int, path: str, flags: int) -> int:
    """open_tree(2); with OPEN_TREE_CLONE a descriptor of a copy of the mount that is attached nowhere."""
    flags |= OPEN_TREE_CLOEXEC
    arguments = (_long(_OPEN_TREE), ctypes.c_int(directory), os.fsencode(path), ctypes.c_uint(flags))
    return call("open_tree", (directory, path, flags), path, libc.syscall, *arguments)


def move_mount(tree: int, target: int, subject: str) -> None:
    """move_mount(2): the mount of descriptor `tree` onto what descriptor `target` is open on."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    arguments = (_long(_MOVE_MOUNT), ctypes.c_int(tree), b"", ctypes.c_int(target), b"", ctypes.c_uint(flags))
    call("move_mount", (tree, target, subject), subject, libc.syscall, *arguments)


def fsopen(kind: str) -> int:
    """fsopen(2): a descriptor of a file system that is being configured."""
    return call("fsopen", (kind,), kind, libc.syscall, _long(_FSOPEN), kind.encode(), ctypes.c_uint(FSOPEN_CLOEXEC))


def fsconfig(descriptor: int, command: int, key: str = "", value: str = "") -> None:
    """fsconfig(2) with a string, a flag or FSCONFIG_CMD_CREATE."""
    arguments = (_long(_FSCONFIG), ctypes.c_int(descriptor), ctypes.c_uint(command), _text(key), _text(value), 0)
    call("fsconfig", (descriptor, command, key, value), f"{key}={value}", libc.syscall, *arguments)


def fsmount(descriptor: int, attributes: int = 0) -> int:
    """fsmount(2): a descriptor of a mount that is attached nowhere yet."""
    arguments = (_long(_FSMOUNT), ctypes.c_int(descriptor), ctypes.c_uint(FSMOUNT_CLOEXEC), ctypes.c_uint(attributes))
    return call("fsmount", (descriptor, attributes), "fsmount", libc.syscall, *arguments)


def mount_setattr(
    descriptor: int, set_: int, clear: int = 0, propagation: int = 0, *, recursive: bool = False, user_namespace: int = 0
) -> None:
    """mount_setattr(2) on the mount of a descriptor.  user_namespace: a descriptor, with MOUNT_ATTR_IDMAP."""
    block = struct.pack("4Q", set_, clear, propagation, user_namespace)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    shown = (descriptor, set_, clear, propagation, recursive)
    arguments = (_long(_MOUNT_SETATTR), ctypes.c_int(descriptor), b"", ctypes.c_uint(flags), block, _long(len(block)))
    call("mount_setattr", shown, "mount_setattr", libc.syscall, *arguments)


def sethostname(name: str) -> None:
    """sethostname(2)."""
    encoded = name.encode()
    call("sethostname", (name,), name, libc.sethostname, encoded, ctypes.c_size_t(len(encoded)))


def setdomainname(name: str) -> None:
    """setdomainname(2)."""
    encoded = name.encode()
    call("setdomainname", (name,), name, libc.setdomainname, encoded, ctypes.c_size_t(len(encoded)))


def prctl(option: int, value: int = 0, third: int = 0, fourth: int = 0, fifth: int = 0) -> int:
    """prctl(2) with numbers."""
    arguments = [ctypes.c_ulong(number) for number in (value, third, fourth, fifth)]
    return call("prctl", (option, value, third, fourth, fifth), f"prctl {option}", libc.prctl, option, *arguments)


def close_range(first: int, last: int = 0xFFFFFFFF, flags: int = 0) -> None:
    """close_range(2)."""
    arguments = (_long(_CLOSE_RANGE), ctypes.c_uint(first), ctypes.c_uint(last), ctypes.c_uint(flags))
    call("close_range", (first, last, flags), "close_range", libc.syscall, *arguments)


def join_session_keyring(name: str) -> None:
    """keyctl(2), KEYCTL_JOIN_SESSION_KEYRING: a session keyring of its own instead of the caller's."""
    call("keyctl", ("JOIN_SESSION_KEYRING", name), "keyctl", libc.syscall, _long(_KEYCTL), _long(1), name.encode())


def file_system_magic(descriptor: int) -> int:
    """fstatfs(2): f_type of the file system that a descriptor lies on."""
    block = ctypes.create_string_buffer(256)
    call("fstatfs", (descriptor,), f"descriptor {descriptor}", libc.fstatfs, ctypes.c_int(descriptor), block)
    (magic,) = struct.unpack_from("l", block)
    return int(magic)
