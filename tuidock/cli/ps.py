"""`tuidock ps`: containers, filtered, as docker's table or by a template."""

from __future__ import annotations

import time

from tuidock.cli.filters import FILTER, BadFilter, Filters
from tuidock.cli.flags import Command, Words
from tuidock.cli.formats import FORMAT, Listing, label_list, label_method, row
from tuidock.cli.output import ago, ellipsis, human_size, local_time, short_id, status_text
from tuidock.cli.templates import TemplateError
from tuidock.engine import Engine, health
from tuidock.engine.options import INTEGER, Option
from tuidock.engine.quantities import quote
from tuidock.errors import NotFound, TuidockError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.engine.reconcile import Container
    from tuidock.storage.paths import Roots

COMMAND_WIDTH, MOUNT_WIDTH = 20, 15
STATUSES = ("created", "running", "paused", "restarting", "removing", "exited", "dead")
KNOWN = ("ancestor", "before", "exited", "health", "id", "label", "name", "network", "since", "status", "volume")
TITLES = {
    "ID": "CONTAINER ID",
    "Names": "NAMES",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Ports": "PORTS",
    "State": "STATE",
    "Status": "STATUS",
    "Size": "SIZE",
    "Labels": "LABELS",
    "Mounts": "MOUNTS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Networks": "NETWORKS",
    "Platform": "PLATFORM",
}
TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"


def ps(words: Words, place: Roots) -> int:
    engine = Engine(place)
    form = words.text("format")
    sized = words.flag("size") or ".Size" in form or form.strip() == "{{json .}}"
    listing = Listing(TITLES, TABLE + ("\t{{.Size}}" if words.flag("size") else ""))
    now = time.time_ns()
    rows = [
        container_row(engine, container, now=now, full=words.flag("no-trunc"), sized=sized)
        for container in chosen(engine, words)
    ]
    try:
        listing.print(rows, form, quiet=words.flag("quiet"))
    except TemplateError as error:
        error.message = error.message.replace("template parsing error: template: :", "failed to execute template: template: :")
        raise
    return 0


def chosen(engine: Engine, words: Words) -> list[Container]:
    """The containers that were asked for, newest first."""
    filters = Filters(words.many("filter"), KNOWN)
    for value in filters.values.get("status", ()):
        if value not in STATUSES:
            raise BadFilter(f"invalid filter 'status={value}'", f"one of {', '.join(STATUSES)}")
    last = 1 if words.flag("latest") else words["last"]
    every = words.flag("all") or last >= 0 or "status" in filters or "exited" in filters
    found = [container for container in engine.containers.list(all=every) if _passes(container, filters, engine.roots)]
    for key, before in (("before", True), ("since", False)):
        for name in filters.values.get(key, ()):
            bound = engine.containers.get(name).created_at
            found = [one for one in found if (one.created_at < bound if before else one.created_at > bound)]
    if "ancestor" in filters:
        found = _descended(engine, found, filters.values["ancestor"])
    return found[:last] if last >= 0 else found


def _passes(container: Container, filters: Filters, roots: Roots) -> bool:
    codes = filters.values.get("exited")
    if codes is not None:
        if not all(code.lstrip("-").isdecimal() for code in codes):
            raise BadFilter(f"invalid filter 'exited={codes[-1]}'", "an exit status")
        if container.status != "exited" or str(container.exit_code) not in codes:
            return False
    volumes = [*container.mounts, *(mount["destination"] for mount in container.config["Mounts"])]
    return (
        filters.matching("id", container.id)
        and filters.matching("name", container.name)
        and filters.exact("status", container.status)
        and ("health" not in filters or filters.exact("health", health.status(container, roots)))
        and filters.exact("network", *container.networks)
        and filters.exact("volume", *volumes)
        and filters.labels(container.labels)
    )


def _descended(engine: Engine, containers: list[Container], names: list[str]) -> list[Container]:
    """Those of an image, or of one that stands on all its layers."""
    stacks: list[tuple[str, ...]] = []
    ids: list[str] = []
    for name in names:
        try:
            image = engine.images.get(name)
        except NotFound:
            continue
        stacks.append(image.chain_ids)
        ids.append(image.id)
    return [
        one
        for one in containers
        if one.image_id in ids or any(stack and one.chain_ids[: len(stack)] == stack for stack in stacks)
    ]


def container_row(engine: Engine, container: Container, *, now: int, full: bool, sized: bool) -> Row:
    command = " ".join(f"'{word}'" if " " in word else word for word in container.command)
    command = command.encode("utf-8", "surrogateescape").decode("utf-8", "replace")  # as JSON makes it in docker
    volumes = sum(mount["kind"] == "volume" for mount in container.config["Mounts"])
    return row(
        "ContainerContext",
        ID=container.id if full else short_id(container.id),
        Names=container.name,
        Image=_image(engine, container, full=full),
        Command=quote(command if full else ellipsis(command, COMMAND_WIDTH)),
        CreatedAt=local_time(container.created_at),
        RunningFor=ago(container.created_at, now),
        Ports=container.ports if container.running else "",
        State=container.status,
        Status=status_text(container, now, health.status(container, engine.roots)),
        Size=_size(engine, container) if sized else "0B",
        Labels=label_list(container.labels),
        Label=label_method(container.labels),
        Mounts=",".join(name if full else ellipsis(name, MOUNT_WIDTH) for name in container.mounts),
        LocalVolumes=str(volumes),
        Networks=",".join(container.networks),
        Platform=None,
    )


def _image(engine: Engine, container: Container, *, full: bool) -> str:
    """As it was asked for, while that leads to the container's image; else that one's id."""
    name = container.image
    try:
        if engine.images.get(name).id != container.image_id:
            name = container.image_id
    except TuidockError:
        name = container.image_id
    if full:
        return name
    if name.startswith("sha256:") or (len(name) == 64 and all(digit in "0123456789abcdef" for digit in name)):
        return short_id(name)
    return name.partition("@")[0]


def sizes(engine: Engine, container: Container) -> tuple[int, int]:
    """Bytes of its read-write layer, and of that with its image."""
    stack = engine.containers.layers(container.id)
    own = sum(entry.size for entry in stack.rw)
    return own, own + sum(layer.size for layer in stack.layers)


def _size(engine: Engine, container: Container) -> str:
    own, whole = sizes(engine, container)
    return f"{human_size(own, 3)} (virtual {human_size(whole, 3)})"


COMMANDS = {
    "ps": Command(
        ps,
        options=(
            Option("all", "a", meaning="Show all containers (default shows just running)"),
            FILTER,
            FORMAT,
            Option("last", "n", INTEGER, "Show n last created containers (includes all states)", -1),
            Option("latest", "l", meaning="Show the latest created container (includes all states)"),
            Option("no-trunc", meaning="Don't truncate output"),
            Option("quiet", "q", meaning="Only display container IDs"),
            Option("size", "s", meaning="Display total file sizes"),
        ),
    )
}
