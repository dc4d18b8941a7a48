"""What is seen of images: the rows of `images` and `history`, the object of `inspect`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuidock.image.times import nanoseconds, rfc3339
from tuidock.oci.jsontext import loads
from tuidock.oci.reference import familiar
from tuidock.oci.value import Value

if TYPE_CHECKING:
    from tuidock.image.store import Image
    from tuidock.storage.database import Database
    from tuidock.storage.layers import Layers

NONE = "<none>"
MISSING = "<missing>"


class ImageSummary(Value):
    """A line of `docker images`: one for each name, and one for an image without."""

    id: str
    repository: str
    """`<none>` for an image without a name"""
    tag: str
    digest: str
    """of the manifest"""
    size: int
    """bytes of all its layers unpacked, also of those that it shares"""
    created_at: int
    """ns since the epoch; 0 if the image does not say"""
    labels: dict[str, str]
    containers: int
    """how many containers were made from it"""
    dangling: bool
    """no name leads to it any more"""


class HistoryRow(Value):
    """A line of `docker history`."""

    id: str
    """the image's for the newest step; `<missing>` for the others, as in Docker"""
    created_at: int
    """ns since the epoch"""
    created_by: str
    size: int
    """bytes that the step's layer has"""
    comment: str
    empty: bool
    """the step changed the config only"""


def summaries(database: Database) -> list[ImageSummary]:
    """All images, newest first."""
    rows = database.rows(
        "SELECT images.id, tags.reference, images.manifest, images.size, images.created, images.config,"
        " (SELECT count(*) FROM containers WHERE containers.image = images.id)"
        " FROM images LEFT JOIN tags ON tags.image = images.id ORDER BY tags.reference"
    )
    found = [_summary(*row) for row in rows]
    found.sort(key=lambda summary: summary.created_at, reverse=True)
    return found


def _summary(
    image_id: str, reference: str | None, manifest: str, size: int, created: str, config: str, containers: int
) -> ImageSummary:
    repository, tag = NONE, NONE
    if reference:
        repository, _, tag = familiar(reference).rpartition(":")
    labels = (loads(config).get("config") or {}).get("Labels") or {}
    return ImageSummary(
        image_id, repository, tag, manifest, size, nanoseconds(created), labels, containers, dangling=not reference
    )


def history(image: Image, layers: Layers) -> list[HistoryRow]:
    """Newest first.  An image that tells less than it has layers gets a line for each of the others."""
    chain = list(image.chain_ids)
    steps: list[dict[str, Any]] = list(image.config.get("history") or ())
    told = sum(not step.get("empty_layer") for step in steps)
    steps = [{} for _ in range(len(chain) - told)] + steps
    rows = []
    for step in steps:
        empty = bool(step.get("empty_layer")) or not chain
        size = 0 if empty else layers.size(chain.pop(0))
        created_at = nanoseconds(str(step.get("created") or ""))
        row = HistoryRow(MISSING, created_at, str(step.get("created_by") or ""), size, str(step.get("comment") or ""), empty)
        rows.append(row)
    rows.reverse()
    return [rows[0].replace(id=image.id), *rows[1:]] if rows else []


def inspect(image: Image, database: Database, layers: Layers) -> dict[str, Any]:
    """Docker's object of `docker image inspect`."""
    config = image.config
    tags = database.rows("SELECT reference, tagged_at FROM tags WHERE image = ? ORDER BY reference", (image.id,))
    names = [familiar(reference) for reference, _ in tags]
    repositories = sorted({name.rpartition(":")[0] for name in names})
    trees = [layers.path(chain_id) for chain_id in reversed(image.chain_ids)]
    inner = dict(config.get("config") or {})
    inner.setdefault("Env", None)
    inner.setdefault("Cmd", None)
    driver = {"UpperDir": trees[0], "LowerDir": ":".join(trees[1:])} if trees else {}
    return {
        "Id": image.id,
        "RepoTags": names,
        "RepoDigests": [f"{repository}@{image.manifest}" for repository in repositories],
        "Parent": "",
        "Comment": config.get("comment") or _last_comment(config),
        "Created": config.get("created") or "",
        "DockerVersion": config.get("docker_version") or "",
        "Author": config.get("author") or "",
        "Architecture": config.get("architecture") or "",
        **({"Variant": config["variant"]} if config.get("variant") else {}),
        "Os": config.get("os") or "linux",
        "Size": image.size,
        "GraphDriver": {"Name": "overlay2", "Data": driver},
        "RootFS": {"Type": "layers", "Layers": list((config.get("rootfs") or {}).get("diff_ids") or ())},
        "Metadata": {"LastTagTime": rfc3339(max((tagged_at for _, tagged_at in tags), default=0))},
        "Config": inner,
    }


def _last_comment(config: dict[str, Any]) -> str:
    steps = config.get("history") or ()
    return str(steps[-1].get("comment") or "") if steps else ""
