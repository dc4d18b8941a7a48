"""The documents of an image: descriptor, index, manifest, config.

Both families of media types are read, OCI's and Docker's; what we write is OCI's.  Every document from outside is checked
here before anything is done with it.  Sources: image-spec, descriptor.md, image-index.md, manifest.md, config.md;
distribution, "Image Manifest Version 2, Schema 2".
"""

from __future__ import annotations

import json
import os
from typing import Any

from tuidock.errors import Refused
from tuidock.oci.digest import checked, digest
from tuidock.oci.value import Value

CONFIG_LIMIT = 8 << 20
MANIFEST_LIMIT = 4 << 20
LAYER_LIMIT = 500
"""Layers of one image.  overlayfs stops at 500."""

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = LAYER + "+gzip"
LAYER_ZSTD = LAYER + "+zstd"
DOCKER_INDEX = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
INDEXES, MANIFESTS, CONFIGS = (INDEX, DOCKER_INDEX), (MANIFEST, DOCKER_MANIFEST), (CONFIG, DOCKER_CONFIG)

REF_NAME = "org.opencontainers.image.ref.name"
IMAGE_NAME = "io.containerd.image.name"
"""containerd's annotation for a whole reference, where `ref.name` may be a tag only; Docker 25 writes both."""

MACHINES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386", "ppc64le": "ppc64le"}


class Descriptor(Value):
    """Points at a blob: what it is, what it hashes to, how long it is.  image-spec, descriptor.md."""

    media_type: str
    digest: str
    """Of the bytes as stored, so of the *compressed* layer; a diff id is of the uncompressed one."""
    size: int
    """Bytes as stored.  A transfer that brings one more or one fewer is refused."""
    annotations: dict[str, str] = {}
    platform: dict[str, Any] = {}
    """as the index has it: os, architecture, variant; empty outside of one"""

    def as_json(self) -> dict[str, Any]:
        """The object of the specification."""
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.platform:
            value["platform"] = self.platform
        if self.annotations:
            value["annotations"] = self.annotations
        return value


class Manifest(Value):
    """Names the config and the layers of one image, lowest layer first."""

    config: Descriptor
    layers: tuple[Descriptor, ...]

    def as_bytes(self) -> bytes:
        """OCI's form, always the same bytes for the same value."""
        value = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.config.as_json(),
            "layers": [layer.as_json() for layer in self.layers],
        }
        return compact(value)


def compact(value: object) -> bytes:
    """JSON without spaces, in UTF-8, keys in the order they have."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()


def described(media_type: str, content: bytes, **fields: Any) -> Descriptor:
    """The descriptor of a document."""
    return Descriptor(media_type, digest(content), len(content), **fields)


def architecture() -> str:
    """This machine's, by Go's names, as images have it."""
    machine = os.uname().machine
    return MACHINES.get(machine, machine)


def parse_json(content: bytes, what: str) -> Any:
    """A value of JSON in UTF-8, without what JSON has not (NaN) or nobody could write again.  Raises Refused."""
    try:
        value = json.loads(content.decode(), parse_constant=_no_constant)
        json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise Refused(f"{what} is not JSON: {error}") from error
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no number of JSON")


def parse_document(content: bytes, what: str) -> dict[str, Any]:
    """An object of JSON.  Raises Refused."""
    value = parse_json(content, what)
    if not isinstance(value, dict):
        raise Refused(f"{what} is not an object of JSON")
    return value


def parse_descriptor(value: object, what: str) -> Descriptor:
    """Raises Refused."""
    if not isinstance(value, dict):
        raise Refused(f"{what}: a descriptor is missing")
    size, annotations, platform = value.get("size"), value.get("annotations") or {}, value.get("platform") or {}
    if not isinstance(size, int) or isinstance(size, bool) or size < 0:
        raise Refused(f"{what}: {size!r} is not a size")
    if not isinstance(annotations, dict) or not isinstance(platform, dict):
        raise Refused(f"{what}: annotations or platform are not an object")
    media_type = value.get("mediaType")
    return Descriptor(
        media_type if isinstance(media_type, str) else "", checked(value.get("digest"), what), size,
        {str(key): str(word) for key, word in annotations.items()}, platform,
    )  # fmt: skip


def parse_index(content: bytes, what: str) -> list[Descriptor]:
    """The manifests that an index lists.  Raises Refused."""
    value = _one_kind(parse_document(content, what), INDEXES, what)
    manifests = value.get("manifests")
    if not isinstance(manifests, list):
        raise Refused(f"{what} is not an index: it lists no manifests")
    return [parse_descriptor(one, what) for one in manifests]


def parse_manifest(content: bytes, what: str) -> Manifest:
    """Raises Refused, also for what is both a manifest and an index (CVE-2021-41190)."""
    value = _one_kind(parse_document(content, what), MANIFESTS, what)
    layers = value.get("layers")
    if not isinstance(layers, list):
        raise Refused(f"{what} is not an image manifest: it lists no layers")
    config = parse_descriptor(value.get("config"), what)
    if config.media_type not in CONFIGS:
        raise Refused(f"{what} is of a {config.media_type or 'nothing'}, not of a container image")
    return Manifest(config, tuple(parse_descriptor(layer, what) for layer in layers))


def parse_config(content: bytes, what: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """An image's config and its diff ids.  Raises Refused if it could not be run or shown."""
    value = parse_document(content, what)
    rootfs = value.get("rootfs")
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
    if not isinstance(diff_ids, list):
        raise Refused(f"{what}: an image's config has rootfs.diff_ids")
    if len(diff_ids) > LAYER_LIMIT:
        raise Refused(f"{what}: {len(diff_ids)} layers", f"{LAYER_LIMIT} are allowed")
    inner, history = value.get("config"), value.get("history")
    if not isinstance(inner, dict | None) or not isinstance(history, list | None):
        raise Refused(f"{what}: config or history have another form than an image's")
    _check_words(inner or {}, what)
    for key in ("architecture", "author", "comment", "created", "os", "variant"):
        if not isinstance(value.get(key), str | None):
            raise Refused(f"{what}: {key} is not a text")
    if not all(isinstance(step, dict) for step in history or ()):
        raise Refused(f"{what}: a step of its history is no object")
    operating_system = value.get("os") or "linux"
    if operating_system != "linux":
        raise Refused(f"the image is for {operating_system}", "only images for linux can be run here")
    return value, tuple(checked(diff_id, what) for diff_id in diff_ids)


def _check_words(inner: dict[str, Any], what: str) -> None:
    for key in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell"):
        words = inner.get(key)
        if words is not None and not (isinstance(words, list) and all(isinstance(word, str) for word in words)):
            raise Refused(f"{what}: {key} is not a list of texts")
    for key in ("Labels", "Volumes", "ExposedPorts"):
        words = inner.get(key)
        if not isinstance(words, dict | None):
            raise Refused(f"{what}: {key} is not an object")
        if key == "Labels" and not all(isinstance(value, str) for value in (words or {}).values()):
            raise Refused(f"{what}: a label is not a text")
    for key in ("User", "WorkingDir", "StopSignal"):
        if not isinstance(inner.get(key), str | None):
            raise Refused(f"{what}: {key} is not a text")


def _one_kind(value: dict[str, Any], media_types: tuple[str, ...], what: str) -> dict[str, Any]:
    if "manifests" in value and ("layers" in value or "config" in value):
        raise Refused(f"{what} is both an index and a manifest")
    said = value.get("mediaType")
    if said is not None and said not in media_types:
        raise Refused(f"{what} says it is {said!r}")
    return value
