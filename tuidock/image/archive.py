"""load: the archives of `docker save` and of skopeo, as they come through a pipe.

Three layouts: docker-archive as Docker wrote it up to 24 (manifest.json, a folder with layer.tar for each layer), the one
since 25 (that, and an OCI layout around the same blobs), and OCI archives.  Nobody can go back in a pipe and the list of what
belongs together often comes last, so every member becomes a file of the workspace, hashed on the way; nothing is believed of
its name but that its hash must agree with it.
"""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Any

from tuidock.errors import Refused, UsageError
from tuidock.image.compression import chunks_of, opened, plain
from tuidock.image.intake import Intake, NewImage, NewLayer
from tuidock.image.tarheader import clean
from tuidock.image.tarstream import LINK, REGULAR, SYMLINK, TarStream
from tuidock.oci import image as documents
from tuidock.oci.digest import PREFIX, chain_ids
from tuidock.oci.image import Descriptor, Manifest
from tuidock.oci.reference import parse

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import BinaryIO

    from tuidock.image.intake import Progress
    from tuidock.oci.reference import Reference
    from tuidock.storage.database import Database
    from tuidock.storage.paths import Roots

MEMBER_LIMIT = 50_000
"""Four for each layer, as Docker wrote them up to 24."""
NAME_LIMIT = 1024
"""Bytes of a member's name, of which all are kept; real ones stay below 100."""
DEPTH_LIMIT = 4
"""Indexes in indexes; a real one has two."""
DOCUMENTS_LIMIT = 64 << 20
"""Bytes of all manifests and configs together: each is read, and kept until the end.  A config has 10 KB."""
NAMES_LIMIT = 10_000
BLOBS = "blobs/sha256/"
DOCUMENTS = ("manifest.json", "index.json", "oci-layout")


def load(
    database: Database, roots: Roots, stream: BinaryIO, progress: Callable[[Progress], None] | None = None
) -> list[str]:  # fmt: skip
    """Bring in all images of an archive, plain or compressed by any means.

    Returns docker's lines: `Loaded image: NAME` for each name, `Loaded image ID: DIGEST` for an image without one.
    Raises Refused for what is no archive, or is damaged or hostile; nothing of it is kept then.
    """
    with Intake(database, roots, progress) as intake:
        archive = Archive(intake)
        archive.read(stream)
        images = archive.images()
        for image in images:
            intake.add(image)
        lines = intake.commit("load")
    for image in images:
        lines += [f"Loaded image: {name.familiar}" for name in image.names] or [f"Loaded image ID: {image.id}"]
    return lines


