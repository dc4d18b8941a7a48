"""`tuidock volume create`, `ls` and `rm`."""

from __future__ import annotations

from tuidock.cli.each import each
from tuidock.cli.filters import FILTER, Filters
from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.formats import FORMAT, Listing, label_list, label_method, row
from tuidock.cli.run import labels
from tuidock.engine import Engine
from tuidock.engine.options import LIST, TEXT, Option
from tuidock.errors import TuidockError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.engine.volumes import Volume
    from tuidock.storage.paths import Roots

TITLES = {
    "Name": "VOLUME NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "Mountpoint": "MOUNTPOINT",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Size": "SIZE",
    "Status": "STATUS",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
}
UNKNOWN = "N/A"


class NoDriver(UsageError):
    exit_status = 1


def create(words: Words, place: Roots) -> int:
    name = words.text("name")
    if name and words.arguments:
        raise NoDriver("conflicting options: cannot specify a volume-name through both --name and as a positional arg")
    driver = words.text("driver")
    if driver != "local":
        raise NoDriver(f"create {name}: error looking up volume plugin {driver}: not found", "there is only `local`")
    name = name or (words.arguments or [""])[0]
    pairs = dict(word.partition("=")[::2] for word in labels(words))
    try:
        print(Engine(place).volumes.create(name, pairs))
    except TuidockError as error:
        error.exit_status = 1
        raise
    return 0


def ls(words: Words, place: Roots) -> int:
    filters = Filters(words.many("filter"), ("dangling", "driver", "label", "name"))
    dangling = filters.truth("dangling")
    found = [
        volume
        for volume in Engine(place).volumes.list()
        if filters.labels(volume.labels)
        and filters.matching("name", volume.name)
        and filters.exact("driver", volume.driver)
        and dangling in (None, not volume.containers)
    ]
    listing = Listing(TITLES, "{{.Driver}}\t{{.Name}}", "{{.Name}}")
    listing.print(map(_row, found), words.text("format"), quiet=words.flag("quiet"))
    return 0


def _row(volume: Volume) -> Row:
    return row(
        "volumeContext",
        Name=volume.name,
        Driver=volume.driver,
        Scope="local",
        Mountpoint=volume.mountpoint,
        Labels=label_list(volume.labels),
        Label=label_method(volume.labels),
        Links=UNKNOWN,
        Size=UNKNOWN,
        Status=UNKNOWN,
        Availability=UNKNOWN,
        Group=UNKNOWN,
    )


def remove(words: Words, place: Roots) -> int:
    volumes = Engine(place).volumes
    return each(words.arguments, lambda name: volumes.remove(name, force=words.flag("force")))


COMMANDS = {
    "volume create": Command(
        create,
        "[VOLUME]",
        (
            Option("driver", "d", TEXT, "Specify volume driver name", "local"),
            Option("label", "", LIST, "Set metadata for a volume"),
            Option("label-file", "", LIST, "Read in a line delimited file of labels"),
            Option("name", "", TEXT, "Specify volume name"),
        ),
        0,
        1,
        later="opt",
        later_short={"o": "opt"},
    ),
    "volume ls": Command(
        ls,
        options=(
            FILTER.replace(meaning='Provide filter values (e.g. "dangling=true")'),
            FORMAT,
            Option("quiet", "q", meaning="Only display volume names"),
        ),
    ),
    "volume rm": Command(
        remove,
        "VOLUME [VOLUME...]",
        (Option("force", "f", meaning="Force the removal of one or more volumes"),),
        1,
        UNLIMITED,
    ),
}
