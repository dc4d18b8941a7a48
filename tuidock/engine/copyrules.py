"""Where a copy goes, by docker's rules: what a path means that ends in `/` or `/.`, is a link, or is not there.

The same for both sides: here it is asked of whatever root the process has, the host's or a container's.
Source: docker cp(1), "DESCRIPTION"; moby, pkg/archive/copy.go.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable

from tuidock.errors import NotFound, TuidockError, UsageError
from tuidock.image.tarwriter import Found, Members, walk
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator


class Source(Value):
    """What is to be copied."""

    path: str
    """without a link as its last part, unless that itself is what is copied"""
    name: str
    """what it is called where it goes; empty for the content of a directory (`DIR/.`)"""
    is_dir: bool


class Destination(Value):
    """Where it goes."""

    folder: str
    """a directory that is there, without links"""
    name: str
    """in that directory; empty: what comes goes into the directory itself"""


Missing = Callable[[str], TuidockError]
"""What to raise for a path that is not there: `in_container` or `on_host`."""


def in_container(container: str) -> Missing:
    """docker's words."""
    return lambda path: NotFound(f"Could not find the file {path} in container {container}")


def source(path: str, *, follow: bool, missing: Missing) -> Source:
    """path: absolute.  follow: a link as its last part.  Raises what `missing` makes of the path."""
    content = path.endswith("/.") or os.path.normpath(path) == "/"
    clean = os.path.normpath(path)
    try:
        if content or follow or path.endswith("/"):
            real = os.path.realpath(clean, strict=True)
        else:
            real = f"{os.path.realpath(os.path.dirname(clean), strict=True).rstrip('/')}/{os.path.basename(clean)}"
        is_dir = stat.S_ISDIR(os.lstat(real).st_mode)
    except OSError:
        raise missing(path) from None
    if not is_dir and (content or path.endswith("/")):
        raise missing(path)
    return Source(real, "" if content else os.path.basename(clean), is_dir)


def destination(path: str, name: str, *, is_dir: bool, shown: str, missing: Missing, stream: bool = False) -> Destination:
    """Where something called `name` goes if the user says `path`.

    path: absolute.  name: empty for the content of a directory.  is_dir: of what comes.  shown: the destination as the user
    wrote it.  stream: a tar of the user's own comes, for which there must be a directory.
    """
    asserted = path.endswith(("/", "/."))
    clean = os.path.normpath(path)
    try:
        mode = os.stat(f"{clean}/" if asserted else clean).st_mode
    except OSError:
        mode = 0
    if stat.S_ISDIR(mode):
        return Destination(os.path.realpath(clean), name)
    if stream:
        raise UsageError(f'destination "{shown}" must be a directory', "make it first")
    if mode and not stat.S_ISREG(mode):
        raise UsageError(
            f'destination "{shown}" must be a directory or a regular file', "a device, a pipe or a socket is there"
        )
    if is_dir and (mode or os.path.isfile(clean)):
        raise UsageError("cannot copy directory", f"{shown} is a file")
    if asserted and not is_dir:
        raise UsageError(f"no such directory: {shown}", "without the last slash it would be the name of the file")
    real = os.path.realpath(clean)  # a link that leads to what is not there yet names what will be made
    folder, last = os.path.split(real)
    if not os.path.isdir(folder):
        raise missing(folder)
    return Destination(folder, last)


def prefix(found: Source) -> str:
    """What the names in its archive begin with, as docker has them."""
    return found.name or "."


def tar(found: Source) -> Iterator[bytes]:
    """All of a source as a tar without its end.  Links in it stay links."""
    members = Members()
    begins = os.fsencode(prefix(found))
    above, name = os.path.split(found.path)
    folder = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    inner = -1
    try:
        status = os.stat(name or ".", dir_fd=folder, follow_symlinks=False)
        if not stat.S_ISDIR(status.st_mode):
            yield from members.member(Found(folder, os.fsencode(name), begins, status, -1))
            return
        inner = os.open(name or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        yield from members.member(Found(folder, os.fsencode(name), begins, os.fstat(inner), inner))
        for one in walk(inner):
            yield from members.member(one, begins + b"/" + one.path)
    finally:
        os.close(folder)
        if inner >= 0:
            os.close(inner)
