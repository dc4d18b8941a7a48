"""commit: what a container has written becomes a layer, and how it was run the config of an image.

The read-write layer alone: the init layer (hosts, hostname, resolv.conf) is never part of an image, and of a volume there is
only the empty directory that it is mounted on, for its content lies elsewhere.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from tuidock.engine import reconcile, views
from tuidock.engine.config import PATH
from tuidock.engine.held import Held
from tuidock.errors import Conflict, UsageError
from tuidock.image import changes, commit
from tuidock.image.config import changed
from tuidock.image.intake import Intake
from tuidock.image.store import Store
from tuidock.image.times import rfc3339
from tuidock.oci.reference import parse
from tuidock.oci.value import Value
from tuidock.runtime.freezing import Frozen

if TYPE_CHECKING:
    from collections.abc import Callable

    from tuidock.engine import Engine
    from tuidock.engine.reconcile import Container
    from tuidock.engine.requests import CommitRequest
    from tuidock.image.changes import Change
    from tuidock.image.intake import Progress
    from tuidock.image.store import Image

NANO = 1_000_000_000


class Preview(Value):
    """What a commit would take."""

    changes: tuple[Change, ...]
    """all that lies in the read-write layer, each directory before what is in it; of kind `` what is as it was below"""
    size: int
    """bytes of its files"""
    mounts: tuple[tuple[str, str], ...]
    """where something is mounted, and what (`volume NAME`, a path of the host, `tmpfs`): its content is not taken"""


def preview(engine: Engine, container: Container) -> Preview:
    """Nothing is made and nobody is stopped."""
    found = tuple(views.changes(engine.roots, container, touched=True))
    mounts = tuple((mount["destination"], _what(mount)) for mount in container.config["Mounts"])
    return Preview(found, sum(change.size for change in found), mounts)


def _what(mount: dict[str, Any]) -> str:
    if mount["kind"] == "volume":
        return f"volume {mount['name'][:12] if mount['anonymous'] else mount['name']}"
    return str(mount["source"] or mount["kind"])


def make(engine: Engine, request: CommitRequest, progress: Callable[[Progress], None] | None = None) -> str:
    """The new image's id.

    Raises NoSuchContainer; UsageError for a bad name or change; Refused for what no layer can hold; Conflict if the image that
    the container was made of is gone.  Nothing is left then.
    """
    container = engine.containers.get(request.container)
    name = parse(request.reference).tagged() if request.reference else None
    if name is not None and name.digest:
        raise UsageError(f"{request.reference} has a digest", "a new image gets its digest from what is in it")
    base = _base(engine, container)
    inner = changed(image_config(container, base), request.changes)
    newest = request.epoch * NANO if request.epoch >= 0 else -1
    with Intake(engine.database, engine.roots, progress) as intake:
        layers = commit.below(intake, base)
        with Held(engine, container.id) as container:
            cgroup = f"{engine.roots.cgroup}/{container.id}" if request.pause and container.status == "running" else ""
            with Frozen(cgroup):
                tar = changes.tar(engine.roots.container(container.id).rw, newest=newest)
                layer = intake.layer(tar, layers, f"reading what {container.name} wrote")
        step = {"created": rfc3339(time.time_ns() if newest < 0 else newest)}
        step["created_by"] = " ".join(container.config["Config"]["Cmd"])
        step |= {key: text for key, text in (("author", request.author), ("comment", request.message)) if text}
        intake.add(commit.committed(intake, base, inner, layers, layer, step, [name] if name else []))
        intake.commit("create")
        image = intake.images[0].id
    told = {"comment": request.message, "imageID": image, "imageRef": name.familiar if name else ""}
    with engine.database.transaction() as transaction:
        transaction.tell("container", "commit", container.id, {**reconcile.attributes(container), **told})
    return image


def _base(engine: Engine, container: Container) -> Image:
    """The image that the container was made of, by its id."""
    store = Store(engine.database, engine.roots)
    if not engine.database.row("SELECT 1 FROM images WHERE id = ?", (container.image_id,)):
        raise Conflict(
            f"the image of container {container.name} is gone: {container.image}",
            "bring it in again, or take the files alone: `tuidock export`",
        )
    return store.find(container.image_id)


def image_config(container: Container, base: Image) -> dict[str, Any]:
    """The config that an image of this container has, before --change: the container's own, without what is its alone.

    moby, daemon/commit.go, `merge`: all but ONBUILD, which was for whoever builds on the image that the container was made of.
    """
    config, image = container.config["Config"], base.config.get("config") or {}
    given = [*(image.get("Env") or ()), *container.request["env"]]
    default = "" if any(word.startswith("PATH=") for word in given) else f"PATH={PATH}"
    anonymous: dict[str, Any] = {text: {} for text in container.request["volumes"] if ":" not in text}
    found = {
        "User": config["User"],
        "ExposedPorts": config["ExposedPorts"],
        "Env": [word for word in config["Env"] if word != default],
        "Entrypoint": config["Entrypoint"],
        "Cmd": config["Cmd"],
        "Healthcheck": config.get("Healthcheck", image.get("Healthcheck")),
        "Volumes": {**config["Volumes"], **anonymous},
        "WorkingDir": config["WorkingDir"],
        "Labels": config["Labels"],
        "StopSignal": container.request["stop_signal"] or image.get("StopSignal"),
        "Shell": image.get("Shell"),
    }
    return {key: value for key, value in found.items() if value}
