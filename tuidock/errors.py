"""Everything that tuidock can say went wrong, as one family.

An error carries what was wrong and with which value (`message`), what to do about it (`hint`), and what each front end
needs: the exit status of the command line and the HTTP status of the API.  The tree:

    TuidockError                    125
    ├── UsageError                  125 (the words of a command are wrong)
    ├── NotFound                    404
    │   ├── NoSuchContainer
    │   ├── NoSuchImage
    │   ├── NoSuchNetwork
    │   └── NoSuchVolume
    ├── Conflict                    409
    │   ├── NameTaken
    │   ├── AmbiguousName
    │   ├── NotRunning
    │   └── InUse
    ├── Refused                     what was handed in is malformed or hostile (an archive, a digest, a reference)
    ├── Missing                     the machine lacks something: a system package, a kernel facility, a capability
    ├── RuntimeFailure              the kernel refused a step of a container's start
    │   ├── CommandNotFound         127
    │   └── CommandNotExecutable    126
    ├── DiskFull                    there is no room left where it would be written
    └── Interrupted                 130
"""

from __future__ import annotations


class TuidockError(Exception):
    """message: one line, what is wrong and with which value.  hint: one line, what to do next, or empty."""

    exit_status = 125
    http_status = 500

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message}\n{self.hint}" if self.hint else self.message


class UsageError(TuidockError):
    """The words of a command cannot be understood."""

    http_status = 400


class NotFound(TuidockError):
    """What was named is not here.  Commands other than run and exec end with status 1 then, as Docker's do."""

    exit_status = 1
    http_status = 404


class NoSuchContainer(NotFound):
    def __init__(self, name: str, nearest: str = "") -> None:
        hint = f"did you mean {nearest}?" if nearest else "`tuidock ps -a` lists them all"
        super().__init__(f"no such container: {name}", hint)
        self.name = name


class NoSuchImage(NotFound):
    def __init__(self, reference: str, nearest: str = "") -> None:
        hint = (
            f"did you mean {nearest}?"
            if nearest
            else "`tuidock load` and `tuidock import` bring images in; `tuidock image starter` makes one from this machine"
        )
        super().__init__(f"no such image: {reference}", hint)
        self.reference = reference


class NoSuchNetwork(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"network {name} not found", "`tuidock network ls` lists them")
        self.name = name


class NoSuchVolume(NotFound):
    def __init__(self, name: str) -> None:
        super().__init__(f"no such volume: {name}", "`tuidock volume ls` lists them")
        self.name = name


class Conflict(TuidockError):
    """The state of things does not allow it now."""

    exit_status = 1
    http_status = 409


class NameTaken(Conflict):
    exit_status = 125

    def __init__(self, name: str, holder: str) -> None:
        super().__init__(
            f'the container name "/{name}" is already in use by container {holder}',
            f"remove or rename that container first (`tuidock rm {name}`)",
        )
        self.name = name


class AmbiguousName(Conflict):
    def __init__(self, name: str, matches: list[str]) -> None:
        shown = ", ".join(match[:12] for match in matches[:5])
        super().__init__(f"{name} is the beginning of several ids: {shown}", "give more characters")
        self.matches = matches


class NotRunning(Conflict):
    def __init__(self, name: str, status: str = "") -> None:
        state = f" (it is {status})" if status else ""
        super().__init__(f"container {name} is not running{state}", f"`tuidock start {name}` starts it")


class InUse(Conflict):
    """What should be removed is used by something else."""


class Refused(TuidockError):
    """What was handed in is malformed or hostile, and nothing of it was kept."""

    exit_status = 1
    http_status = 400


class Missing(TuidockError):
    """This machine lacks something that the command needs; the hint says what would add it."""


class RuntimeFailure(TuidockError):
    """The kernel refused a step of a container's start."""


class CommandNotFound(RuntimeFailure):
    exit_status = 127
    http_status = 400


class CommandNotExecutable(RuntimeFailure):
    exit_status = 126
    http_status = 400


class DiskFull(TuidockError):
    """What should be written down finds no room.  path: where."""

    http_status = 507

    def __init__(self, path: str) -> None:
        super().__init__(
            f"no space left on the disk of {path}",
            "`tuidock rm -f` of what fills it frees space (`tuidock ps -as` shows sizes), so does `tuidock system prune`",
        )


class Interrupted(TuidockError):
    exit_status = 130
