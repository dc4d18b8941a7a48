"""Archives as no tool would write them: members one by one, with any name and any header."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from hypothesis import strategies as st

END = bytes(1024)


def member(
    name: str,
    content: bytes = b"",
    kind: bytes = tarfile.REGTYPE,
    *,
    link: str = "",
    mode: int = 0o644,
    uid: int = 0,
    gid: int = 0,
    mtime: float = 0,
    device: tuple[int, int] = (0, 0),
    pax: Mapping[str, str] | None = None,
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    """One member with its header, padded."""
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode, info.uid, info.gid, info.mtime = kind, link, mode, uid, gid, mtime
    info.devmajor, info.devminor = device
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    info.pax_headers = dict(pax or {})
    return info.tobuf(form, "utf-8", "surrogateescape") + content + bytes(-len(content) % 512)


def folder(name: str, mode: int = 0o755, **fields: object) -> bytes:
    return member(name, kind=tarfile.DIRTYPE, mode=mode, **fields)  # type: ignore[arg-type]


def symlink(name: str, target: str) -> bytes:
    return member(name, kind=tarfile.SYMTYPE, link=target)


def hardlink(name: str, target: str) -> bytes:
    return member(name, kind=tarfile.LNKTYPE, link=target)


def tar(*members: bytes) -> bytes:
    """An archive of these members, with its end mark."""
    return b"".join(members) + END


def forged(header: bytes, at: int, field: bytes) -> bytes:
    """A header with a field overwritten and its checksum made right again.  at: offset of the field."""
    block = bytearray(header[:512])
    block[at : at + len(field)] = field
    block[148:156] = b"        "
    block[148:156] = b"%06o\0 " % sum(block)
    return bytes(block) + header[512:]


def archive(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """An ordinary archive: names to contents, and names to the targets of symbolic links."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as out:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            out.addfile(info, io.BytesIO(content))
        for name, to in (links or {}).items():
            info = tarfile.TarInfo(name)
            info.type, info.linkname = tarfile.SYMTYPE, to
            out.addfile(info)
    return target.getvalue()


FIELDS = (
    (0, 100), (100, 8), (108, 8), (116, 8), (124, 12), (136, 12), (157, 100), (257, 8), (329, 8), (337, 8), (345, 155),
    (386, 96), (482, 1), (483, 12),
)  # fmt: skip
"""Offset and length of a header's fields, ustar's and those of GNU's sparse files."""
KINDS = b"0123456\0SxgLKVMD7"
PAX = (
    "path", "linkpath", "size", "uid", "gid", "mtime", "GNU.sparse.map", "GNU.sparse.size", "GNU.sparse.major",
    "GNU.sparse.minor", "GNU.sparse.realsize", "GNU.sparse.name", "GNU.sparse.offset",
    "SCHILY.xattr.user.a", "SCHILY.xattr.security.capability",
)  # fmt: skip
NUMBERS = ("7777777", "0000000", "-000001", " 10 ", "9", "\x80\0\0\0\0\0\x01", "\xff" * 7, "\x80" + "\xff" * 7)
VALUES = ("..", "../x", "/", "a/b", "0,1", "1,0,2", "0,7", "5.5", "1", "7", "", "-1", str(1 << 64))


@st.composite
def hostile_members(draw: st.DrawFn) -> list[bytes]:
    """Members whose headers say anything, in any of the formats."""
    members = []
    for _ in range(draw(st.integers(1, 4))):
        content = draw(st.binary(max_size=40)) * draw(st.integers(0, 40))
        if draw(st.booleans()):
            pax = draw(st.dictionaries(st.sampled_from(PAX), st.sampled_from(VALUES) | st.text(max_size=8), max_size=4))
            members.append(member("a", content, pax=pax, form=tarfile.PAX_FORMAT))
            continue
        block = forged(member("a", content, form=tarfile.USTAR_FORMAT), 156, bytes([draw(st.sampled_from(KINDS))]))
        for at, length in draw(st.lists(st.sampled_from(FIELDS), max_size=3)):
            text = draw(st.sampled_from(NUMBERS).map(lambda text: text.encode("latin-1")) | st.binary(max_size=length))
            block = forged(block, at, text[:length].ljust(length, b"\0"))
        members.append(block)
    return members
