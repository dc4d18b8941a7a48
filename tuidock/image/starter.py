"""The starter image: `tuidock/starter:latest`, assembled from this machine with no network.

Two layers, so that there is a stack to look at: below, what any program stands on (folders, users, certificates, a shell and
the common commands, their libraries); above, the Python that runs this, with its standard library.  The same machine always
gives the same digest: times are those of the files that went in.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import TYPE_CHECKING

from tuidock.errors import Missing
from tuidock.image import starter_python
from tuidock.image.contents import Contents
from tuidock.image.intake import Intake
from tuidock.image.libraries import Libraries, Library, MissingLibrary
from tuidock.image.rootfs import assembled
from tuidock.image.times import rfc3339
from tuidock.oci.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuidock.image.intake import Progress
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

NAME = "tuidock/starter:latest"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MERGED = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
"""Top folders that are links into /usr where the machine has merged them."""
FOLDERS = (
    "/dev", "/etc", "/home", "/media", "/mnt", "/opt", "/proc", "/run", "/srv", "/sys", "/usr/bin", "/usr/lib",
    "/usr/local/bin", "/usr/sbin", "/var/cache", "/var/lib", "/var/log",
)  # fmt: skip
COMMANDS = (
    "sh", "bash", "ls", "cat", "cp", "mv", "rm", "mkdir", "rmdir", "ln", "chmod", "chown", "chgrp", "touch", "echo", "printf",
    "pwd", "true", "false", "test", "[", "env", "head", "tail", "wc", "sort", "uniq", "cut", "tr", "tee", "grep", "sed", "find",
    "xargs", "awk", "ps", "top", "free", "uptime", "kill", "sleep", "date", "id", "whoami", "hostname", "uname", "df", "du",
    "mount", "umount", "stat", "readlink", "realpath", "basename", "dirname", "dd", "od", "seq", "yes", "tar", "gzip", "gunzip",
    "zcat", "clear", "less", "more", "diff", "cmp", "md5sum", "sha256sum", "base64", "timeout", "nproc", "tty", "stty",
    "mktemp", "install", "mkfifo", "mknod", "sync", "expr", "nice", "nohup", "which", "ip", "ss", "ping", "nc", "vi",
)  # fmt: skip
LOADED_BY_NAME = ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2", "libgcc_s.so.1")
"""What glibc opens with dlopen(3), so that no file says it needs it."""
BUNDLE = "/etc/ssl/certs/ca-certificates.crt"
BUNDLES = (BUNDLE, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem")
"""Debian and its kin, Fedora and its kin, SUSE, Alpine."""
TERMINALS = ("xterm", "xterm-256color", "screen", "screen-256color", "tmux", "tmux-256color", "linux", "vt100", "dumb")
SYSTEM_IDS = 100
"""Users and groups with a smaller number belong to every machine; the others are people and services of this one."""
NOBODY = "65534"
NSSWITCH = "passwd: files\ngroup: files\nshadow: files\nhosts: files dns\nservices: files\nprotocols: files\n"


def assemble(database: Database, roots: Roots, progress: Callable[[Progress], None] | None = None) -> str:
    """Make the image.  Returns its id.  Raises Missing if the machine lacks what it takes."""
    machine = Machine()
    base, commands = machine.base()
    python = machine.python().without(base)
    moment = max(base.newest(), python.newest())
    with Intake(database, roots, progress) as intake:
        first = intake.layer(base.tar(moment), (), "the shell and its libraries", base.size())
        second = intake.layer(python.tar(moment), (first,), "Python", python.size())
        created = rfc3339(moment * 1_000_000_000)
        steps = [
            (first, {"created": created, "created_by": f"tuidock image starter: {commands}", "comment": "from this machine"}),
            (second, {"created": created, "created_by": f"tuidock image starter: {starter_python.version()}"}),
        ]
        inner = {
            "Env": [f"PATH={PATH}", "LANG=C.UTF-8"],
            "Cmd": ["/bin/sh"],
            "Labels": {"org.opencontainers.image.title": "tuidock starter"},
        }
        intake.add(assembled(intake, inner, steps, [parse(NAME)]))
        intake.commit("import")
        return intake.images[0].id


class Machine:
    """What this machine has, put where an image wants it."""

    def __init__(self) -> None:
        self.libraries = Libraries()
        self.merged = {f"/{name}": os.readlink(f"/{name}") for name in MERGED if os.path.islink(f"/{name}")}
        self.library_folder = ""

    def base(self) -> tuple[Contents, str]:
        """The lower layer, and what to say of it."""
        contents = Contents()
        for folder in FOLDERS:
            contents.folder(folder)
        contents.folder("/root", 0o700)
        for folder in ("/tmp", "/var/tmp"):
            contents.folder(folder, 0o1777)
        _users(contents)
        _certificates(contents)
        _terminals(contents)
        contents.text("/etc/nsswitch.conf", NSSWITCH)
        contents.text("/etc/os-release", 'NAME="tuidock starter"\nID=tuidock\nPRETTY_NAME="tuidock starter image"\n')
        for path in ("/etc/services", "/etc/protocols"):
            if os.path.isfile(path):
                contents.file(path, path)
        said = self._busybox(contents) or self._commands(contents)
        for path, target in self.merged.items():
            contents.link(path, target.lstrip("/"))
            contents.folder(f"/{target.lstrip('/')}")
        return contents, said

    def python(self) -> Contents:
        """The Python that runs this, all that it needs, and the names it is called by."""
        contents = Contents()
        python = starter_python.Python()
        python.copy(contents, lambda path: self.needs(contents, path))
        return contents

    def place(self, path: str) -> str:
        """Where a path of this machine is in the image: the same, with the links of the merged folders followed."""
        folder, name = os.path.split(path)
        for link, target in self.merged.items():
            if folder == link or folder.startswith(link + "/"):
                folder = f"/{target.lstrip('/')}{folder[len(link) :]}"
        return f"{os.path.normpath(folder)}/{name}"

    def program(self, contents: Contents, path: str, source: str) -> None:
        """A program and all that it needs.  Raises MissingLibrary, and has added nothing then."""
        self.needs(contents, source)
        contents.file(path, source)

    def needs(self, contents: Contents, source: str) -> None:
        """The libraries of a program or a library, and its dynamic linker.  Raises MissingLibrary before anything is added."""
        described = self.libraries.elf(source)
        if described is None:
            return
        closure = self.libraries.closure(source)
        if described.interpreter:
            contents.file(self.place(described.interpreter), described.interpreter)
        libc = next((library for name, library in closure.items() if name.startswith(("libc.so", "libc.musl"))), None)
        if libc is not None and not self.library_folder:
            self.library_folder = os.path.dirname(self.place(libc.path))
            for name in LOADED_BY_NAME:
                by_name = self.libraries.named(name, described)
                if by_name is not None:
                    closure.setdefault(name, by_name)
                    for inner in self.libraries.closure(by_name.path).values():
                        closure.setdefault(inner.name, inner)
        for library in closure.values():
            contents.file(self._library_place(library), library.path)

    def _library_place(self, library: Library) -> str:
        """Where it will be found: where an rpath says, if everybody may go there, else beside the C library.

        The image has no ld.so.cache, so a folder that only the machine's cache knows would be looked into by nobody.
        """
        folder = os.path.dirname(self.place(os.path.normpath(library.path)))
        if library.by_path and not folder.startswith(("/root", "/home", "/tmp")):
            return f"{folder}/{library.name}"
        return f"{self.library_folder or folder}/{library.name}"

    def _busybox(self, contents: Contents) -> str:
        """busybox with a link for each of its applets; an empty text if the machine has none."""
        source = shutil.which("busybox", path=PATH)
        if source is None:
            return ""
        listed = subprocess.run([source, "--list-full"], capture_output=True, text=True, check=False, timeout=10).stdout
        applets = [f"/{line.strip()}" for line in listed.splitlines() if line.strip()]
        try:
            self.program(contents, self.place("/bin/busybox"), source)
        except MissingLibrary:
            return ""
        for applet in applets or ["/bin/sh"]:
            path = self.place(applet)
            if path not in contents:
                contents.link(path, "/bin/busybox")
        return f"busybox with {len(applets)} commands"

    def _commands(self, contents: Contents) -> str:
        """The machine's own shell and commands."""
        count = 0
        for name in COMMANDS:
            source = shutil.which(name, path=PATH)
            if source is None:
                continue
            real = os.path.realpath(source)
            try:
                if self.libraries.elf(real) is not None:
                    self.program(contents, self.place(real), real)
                elif _is_shell_script(real):
                    contents.file(self.place(real), real)
                else:
                    continue
            except MissingLibrary:
                continue
            count += 1
            path = self.place(f"/bin/{name}" if name in ("sh", "bash") else source)
            if path not in contents:
                contents.link(path, self.place(real))
        if self.place("/bin/sh") not in contents:
            raise Missing("this machine has no /bin/sh that could be copied", "install busybox")
        return f"{count} commands of this machine"


