"""A container's read-write layer on top of its image: the new image's documents, and the layer on its way in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tuidock.errors import Conflict
from tuidock.image.intake import NewImage
from tuidock.oci import image as documents
from tuidock.oci.digest import chain_ids

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tuidock.image.intake import Intake, NewLayer
    from tuidock.image.store import Image
    from tuidock.oci.reference import Reference

EMPTY = "sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef"
"""The diff id of a layer with nothing in it: of the 1024 zeros that end an archive."""
KEPT = ("architecture", "os", "os.version", "os.features", "variant")
"""What an image has from the one that it stands on."""


def below(intake: Intake, base: Image) -> list[NewLayer]:
    """The layers of an image that is here, lowest first.  Raises Conflict if one of them has lost its blob."""
    _, diff_ids = documents.parse_config(documents.compact(base.config), base.id)
    layers = []
    for chain_id, diff_id in zip(chain_ids(diff_ids), diff_ids, strict=True):
        layer = intake.known(chain_id, diff_id)
        if layer is None:
            raise Conflict(f"layer {diff_id} of image {base.id} is not here any more", "load the image again, then commit")
        layers.append(layer)
    return layers


def committed(
    intake: Intake, base: Image, inner: dict[str, Any], layers: Sequence[NewLayer], layer: NewLayer, step: dict[str, Any],
    names: Sequence[Reference],
) -> NewImage:  # fmt: skip
    """The image of `base`, its `layers` and one more.  inner: Env, Cmd and so on.  step: the new line of its history.

    A layer in which nothing is becomes a step that changed no file.
    """
    stack = list(layers)
    if layer.diff_id == EMPTY:
        step = {**step, "empty_layer": True}
    else:
        stack.append(layer)
    config = {key: base.config[key] for key in KEPT if base.config.get(key)}
    config |= {key: step[key] for key in ("author", "comment", "created") if key in step}
    config |= {
        "config": inner,
        "history": [*(base.config.get("history") or ()), step],
        "rootfs": {"type": "layers", "diff_ids": [one.diff_id for one in stack]},
    }
    content = documents.compact(dict(sorted(config.items())))
    described = intake.document(documents.CONFIG, content)
    manifest = documents.Manifest(described, tuple(one.blob for one in stack)).as_bytes()
    intake.document(documents.MANIFEST, manifest)
    return NewImage(content, manifest, tuple(stack), tuple(names))
