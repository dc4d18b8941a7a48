"""`tuidock inspect`: what is known of containers, images, volumes and networks, as docker's JSON or by a template."""

from __future__ import annotations

import json
import sys

from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.formats import BAD_FORMAT, OBJECT_FORMAT, parsed
from tuidock.cli.main import message
from tuidock.cli.templates import TemplateError
from tuidock.cli.templates.values import typed
from tuidock.engine import Engine
from tuidock.engine.options import TEXT, Option
from tuidock.errors import NotFound, TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tuidock.cli.templates import Template
    from tuidock.storage.paths import Roots

KINDS = ("container", "image", "volume", "network")


class UnknownType(UsageError):
    exit_status = 1


def inspect(words: Words, place: Roots) -> int:
    kind = words.text("type")
    if "type" in words.given and kind not in KINDS:
        raise UnknownType(f'unknown type: "{kind}": must be one of "container", "image", "volume", "network"')
    return show(words, place, (kind,) if kind else KINDS, size=words.flag("size"))


def of_kind(kind: str) -> Callable[[Words, Roots], int]:
    return lambda words, place: show(words, place, (kind,), size=kind == "container" and words.flag("size"))


def show(words: Words, place: Roots, kinds: tuple[str, ...], *, size: bool) -> int:
    """Everything that was found is shown; what was not is told after it, and the exit status is 1 then."""
    engine = Engine(place)
    form = words.text("format")
    template = _template(form)
    found: list[dict[str, Any]] = []
    errors: list[str] = []
    for name in words.arguments:
        try:
            found.append(look_up(engine, name, kinds, size=size))
        except NotFound as error:
            errors.append(message(error) if len(kinds) == 1 else f"Error: No such object: {name}\n")
        except TuidockError as error:
            errors.append(message(error))
    if template:
        for value in found:
            sys.stdout.write(f"{fill(template, value)}\n")
    elif form == "json":
        sys.stdout.write(json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n")
    else:
        sys.stdout.write(json.dumps(found, ensure_ascii=False, indent=4) + "\n")
    sys.stdout.flush()
    sys.stderr.write("".join(errors))
    return 1 if errors else 0


def _template(form: str) -> Template | None:
    """None for JSON."""
    if form in ("", "json"):
        return None
    try:
        return parsed(form)
    except TemplateError as error:
        error.exit_status = BAD_FORMAT
        raise


def fill(template: Template, value: dict[str, Any]) -> str:
    """As docker: by the types that it has for the object, and if that fails by the bare JSON, where a missing key counts."""
    try:
        return template.fill(typed(value))
    except TemplateError:
        pass
    try:
        return template.fill(value, strict=True)
    except TemplateError as error:
        raise TemplateError(f"template parsing error: {error.message}") from None


def look_up(engine: Engine, name: str, kinds: tuple[str, ...], *, size: bool = False) -> dict[str, Any]:
    """The object of a name: a container's, else an image's, a volume's, a network's.  Raises NotFound."""
    missing: NotFound | None = None
    for kind in kinds:
        try:
            if kind == "container":
                return _container(engine, name, size=size)
            if kind == "network":
                value = engine.networks.inspect(name)
            else:
                value = engine.images.inspect(name) if kind == "image" else engine.volumes.inspect(name)
            if size:
                print(f"WARNING: --size ignored for {kind}", file=sys.stderr)
            return value
        except NotFound as error:
            missing = missing or error
    assert missing is not None
    raise missing


def _container(engine: Engine, name: str, *, size: bool) -> dict[str, Any]:
    value = engine.containers.inspect(name)
    if size:
        from tuidock.cli.ps import sizes

        value["SizeRw"], value["SizeRootFs"] = sizes(engine, engine.containers.get(value["Id"]))
    return value


SIZE = Option("size", "s", meaning="Display total file sizes if the type is container")
TYPE = Option("type", "", TEXT, "Only inspect objects of the given type")

COMMANDS = {
    "inspect": Command(inspect, "NAME|ID [NAME|ID...]", (OBJECT_FORMAT, SIZE, TYPE), 1, UNLIMITED),
    "container inspect": Command(of_kind("container"), "CONTAINER [CONTAINER...]", (OBJECT_FORMAT, SIZE), 1, UNLIMITED),
    "image inspect": Command(of_kind("image"), "IMAGE [IMAGE...]", (OBJECT_FORMAT,), 1, UNLIMITED, later="platform"),
    "volume inspect": Command(of_kind("volume"), "VOLUME [VOLUME...]", (OBJECT_FORMAT,), 1, UNLIMITED),
}
