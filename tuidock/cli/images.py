"""`tuidock images`, `history`, `rmi` and `tag`."""

from __future__ import annotations

import sys
import time
from fnmatch import fnmatchcase

from tuidock.cli.filters import FILTER, Filters
from tuidock.cli.flags import UNLIMITED, Command, Words
from tuidock.cli.formats import FORMAT, Listing, row
from tuidock.cli.main import message
from tuidock.cli.output import ago, ellipsis, human_size, local_time, rfc3339, short_id
from tuidock.engine import Engine
from tuidock.engine.options import Option
from tuidock.errors import TuidockError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.cli.templates.values import Row
    from tuidock.image.views import HistoryRow, ImageSummary
    from tuidock.storage.paths import Roots

KNOWN = ("before", "dangling", "label", "reference", "since", "until")
TITLES = {
    "ID": "IMAGE ID",
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "Containers": "CONTAINERS",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}
TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
WITH_DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
HISTORY_TITLES = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
CREATED_BY_WIDTH = 45
UNKNOWN = "N/A"


def images(words: Words, place: Roots) -> int:
    engine = Engine(place)
    now = time.time_ns()
    rows = [image_row(image, now=now, full=words.flag("no-trunc")) for image in chosen(engine, words)]
    listing = Listing(TITLES, WITH_DIGESTS if words.flag("digests") else TABLE)
    listing.print(rows, words.text("format"), quiet=words.flag("quiet"))
    return 0


def chosen(engine: Engine, words: Words) -> list[ImageSummary]:
    """The images that were asked for, newest first."""
    filters = Filters(words.many("filter"), KNOWN)
    found = [one for one in engine.images.list(all=words.flag("all")) if filters.labels(one.labels)]
    dangling = filters.truth("dangling")
    if dangling is not None:
        found = [one for one in found if one.dangling == dangling]
    for pattern in words.arguments:
        found = [one for one in found if refers(one, pattern)]
    if "reference" in filters:
        found = [one for one in found if any(refers(one, pattern) for pattern in filters.values["reference"])]
    ages = {one.id: one.created_at for one in engine.images.list(all=True)}
    for name in filters.values.get("before", ()):
        bound = ages[engine.images.get(name).id]
        found = [one for one in found if one.created_at < bound]
    for name in filters.values.get("since", ()):
        bound = ages[engine.images.get(name).id]
        found = [one for one in found if one.created_at > bound]
    for text in filters.values.get("until", ()):
        from tuidock.cli.times import moment

        bound = moment(text, "until")
        found = [one for one in found if one.created_at < bound]
    return found


def refers(image: ImageSummary, pattern: str) -> bool:
    """Whether REPOSITORY or REPOSITORY:TAG is the image's; with `*`, `?` and `[a-z]`, which stop at a slash."""
    if image.dangling:
        return False
    name = image.repository
    pattern = pattern.removeprefix("docker.io/").removeprefix("library/")
    repository, sign, tag = pattern.rpartition(":")
    if not sign or "/" in tag:
        repository, tag = pattern, "*"
    same_depth = repository.count("/") == name.count("/")
    return same_depth and fnmatchcase(name, repository) and fnmatchcase(image.tag, tag)


def image_row(image: ImageSummary, *, now: int, full: bool) -> Row:
    return row(
        "imageContext",
        ID=image.id if full else short_id(image.id),
        Repository=image.repository,
        Tag=image.tag,
        Digest=image.digest or "<none>",
        CreatedSince=ago(image.created_at, now) if image.created_at else UNKNOWN,
        CreatedAt=local_time(image.created_at) if image.created_at else UNKNOWN,
        Size=human_size(image.size, 3),
        Containers=UNKNOWN,
        VirtualSize=human_size(image.size),
        SharedSize=UNKNOWN,
        UniqueSize=UNKNOWN,
    )


def history(words: Words, place: Roots) -> int:
    human, full = words.flag("human"), words.flag("no-trunc")
    now = time.time_ns()
    steps = Engine(place).images.history(words.arguments[0])
    rows = [_history_row(step, now=now, full=full, human=human) for step in steps]
    created = "{{.CreatedSince}}" if human else "{{.CreatedAt}}"
    listing = Listing(HISTORY_TITLES, f"{{{{.ID}}}}\t{created}\t{{{{.CreatedBy}}}}\t{{{{.Size}}}}\t{{{{.Comment}}}}")
    listing.print(rows, words.text("format"), quiet=words.flag("quiet"))
    return 0


def _history_row(step: HistoryRow, *, now: int, full: bool, human: bool) -> Row:
    created_by = step.created_by.replace("\t", " ")
    return row(
        "historyContext",
        ID=step.id if full or not step.id.startswith("sha256:") else short_id(step.id),
        CreatedSince=ago(step.created_at, now) if step.created_at else UNKNOWN,
        CreatedAt=rfc3339(step.created_at, fraction=False) if step.created_at else "",
        CreatedBy=created_by if full else ellipsis(created_by, CREATED_BY_WIDTH),
        Size=human_size(step.size, 3) if human else str(step.size),
        Comment=step.comment,
    )


def remove(words: Words, place: Roots) -> int:
    """One after the other: two of them may share their layers."""
    found = Engine(place).images
    status = 0
    for name in words.arguments:
        try:
            for line in found.remove(name, force=words.flag("force"), prune=not words.flag("no-prune")):
                print(line)
        except TuidockError as error:
            sys.stdout.flush()
            sys.stderr.write(message(error))
            status = 1
    return status


def tag(words: Words, place: Roots) -> int:
    source, target = words.arguments
    try:
        Engine(place).images.tag(source, target)
    except TuidockError as error:
        error.exit_status = 1
        raise
    return 0


COMMANDS = {
    "images": Command(
        images,
        "[REPOSITORY[:TAG]]",
        (
            Option("all", "a", meaning="Show all images (default hides intermediate images)"),
            Option("digests", meaning="Show digests"),
            FILTER,
            FORMAT,
            Option("no-trunc", meaning="Don't truncate output"),
            Option("quiet", "q", meaning="Only show image IDs"),
        ),
        0,
        1,
        later="tree",
    ),
    "history": Command(
        history,
        "IMAGE",
        (
            FORMAT,
            Option("human", "H", meaning="Print sizes and dates in human readable format", default=True),
            Option("no-trunc", meaning="Don't truncate output"),
            Option("quiet", "q", meaning="Only show image IDs"),
        ),
        1,
        1,
        later="platform",
    ),
    "rmi": Command(
        remove,
        "IMAGE [IMAGE...]",
        (
            Option("force", "f", meaning="Force removal of the image"),
            Option("no-prune", meaning="Do not delete untagged parents"),
        ),
        1,
        UNLIMITED,
        later="platform",
    ),
    "tag": Command(tag, "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", (), 2, 2),
}