class Archive:
    """An archive whose members are in the workspace."""

    def __init__(self, intake: Intake) -> None:
        self.intake = intake
        self.members: dict[str, Descriptor] = {}
        self.links: dict[str, str] = {}
        self.names: dict[str, dict[Reference, None]] = {}
        """of an image's id: its names in order"""
        self._documents = 0
        self._names = 0

    def read(self, stream: BinaryIO) -> None:
        """Take all members in.  Raises Refused."""
        kind, pieces = opened(chunks_of(getattr(stream, "read1", stream.read)))
        archive = TarStream(plain(kind, pieces))
        for number, entry in enumerate(archive):
            if number == MEMBER_LIMIT:
                raise Refused(f"the archive has more than {MEMBER_LIMIT} members", "is it a root file system? `tuidock import`")
            if len(entry.name) > NAME_LIMIT or len(entry.link) > NAME_LIMIT:
                raise Refused(f"the archive has a name of more than {NAME_LIMIT} bytes", "archives of images have none")
            name = "/".join(part.decode("utf-8", "surrogateescape") for part in clean(entry.name))
            if entry.kind == REGULAR:
                if entry.sparse is not None:
                    raise Refused(f"{_visible(name)} is a sparse file", "archives of images have none")
                if name in DOCUMENTS and entry.size > documents.MANIFEST_LIMIT:
                    raise Refused(f"{name} has {entry.size} bytes", f"{documents.MANIFEST_LIMIT} are allowed")
                self.members[name] = self.intake.blob(
                    (bytes(piece) for piece in archive.content()), f"reading {_visible(name)}"
                )
            elif entry.kind in (SYMLINK, LINK):
                target = entry.link.decode("utf-8", "surrogateescape")
                above = posixpath.dirname(name) if entry.kind == SYMLINK else ""
                self.links[name] = posixpath.normpath(posixpath.join(above, target))
        archive.drain()
        for name, member in self.members.items():
            if name.startswith(BLOBS) and member.digest != PREFIX + name.removeprefix(BLOBS):
                raise Refused(f"{_visible(name)} hashes to {member.digest}: the archive is damaged")

    def images(self) -> list[NewImage]:
        """What the archive is about."""
        if "index.json" in self.members and "oci-layout" in self.members:
            return self._of_layout()
        if "manifest.json" in self.members:
            return self._of_manifest_json()
        raise Refused(
            "the archive holds no image: it has neither manifest.json nor index.json",
            "`tuidock import` takes the tar of a root file system",
        )

    def _member(self, name: object) -> Descriptor:
        """By name, over links as old archives have them for layers that two images share."""
        wanted = name if isinstance(name, str) else ""
        for _ in range(8):
            if wanted and wanted in self.members:
                return self.members[wanted]
            wanted = self.links.get(wanted, "")
        raise Refused(f"the archive lacks {_visible(str(name)[:200])}")

    def _name(self, image_id: str, texts: Iterable[object]) -> None:
        """Names for an image; one that is only a digest is none."""
        for text in texts:
            self._names += 1
            if self._names > NAMES_LIMIT:
                raise Refused(f"the archive has more than {NAMES_LIMIT} names of images")
            if reference := _reference(text):
                self.names.setdefault(image_id, {})[reference] = None

    def _named(self, images: Iterable[NewImage]) -> list[NewImage]:
        return [image.replace(names=tuple(self.names.get(image.id, ()))) for image in images]

    def _text(self, member: Descriptor, limit: int, what: str) -> bytes:
        if member.size > limit:
            raise Refused(f"{what} has {member.size} bytes", f"{limit} are allowed")
        self._documents += member.size
        if self._documents > DOCUMENTS_LIMIT:
            raise Refused(f"the archive has more than {DOCUMENTS_LIMIT} bytes of manifests and configs", "images have little")
        with open(self.intake.path(member.digest), "rb") as file:
            return file.read()

    # an OCI layout

    def _of_layout(self) -> list[NewImage]:
        index = self._text(self._member("index.json"), documents.MANIFEST_LIMIT, "index.json")
        self._name_by_config()
        named = set(self.names)
        images: dict[str, NewImage] = {}
        found: dict[str, str] = {}  # of a manifest: the id of its image
        for listed in documents.parse_index(index, "index.json"):
            if not _for_linux(listed):
                continue
            if listed.digest not in found:
                image = self._of_manifest(listed, DEPTH_LIMIT)
                found[listed.digest] = image.id if image else ""
                if image:
                    images.setdefault(image.id, image)
            image_id = found[listed.digest]
            if image_id and image_id not in named:
                self._name(image_id, _annotated(listed))
        if not images:
            raise Refused("the archive's index lists no image for linux")
        return self._named(images.values())

    def _of_manifest(self, descriptor: Descriptor, depth: int) -> NewImage | None:
        """The image of a descriptor, or of the one for this machine if it is an index; None for what is no image."""
        content = self._blob(descriptor, documents.MANIFEST_LIMIT)
        value = documents.parse_document(content, descriptor.digest)
        if "manifests" in value:
            if not depth:
                raise Refused("the archive has indexes in indexes without end")
            chosen = _for_this_machine(documents.parse_index(content, descriptor.digest))
            return self._of_manifest(chosen, depth - 1) if chosen else None
        config_said = value.get("config")
        if "layers" in value and isinstance(config_said, dict) and config_said.get("mediaType") not in documents.CONFIGS:
            return None  # an artifact: a signature, an attestation, a chart
        manifest = documents.parse_manifest(content, descriptor.digest)
        config = self._blob(manifest.config, documents.CONFIG_LIMIT)
        _, diff_ids = documents.parse_config(config, manifest.config.digest)
        if len(diff_ids) != len(manifest.layers):
            raise Refused(f"{descriptor.digest} lists {len(manifest.layers)} layers, its config {len(diff_ids)}")
        layers = tuple(NewLayer(*pair) for pair in zip(diff_ids, manifest.layers, strict=True))
        for layer in manifest.layers:
            self._there(layer)
        return NewImage(config, content, layers)

    def _blob(self, descriptor: Descriptor, limit: int) -> bytes:
        return self._text(self._there(descriptor), limit, descriptor.digest)

    def _there(self, descriptor: Descriptor) -> Descriptor:
        member = self._member(BLOBS + descriptor.digest.removeprefix(PREFIX))
        if member.size != descriptor.size:
            raise Refused(f"blob {descriptor.digest} has {member.size} bytes, its descriptor says {descriptor.size}")
        return member

    def _name_by_config(self) -> None:
        """Docker 25 and later write manifest.json too, with all the names."""
        if "manifest.json" in self.members:
            for image in self._docker_manifest():
                if image.get("RepoTags"):
                    self._name(self._member(image.get("Config")).digest, image["RepoTags"])

    # a docker-archive

    def _docker_manifest(self) -> list[dict[str, Any]]:
        text = self._text(self._member("manifest.json"), documents.MANIFEST_LIMIT, "manifest.json")
        images = documents.parse_json(text, "manifest.json")
        if not isinstance(images, list) or not all(isinstance(image, dict) for image in images):
            raise Refused("manifest.json is not a list of images")
        if not all(isinstance(image.get(key), list | None) for image in images for key in ("RepoTags", "Layers")):
            raise Refused("manifest.json: RepoTags or Layers is not a list")
        return images

    def _of_manifest_json(self) -> list[NewImage]:
        """One image for each config, however often it is listed."""
        images: dict[str, NewImage] = {}
        for listed in self._docker_manifest():
            config = self._member(listed.get("Config")).digest
            if config not in images:
                images[config] = self._of_docker(listed)
            self._name(config, listed.get("RepoTags") or ())
        if not images:
            raise Refused("the archive's manifest.json lists no image")
        return self._named(images.values())

    def _of_docker(self, image: dict[str, Any]) -> NewImage:
        """An image without a manifest of OCI's: it gets one."""
        config = self._text(self._member(image.get("Config")), documents.CONFIG_LIMIT, "the image's config")
        _, diff_ids = documents.parse_config(config, "the image's config")
        files = [self._member(name) for name in image.get("Layers") or ()]
        if len(files) != len(diff_ids):
            raise Refused(f"manifest.json lists {len(files)} layers, the image's config {len(diff_ids)}")
        layers: list[NewLayer] = []
        for file, diff_id in zip(files, diff_ids, strict=True):
            layers.append(self._docker_layer(file, diff_id, layers))
        described = self.intake.document(documents.CONFIG, config)
        manifest = Manifest(described, tuple(layer.blob for layer in layers)).as_bytes()
        self.intake.document(documents.MANIFEST, manifest)
        return NewImage(config, manifest, tuple(layers))

    def _docker_layer(self, file: Descriptor, diff_id: str, below: list[NewLayer]) -> NewLayer:
        known = self.intake.known(chain_ids([*(layer.diff_id for layer in below), diff_id])[-1], diff_id)
        if known is not None:
            return known
        what = f"layer {diff_id.removeprefix(PREFIX)[:12]} unpacking"
        with open(self.intake.path(file.digest), "rb", buffering=0) as stream:
            layer = self.intake.layer(chunks_of(stream.read), below, what, file.size)
        if layer.diff_id != diff_id:
            raise Refused(f"a layer hashes to {layer.diff_id}, its image's config says {diff_id}")
        return layer


