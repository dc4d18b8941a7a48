"""Archives as no tool would write them: members one by one, with any name and any header."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

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