def _users(contents: Contents) -> None:
    """passwd and group: who is on every machine, and nobody who lives on this one."""
    passwd = ["root:x:0:0:root:/root:/bin/sh"]
    for name, _, uid, gid, *rest in _lines("/etc/passwd", 7):
        if _is_usual(uid):
            passwd.append(":".join((name, "x", uid, gid, *rest)))
    contents.text("/etc/passwd", "".join(f"{line}\n" for line in passwd))
    group = ["root:x:0:"]
    for name, _, gid, _ in _lines("/etc/group", 4):
        if _is_usual(gid):
            group.append(f"{name}:x:{gid}:")
    contents.text("/etc/group", "".join(f"{line}\n" for line in group))


def _lines(path: str, fields: int) -> list[list[str]]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            lines = [line.rstrip("\n").split(":") for line in file]
    except FileNotFoundError:
        return []
    return [line for line in lines if len(line) == fields]


def _is_usual(number: str) -> bool:
    return number == NOBODY or (number.isdigit() and 0 < int(number) < SYSTEM_IDS)


def _certificates(contents: Contents) -> None:
    """The machine's certificate authorities, and OpenSSL's way to them."""
    import ssl

    source = next((path for path in BUNDLES if os.path.isfile(path)), None)
    if source is None:
        return
    contents.file(BUNDLE, source)
    expected = ssl.get_default_verify_paths().openssl_cafile
    if expected.startswith("/") and expected != BUNDLE and not expected.startswith(("/root", "/home")):
        contents.link(expected, BUNDLE)


def _terminals(contents: Contents) -> None:
    """What readline and curses must know of the common terminals."""
    for name in TERMINALS:
        for folder in ("/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo"):
            path = f"{folder}/{name[0]}/{name}"
            if os.path.isfile(path):
                contents.file(f"/usr/share/terminfo/{name[0]}/{name}", path)
                break


def _is_shell_script(path: str) -> bool:
    with open(path, "rb") as file:
        first = file.readline(128).split()
    return bool(first) and first[0] in (b"#!/bin/sh", b"#!/bin/bash")
