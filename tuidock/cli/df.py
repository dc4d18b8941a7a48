"""`tuidock system df`: what lies on the disk, and what of it would go."""

from __future__ import annotations

import sys
import time

from tuidock.cli.flags import Command, Words
from tuidock.cli.formats import FORMAT, Listing, row
from tuidock.cli.images import TITLES as IMAGE_TITLES
from tuidock.cli.images import image_row
from tuidock.cli.output import human_size
from tuidock.cli.prune import disk_usage
from tuidock.cli.ps import TITLES as CONTAINER_TITLES
from tuidock.cli.ps import container_row, sizes
from tuidock.cli.volume import TITLES as VOLUME_TITLES
from tuidock.engine import Engine
from tuidock.engine.options import Option

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.storage.paths import Roots

TITLES = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
TABLE = "{{.Type}}\t{{.TotalCount}}\t{{.Active}}\t{{.Size}}\t{{.Reclaimable}}"


def df(words: Words, place: Roots) -> int:
    engine = Engine(place)
    if words.flag("verbose"):
        return _verbose(engine)
    images = {image.id: image for image in engine.images.list(all=True)}
    containers = engine.containers.list(all=True)
    volumes = engine.volumes.list()
    own = {container.id: sizes(engine, container)[0] for container in containers}
    used = {volume.name: disk_usage(volume.mountpoint) for volume in volumes}
    whole = sum(image.size for image in images.values())
    unused = sum(image.size for image in images.values() if not image.containers)
    running = [container for container in containers if container.running]
    linked = [volume for volume in volumes if volume.containers]
    rows = [
        _row("Images", len(images), sum(image.containers > 0 for image in images.values()), whole, unused),
        _row(
            "Containers",
            len(containers),
            len(running),
            sum(own.values()),
            sum(own[container.id] for container in containers if not container.running),
        ),
        _row(
            "Local Volumes",
            len(volumes),
            len(linked),
            sum(used.values()),
            sum(used[volume.name] for volume in volumes if not volume.containers),
        ),
        _row("Build Cache", 0, 0, 0, 0),
    ]
    Listing(TITLES, TABLE).print(rows, words.text("format"))
    return 0


def _row(kind: str, total: int, active: int, size: int, reclaimable: int) -> Row:
    share = f" ({100 * reclaimable // size}%)" if size else ""
    return row(
        "diskUsageContext",
        Type=kind,
        TotalCount=str(total),
        Active=str(active),
        Size=human_size(size),
        Reclaimable=human_size(reclaimable) + share,
    )


def _verbose(engine: Engine) -> int:
    now = time.time_ns()
    images = [image_row(image, now=now, full=False) | {"Containers": str(image.containers)} for image in engine.images.list()]
    containers = [container_row(engine, one, now=now, full=False, sized=True) for one in engine.containers.list(all=True)]
    volumes = [
        row("volumeContext", Name=one.name, Links=str(len(one.containers)), Size=human_size(disk_usage(one.mountpoint)))
        for one in engine.volumes.list()
    ]
    image_table = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}\t{{.Containers}}"
    container_table = (
        "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.LocalVolumes}}\t{{.Size}}\t{{.RunningFor}}\t{{.Status}}\t{{.Names}}"
    )
    for title, listing, rows in (
        ("Images", Listing(IMAGE_TITLES, image_table), images),
        ("Containers", Listing(CONTAINER_TITLES, container_table), containers),
        ("Local Volumes", Listing(VOLUME_TITLES, "{{.Name}}\t{{.Links}}\t{{.Size}}"), volumes),
    ):
        sys.stdout.write(f"{title} space usage:\n\n{listing.text(rows, '')}\n")  # type: ignore[arg-type]
    print("Build cache usage: 0B")
    return 0


COMMANDS = {
    "system df": Command(df, options=(FORMAT, Option("verbose", "v", meaning="Show detailed information on space usage")))
}
