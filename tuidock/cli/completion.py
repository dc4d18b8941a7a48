"""Completion: a small script for the shell, which asks `tuidock completion words` for what may come next.

So the candidates are the declarations themselves, and the names of what is really there.
"""

from __future__ import annotations

from tuidock.cli.commands import COMMANDS as NAMES
from tuidock.cli.commands import GROUPS, HIDDEN
from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.engine.options import BOOL
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from tuidock.storage.paths import Roots

BASH = """\
# bash completion for tuidock: `source <(tuidock completion bash)`
_tuidock() {
    local IFS=$'\\n'
    COMPREPLY=($(tuidock completion words -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
    [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *= ]] && compopt -o nospace
    return 0
}
complete -o default -F _tuidock tuidock
"""
ZSH = """\
# zsh completion for tuidock: `source <(tuidock completion zsh)`
autoload -U +X bashcompinit && bashcompinit
""" + "".join(BASH.splitlines(keepends=True)[1:])
FISH = """\
# fish completion for tuidock: `tuidock completion fish | source`
complete -c tuidock -a '(tuidock completion words -- (commandline -opc)[2..-1] (commandline -ct) 2>/dev/null)'
"""
SCRIPTS = {"bash": BASH, "zsh": ZSH, "fish": FISH}


class UnknownShell(UsageError):
    exit_status = 1


def completion(words: Words, place: Roots) -> int:
    shell, *given = words.arguments
    if shell == "words":
        print("\n".join(candidates([word for word in given if word != "--"] if given[:1] == ["--"] else given, place)))
        return 0
    if shell not in SCRIPTS:
        raise UnknownShell(f"no completion for {shell}", f"there is {', '.join(SCRIPTS)}")
    print(SCRIPTS[shell], end="")
    return 0


def candidates(words: list[str], place: Roots) -> list[str]:
    """What the last of the words, which may be empty, can become."""
    *before, last = words or [""]
    return sorted(word for word in set(_possible(before, last, place)) if word.startswith(last))


def _possible(before: list[str], last: str, place: Roots) -> Iterable[str]:
    first = before[0] if before else ""
    if first == "--run":
        first, before = "run", ["run", *before[1:]]
    if not first:
        return [*(name for name in NAMES if " " not in name), *GROUPS, "help", "--run", "--root", "--run-root", "--version"]
    if first == "help" and len(before) == 1:
        return [*(name for name in NAMES if " " not in name), *GROUPS]
    name, rest = first, before[1:]
    if first in GROUPS:
        if not rest:
            return GROUPS[first][1]
        name, rest = GROUPS[first][1].get(HIDDEN[first].get(rest[0], rest[0]), ""), rest[1:]
    if name not in NAMES:
        return []
    module = __import__(f"tuidock.cli.{NAMES[name][0]}", fromlist=["COMMANDS"])
    command: Command = module.COMMANDS[name]
    if last.startswith("-"):
        return [*(f"--{option.name}" for option in command.options), "--help"]
    takes_value = {f"--{option.name}" for option in command.options if option.kind != BOOL}
    takes_value |= {f"-{option.short}" for option in command.options if option.kind != BOOL and option.short}
    if rest and rest[-1] in takes_value:
        return _values(rest[-1], place)
    return _names(command.arguments, place)


def _values(option: str, place: Roots) -> Iterable[str]:
    if option in ("--network", "--net"):
        return ["none", "host", *(f"container:{name}" for name in _containers(place))]
    return []


def _names(arguments: str, place: Roots) -> Iterable[str]:
    """Names of what the command's arguments speak of."""
    from tuidock.engine import Engine

    try:
        if arguments.startswith("CONTAINER"):
            return _containers(place)
        if "IMAGE" in arguments or "REPOSITORY" in arguments:
            images = Engine(place).images.list()
            tagged = [image for image in images if not image.dangling]
            short = [image.repository for image in tagged if image.tag == "latest"]
            return [*short, *(f"{image.repository}:{image.tag}" for image in tagged)]
        if "CONTAINER" in arguments or "NAME" in arguments:
            return _containers(place)
        if "VOLUME" in arguments:
            return [volume.name for volume in Engine(place).volumes.list()]
    except TuidockError:
        pass  # without the right to look there is nothing to offer
    return []


def _containers(place: Roots) -> list[str]:
    from tuidock.engine import Engine

    return [container.name for container in Engine(place).containers.list(all=True)]


COMMANDS = {
    "completion": Command(completion, "bash|zsh|fish", (), 1, UNLIMITED, stops=True),
}
