"""Taking away what nobody uses: `container prune`, `image prune`, `volume prune`, `system prune`."""

from __future__ import annotations

import os
import sys

from tuidock.cli.filters import Filters
from tuidock.cli.flags import Command, Words
from tuidock.cli.output import human_size
from tuidock.cli.ps import sizes
from tuidock.cli.times import moment
from tuidock.engine import Engine
from tuidock.engine.options import LIST, Option
from tuidock.errors import InUse, NotFound, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.paths import Roots


class NotConfirmed(UsageError):
    """Nobody could be asked, or said no."""

    exit_status = 1


class Pruned:
    """What went, and the bytes that it took."""

    def __init__(self, title: str) -> None:
        self.title = title
        self.lines: list[str] = []
        self.size = 0

    def print(self) -> None:
        if self.lines:
            print(f"Deleted {self.title}:")
            print("".join(f"{line}\n" for line in self.lines))


def containers(engine: Engine, filters: Filters) -> Pruned:
    """Those that do not run."""
    gone = Pruned("Containers")
    until = min((moment(text, "until") for text in filters.values.get("until", ())), default=0)
    for container in engine.containers.list(all=True):
        old = not until or container.created_at < until
        if container.status in ("created", "exited", "dead") and old and filters.labels(container.labels):
            size = sizes(engine, container)[0]
            try:
                engine.containers.remove(container.id)
            except (InUse, NotFound):
                continue  # somebody has started or removed it meanwhile
            gone.lines.append(container.id)
            gone.size += size
    return gone


def images(engine: Engine, filters: Filters, *, all_: bool) -> Pruned:
    """Those without a name; with `all_` those without a container."""
    gone = Pruned("Images")
    until = min((moment(text, "until") for text in filters.values.get("until", ())), default=0)
    for image in engine.images.list(all=True):
        old = not until or image.created_at < until
        unused = image.containers == 0 and (image.dangling or all_)
        if unused and old and filters.labels(image.labels):
            name = image.id if image.dangling else f"{image.repository}:{image.tag}"
            try:
                lines = engine.images.remove(name)
            except (InUse, NotFound):
                continue
            gone.lines += [line[0].lower() + line[1:] for line in lines]
            if any(line.startswith("Deleted:") for line in lines):
                gone.size += image.size
    return gone


def volumes(engine: Engine, filters: Filters, *, all_: bool) -> Pruned:
    """Those that no container uses: anonymous ones; with `all_` named ones, too."""
    gone = Pruned("Volumes")
    for volume in engine.volumes.list():
        if not volume.containers and (all_ or volume.anonymous) and filters.labels(volume.labels):
            size = disk_usage(volume.mountpoint)
            try:
                engine.volumes.remove(volume.name)
            except (InUse, NotFound):
                continue
            gone.lines.append(volume.name)
            gone.size += size
    return gone


def disk_usage(path: str) -> int:
    """Bytes of the files below a directory; one with several names counts once."""
    seen: set[tuple[int, int]] = set()
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            try:
                status = os.lstat(f"{folder}/{name}")
            except FileNotFoundError:
                continue
            if (status.st_dev, status.st_ino) not in seen:
                seen.add((status.st_dev, status.st_ino))
                total += status.st_size
    return total


def confirm(words: Words, warning: str) -> None:
    """Raises NotConfirmed unless -f was given or a person says yes."""
    if words.flag("force"):
        return
    print(f"WARNING! This will remove {warning}.\nAre you sure you want to continue? [y/N] ", end="", flush=True)
    answer = sys.stdin.readline().strip().lower()
    if answer not in ("y", "yes"):
        raise NotConfirmed(f"{words.path} has been cancelled", "-f does not ask")


def _tell(*all_gone: Pruned) -> int:
    for gone in all_gone:
        gone.print()
    print(f"Total reclaimed space: {human_size(sum(gone.size for gone in all_gone))}")
    return 0


def container_prune(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("label", "until"))
    confirm(words, "all stopped containers")
    return _tell(containers(Engine(place), filters))


def image_prune(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("label", "until"))
    all_ = words.flag("all")
    confirm(words, "all images without at least one container associated to them" if all_ else "all dangling images")
    return _tell(images(Engine(place), filters, all_=all_))


def volume_prune(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("all", "label"))
    all_ = words.flag("all") or bool(filters.truth("all"))
    which = "all" if all_ else "anonymous"
    confirm(words, f"{which} local volumes not used by at least one container")
    return _tell(volumes(Engine(place), filters, all_=all_))


def system_prune(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("label", "until"))
    all_, with_volumes = words.flag("all"), words.flag("volumes")
    parts = ["all stopped containers"]
    parts += ["all anonymous volumes not used by at least one container"] if with_volumes else []
    parts += ["all images without at least one container associated to them" if all_ else "all dangling images"]
    confirm(words, "".join(f"\n  - {part}" for part in parts) + "\n")
    engine = Engine(place)
    gone = [containers(engine, filters)]
    if with_volumes:
        gone.append(volumes(engine, filters, all_=False))
    gone.append(images(engine, filters, all_=all_))
    return _tell(*gone)


FORCE = Option("force", "f", meaning="Do not prompt for confirmation")
FILTER = Option("filter", "", LIST, 'Provide filter values (e.g. "until=<timestamp>")', shown_kind="filter")
LABEL_FILTER = FILTER.replace(meaning='Provide filter values (e.g. "label=<label>")')

COMMANDS = {
    "container prune": Command(container_prune, options=(FILTER, FORCE)),
    "image prune": Command(
        image_prune, options=(Option("all", "a", meaning="Remove all unused images, not just dangling ones"), FILTER, FORCE)
    ),
    "volume prune": Command(
        volume_prune,
        options=(Option("all", "a", meaning="Remove all unused volumes, not just anonymous ones"), LABEL_FILTER, FORCE),
    ),
    "system prune": Command(
        system_prune,
        options=(
            Option("all", "a", meaning="Remove all unused images not just dangling ones"),
            FILTER,
            FORCE,
            Option("volumes", meaning="Prune anonymous volumes"),
        ),
    ),
}
