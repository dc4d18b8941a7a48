"""What an ELF file asks of the dynamic linker, read from the file: nothing is run to find out.

Sources: elf(5); System V ABI, "Program Header" and "Dynamic Section".
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from tuidock.oci.value import Value

if TYPE_CHECKING:
    from typing import BinaryIO

MAGIC = b"\x7fELF"
PT_LOAD, PT_DYNAMIC, PT_INTERP = 1, 2, 3
DT_NULL, DT_NEEDED, DT_STRTAB, DT_SONAME, DT_RPATH, DT_RUNPATH = 0, 1, 5, 14, 15, 29
TEXT_LIMIT = 1 << 24


class Elf(Value):
    """A program or a shared library."""

    kind: tuple[int, int]
    """class (32 or 64 bits) and machine: a library must have the same as who wants it"""
    interpreter: str = ""
    """path of the dynamic linker; empty for a library and for a static program"""
    needed: tuple[str, ...] = ()
    soname: str = ""
    rpath: tuple[str, ...] = ()
    """with $ORIGIN and the like in them, as written; only what counts: none if there is a runpath"""
    runpath: tuple[str, ...] = ()


def read(path: str) -> Elf | None:
    """None for what is no ELF file of this machine's byte order, or a damaged one."""
    try:
        with open(path, "rb") as file:
            return _read(file)
    except (OSError, struct.error, ValueError, IndexError, OverflowError, StopIteration):
        return None


def _read(file: BinaryIO) -> Elf | None:
    start = file.read(64)
    if start[:4] != MAGIC or start[5] not in (1, 2):
        return None
    order = "<" if start[5] == 1 else ">"
    wide = start[4] == 2
    (machine,) = struct.unpack_from(order + "H", start, 18)
    if wide:
        (offset,) = struct.unpack_from(order + "Q", start, 32)
        size, count = struct.unpack_from(order + "HH", start, 54)
        layout = struct.Struct(order + "IIQQQQQQ")
    else:
        (offset,) = struct.unpack_from(order + "I", start, 28)
        size, count = struct.unpack_from(order + "HH", start, 42)
        layout = struct.Struct(order + "IIIIIIII")
    segments: list[tuple[int, ...]] = []
    for number in range(count):
        file.seek(offset + number * size)
        fields = layout.unpack(file.read(layout.size))
        kind, at, address, length = (fields[0], fields[2], fields[3], fields[5]) if wide else (*fields[:3], fields[4])
        segments.append((kind, at, address, length))
    interpreter = dynamic = b""
    for kind, at, _, length in segments:
        if kind == PT_INTERP:
            interpreter = _at(file, at, length).rstrip(b"\0")
        elif kind == PT_DYNAMIC:
            dynamic = _at(file, at, length)
    entries = list(struct.iter_unpack(order + ("qQ" if wide else "iI"), dynamic))
    loads = [segment for segment in segments if segment[0] == PT_LOAD]
    return _described(file, (start[4], machine), interpreter.decode(), entries, loads)


def _described(
    file: BinaryIO, kind: tuple[int, int], interpreter: str, entries: list[tuple[int, ...]], loads: list[tuple[int, ...]]
) -> Elf:
    table = next((value for tag, value in entries if tag == DT_STRTAB), None)
    if table is None:
        return Elf(kind, interpreter)
    start, end = next((at + table - address, at + length) for _, at, address, length in loads if 0 <= table - address < length)
    texts = _at(file, start, end - start)

    def words(wanted: int) -> list[str]:
        found = []
        for tag, value in entries:
            if tag == DT_NULL:
                break
            if tag == wanted:
                found.append(texts[value : texts.index(b"\0", value)].decode())
        return found

    def paths(wanted: int) -> tuple[str, ...]:
        return tuple(part for text in words(wanted) for part in text.split(":") if part)

    runpath = paths(DT_RUNPATH)
    rpath = () if runpath else paths(DT_RPATH)
    return Elf(kind, interpreter, tuple(words(DT_NEEDED)), next(iter(words(DT_SONAME)), ""), rpath, runpath)


def _at(file: BinaryIO, offset: int, length: int) -> bytes:
    if length > TEXT_LIMIT:
        raise ValueError("a segment that is too long to be true")
    file.seek(offset)
    return file.read(length)
