"""The other side of the jail: start it, feed it a layer's tar, hear what became of it."""

from __future__ import annotations

import errno
import fcntl
import os
import signal
import subprocess
from typing import TYPE_CHECKING, Any

from tuidock.errors import Refused, RuntimeFailure, TuidockError
from tuidock.oci.jsontext import loads
from tuidock.oci.value import Value
from tuidock.runtime.spawn import interpreter_command

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

PIPE_SIZE = 1 << 20


class Unpacked(Value):
    """What a layer turned out to be."""

    size: int
    """bytes of its regular files"""
    entries: int
    ended: bool
    """the archive has an end mark"""


class Extraction:
    """A layer being unpacked into the empty directory `tree`.

    >>> with Extraction(tree) as extraction:         # doctest: +SKIP
    ...     extraction.feed(tar)
    ...     extraction.finish()
    Unpacked(size=1, entries=1, ended=True)
    """

    def __init__(self, tree: str, lower: Sequence[str] = ()) -> None:
        """lower: trees of the layers below, highest first."""
        command = interpreter_command("tuidock.image.unpack", "sys.argv[2:]")
        self._process = subprocess.Popen(
            [*command, *lower], cwd=tree, env={}, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0,
        )  # fmt: skip
        assert self._process.stdin is not None
        self._pipe = self._process.stdin.fileno()
        try:
            fcntl.fcntl(self._pipe, fcntl.F_SETPIPE_SZ, PIPE_SIZE)
        except OSError:
            pass  # it is only quicker with a big one

    def feed(self, content: bytes) -> None:
        """Some more of the tar.  Raises what the jail says about what it got before."""
        view = memoryview(content)
        try:
            while view:
                view = view[os.write(self._pipe, view) :]
        except BrokenPipeError:
            self.finish()
            raise RuntimeFailure("the unpacking process did not wait for the end of the layer") from None

    def finish(self) -> Unpacked:
        """The end of the tar.  Raises Refused, or TuidockError for what the disk or the kernel did not allow."""
        told, complaint = self._process.communicate()
        answer: dict[str, Any] = loads(told) if told else {"died": complaint.decode(errors="replace")}
        if "size" in answer:
            return Unpacked(**answer)
        if "refused" in answer:
            raise Refused(f"the layer cannot be unpacked: {answer['refused']}", answer["hint"])
        if "errno" in answer:
            raise _from_kernel(answer["errno"], answer["path"])
        code = self._process.returncode
        ended = f"by {signal.Signals(-code).name}" if code < 0 else f"with status {code}"
        last = (answer["died"].strip().splitlines() or [""])[-1]
        raise RuntimeFailure(f"the unpacking process ended {ended}: {last}", "this is a bug")

    def __enter__(self) -> Extraction:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.__exit__(None, None, None)


def _from_kernel(number: int, path: str) -> TuidockError:
    where = f"{path}: " if path else ""
    if number in (errno.ENOSPC, errno.EDQUOT):
        return TuidockError(f"no space left for the layer ({where.rstrip(': ') or 'disk full'})", "`tuidock rmi` frees some")
    if number in (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EFBIG, errno.EISDIR, errno.EINVAL):
        return Refused(f"the layer cannot be unpacked: {where}{os.strerror(number)}")
    if number == errno.EPERM:
        return TuidockError(f"the layer cannot be unpacked: {where}{os.strerror(number)}", "run it as root")
    return TuidockError(f"the layer cannot be unpacked: {where}{os.strerror(number)}")