def _visible(name: str) -> str:
    """A name for the terminal, which an archive could else tell what to do."""
    return name if name.isprintable() else ascii(name)


def _for_this_machine(manifests: list[Descriptor]) -> Descriptor | None:
    """Of an index: the one of this architecture, else the first for linux; attestations have platform `unknown`."""
    usable = [one for one in manifests if _for_linux(one)]
    fitting = [one for one in usable if one.platform.get("architecture") == documents.architecture()]
    return next(iter(fitting or usable), None)


def _for_linux(descriptor: Descriptor) -> bool:
    return bool(descriptor.platform.get("os", "linux") == "linux")


def _annotated(descriptor: Descriptor) -> list[str]:
    """The name in an index: containerd's whole one; or ref.name, if it is more than a tag."""
    whole = descriptor.annotations.get(documents.IMAGE_NAME)
    if whole:
        return [whole]
    name = descriptor.annotations.get(documents.REF_NAME, "")
    only_tag = not set(name) & set("/:") and (name == "latest" or name[:1].isdigit() or name[1:2].isdigit())
    return [name] if name and not only_tag else []


def _reference(text: object) -> Reference | None:
    try:
        reference = parse(str(text))
    except UsageError as error:
        raise Refused(f"the archive names an image {str(text)[:200]!r}: {error.message}") from error
    return None if reference.digest and not reference.tag else reference.tagged().replace(digest="")
