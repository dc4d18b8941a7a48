"""Images from outside and to it: `load`, `import`, `image starter`, `save`; and `export`, a container's files."""

from __future__ import annotations

import os
import sys

from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.progress import Meter
from tuidock.engine import Engine
from tuidock.engine.options import LIST, TEXT, Option
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import BinaryIO

    from tuidock.storage.paths import Roots


class NoArchive(UsageError):
    exit_status = 1


def load(words: Words, place: Roots) -> int:
    path = words.text("input")
    if not path and os.isatty(0):
        raise NoArchive("requested load from stdin, but stdin is empty", "`-i FILE`, or `< FILE`")
    with _opened(path) as stream, Meter(quiet=words.flag("quiet")) as meter:
        lines = Engine(place).images.load(stream, meter.tell)
    for line in lines:
        print(line)
    return 0


def import_(words: Words, place: Roots) -> int:
    source, *reference = words.arguments
    if source.startswith(("http://", "https://")):
        raise NoArchive("import from a URL is not there yet", f"`curl -L {source} | tuidock import -`")
    try:
        with _opened("" if source == "-" else source) as stream, Meter(quiet=not sys.stderr.isatty()) as meter:
            changes, message = words.many("change"), words.text("message")
            name = reference[0] if reference else ""
            image = Engine(place).images.import_(stream, name, changes, message, meter.tell)
    except TuidockError as error:
        error.exit_status = 1
        raise
    print(image)
    return 0


def _opened(path: str) -> BinaryIO:
    """A file, or this process's stdin for an empty path."""
    return open(path, "rb") if path else os.fdopen(os.dup(0), "rb")


def starter(words: Words, place: Roots) -> int:
    with Meter(quiet=words.flag("quiet")) as meter:
        image = Engine(place).images.starter(meter.tell)
    print(image)
    return 0


def save(words: Words, place: Roots) -> int:
    if (form := words.text("format")) not in ("docker-archive", "oci"):
        raise NoArchive(f"unknown format: {form}", "docker-archive or oci")
    with Output(words.text("output")) as output, Meter(quiet=not sys.stderr.isatty()) as meter:
        Engine(place).images.save(words.arguments, output.descriptor, form=form, progress=meter.tell)
    return 0


def export(words: Words, place: Roots) -> int:
    with Output(words.text("output")) as output:
        Engine(place).containers.export(words.arguments[0], output.descriptor)
    return 0


class Output:
    """Where an archive goes: a file that is there when it is whole and not before, or stdout, which is no terminal."""

    def __init__(self, path: str) -> None:
        """Raises NoArchive where it cannot go."""
        self.path = path
        self.temporary = ""
        folder = os.path.dirname(path) or "."
        if not path and os.isatty(1):
            raise NoArchive("cowardly refusing to save to a terminal", "use the -o flag or redirect")
        if path and not os.path.isdir(folder):
            raise NoArchive(f'invalid output path: directory "{folder}" does not exist')
        if os.path.isdir(path):
            raise NoArchive(f'invalid output path: "{path}" is a directory', "name a file")

    def __enter__(self) -> Output:
        if not self.path:
            self.descriptor = os.dup(1)
        elif os.path.exists(self.path) and not os.path.isfile(self.path):
            self.descriptor = os.open(self.path, os.O_WRONLY | os.O_CLOEXEC)  # a device or a pipe
        else:
            self.temporary = f"{os.path.realpath(self.path)}.{os.urandom(4).hex()}"
            self.descriptor = os.open(self.temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        os.close(self.descriptor)
        if self.temporary and error is None:
            os.rename(self.temporary, os.path.realpath(self.path))
        elif self.temporary:
            os.unlink(self.temporary)
        if isinstance(error, TuidockError):
            error.exit_status = 1


QUIET = Option("quiet", "q", meaning="Suppress the load output")
OUTPUT = Option("output", "o", TEXT, "Write to a file, instead of STDOUT")

COMMANDS = {
    "load": Command(
        load,
        "",
        (Option("input", "i", TEXT, "Read from tar archive file, instead of STDIN"), QUIET),
        later="platform",
    ),
    "import": Command(
        import_,
        "file|- [REPOSITORY[:TAG]]",
        (
            Option("change", "c", LIST, "Apply Dockerfile instruction to the created image"),
            Option("message", "m", TEXT, "Set commit message for imported image"),
        ),
        1,
        2,
        later="platform",
    ),
    "save": Command(
        save,
        "IMAGE [IMAGE...]",
        (Option("format", "", TEXT, "docker-archive (which is an OCI layout, too) or oci", "docker-archive"), OUTPUT),
        1,
        UNLIMITED,
        later="platform",
    ),
    "export": Command(export, "CONTAINER", (OUTPUT,), 1, 1),
    "image starter": Command(starter, "", (QUIET.replace(meaning="Suppress the progress output"),)),
}
