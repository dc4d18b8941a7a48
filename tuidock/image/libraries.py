"""Which shared libraries a program needs, and where they are: found as the dynamic linker finds them, not guessed.

For each name: the rpath of who needs it and of who needs that, the runpath, the linker's cache, its default folders.
Source: ld.so(8); glibc, sysdeps/generic/dl-cache.h for the cache's form.
"""

from __future__ import annotations

import glob
import os
import struct
from typing import TYPE_CHECKING

from tuidock.image import elf
from tuidock.oci.value import Value

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tuidock.image.elf import Elf

CACHE = "/etc/ld.so.cache"
CACHE_MAGIC = b"glibc-ld.so.cache1.1"
CACHE_ENTRY = struct.Struct("=iIIIQ")
DEFAULTS = ("/lib", "/usr/lib", "/lib64", "/usr/lib64", "/usr/local/lib")


class Library(Value):
    """A library that something needs."""

    name: str
    """as it is asked for"""
    path: str
    """on this machine; may be a symbolic link"""
    by_path: bool
    """found by an rpath or runpath, which holds in the image too if the file is at the same place there"""


class MissingLibrary(Exception):
    """`name` is needed by `path` and is nowhere."""

    def __init__(self, name: str, path: str) -> None:
        super().__init__(f"{path} needs {name}, which is not on this machine")
        self.name = name


class Libraries:
    """The shared libraries of this machine."""

    def __init__(self) -> None:
        self._cached = read_cache(CACHE)
        self._read: dict[str, Elf | None] = {}

    def elf(self, path: str) -> Elf | None:
        """What is in a file; None if it is not ELF."""
        real = os.path.realpath(path)
        if real not in self._read:
            self._read[real] = elf.read(real)
        return self._read[real]

    def closure(self, path: str) -> dict[str, Library]:
        """All that a program or library needs, directly or not, by name.  The dynamic linker itself is not among them.

        Raises MissingLibrary.
        """
        found: dict[str, Library] = {}
        self._follow(path, (), found)
        return found

    def _follow(self, path: str, above: tuple[str, ...], found: dict[str, Library]) -> None:
        described = self.elf(path)
        if described is None:
            return
        inherited = (*_expanded(described.rpath, path), *above)
        for name in described.needed:
            if name in found or is_linker(name):
                continue
            found[name] = self._find(name, path, described, inherited)
            self._follow(found[name].path, inherited, found)

    def _find(self, name: str, path: str, wanted_by: Elf, inherited: tuple[str, ...]) -> Library:
        own = _expanded(wanted_by.runpath, path)
        for folder in own or inherited:
            if self._fits(f"{folder}/{name}", wanted_by):
                return Library(name, f"{folder}/{name}", by_path=True)
        library = self.named(name, wanted_by)
        if library is None:
            raise MissingLibrary(name, path)
        return library

    def named(self, name: str, wanted_by: Elf) -> Library | None:
        """By name alone, as dlopen(3) finds it; None if it is nowhere."""
        for candidate in (*self._cached.get(name, ()), *(f"{folder}/{name}" for folder in _default_folders())):
            if self._fits(candidate, wanted_by):
                return Library(name, candidate, by_path=False)
        return None

    def _fits(self, path: str, wanted_by: Elf) -> bool:
        described = self.elf(path) if os.path.isfile(path) else None
        return described is not None and described.kind == wanted_by.kind


def is_linker(name: str) -> bool:
    """Whether this is the dynamic linker's own name, which the program names by path."""
    return name.startswith(("ld-linux", "ld64.so", "ld.so", "ld-musl", "linux-vdso"))


def read_cache(path: str) -> dict[str, list[str]]:
    """ld.so.cache: names to paths, in the cache's order.  Empty where there is none (musl).

    Those for a better processor (hwcap) are left out: the image may be run elsewhere.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError:
        return {}
    base = content.find(CACHE_MAGIC)
    if base < 0:
        return {}
    (count,) = struct.unpack_from("=I", content, base + len(CACHE_MAGIC))
    found: dict[str, list[str]] = {}
    start = base + 48
    for _, key, value, _, hwcap in CACHE_ENTRY.iter_unpack(content[start : start + count * CACHE_ENTRY.size]):
        if not hwcap:
            found.setdefault(_text(content, base + key), []).append(_text(content, base + value))
    return found


def _text(content: bytes, at: int) -> str:
    return content[at : content.index(b"\0", at)].decode()


def _default_folders() -> Iterator[str]:
    yield from sorted(glob.glob("/lib/*-linux-*")) + sorted(glob.glob("/usr/lib/*-linux-*"))
    yield from DEFAULTS


def _expanded(paths: tuple[str, ...], path: str) -> tuple[str, ...]:
    """$ORIGIN is the folder of who has the path; $LIB and $PLATFORM are of one distribution or processor: passed over."""
    origin = os.path.dirname(os.path.realpath(path))
    expanded = (one.replace("${ORIGIN}", origin).replace("$ORIGIN", origin) for one in paths)
    return tuple(os.path.normpath(one) for one in expanded if "$" not in one)
