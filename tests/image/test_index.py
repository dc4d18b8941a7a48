"""The store is an OCI image layout, at every moment, for tools that are not ours."""

from __future__ import annotations

import io
import json
import os
import subprocess
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from tests.dockerd import Docker
from tests.image import archives
from tests.machine import Cli
from tuidock.engine import Engine
from tuidock.oci import image as documents

pytestmark = pytest.mark.root
Skopeo = Callable[..., bytes]


def check_layout(layout: Path) -> list[str]:
    """Everything that the index leads to is there, is what its digest says and as long as it says.  Returns the names."""
    assert json.loads((layout / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((layout / "index.json").read_text())
    reached = set()

    def blob(described: dict[str, object]) -> bytes:
        content = (layout / "blobs" / "sha256" / str(described["digest"])[7:]).read_bytes()
        assert "sha256:" + sha256(content).hexdigest() == described["digest"]
        assert len(content) == described["size"]
        reached.add(str(described["digest"])[7:])
        return content

    names = []
    for listed in index["manifests"]:
        names.append(listed.get("annotations", {}).get(documents.REF_NAME, ""))
        manifest = json.loads(blob(listed))
        config = json.loads(blob(manifest["config"]))
        assert listed["platform"]["architecture"] == config["architecture"]
        assert len(manifest["layers"]) == len(config["rootfs"]["diff_ids"])
        for layer in manifest["layers"]:
            blob(layer)
    assert reached == set(os.listdir(layout / "blobs" / "sha256")), "no blob that nothing leads to"
    return names


def test_the_layout_holds_what_the_database_says(engine: Engine, busybox: str) -> None:
    layout = Path(engine.images.roots.image_layout)
    assert check_layout(layout) == ["busybox:latest"]
    engine.images.tag(busybox, "registry.test/b:1")
    engine.images.load(io.BytesIO(archives.docker_image("c:1", variant="v3")))
    assert check_layout(layout) == ["busybox:latest", "c:1", "registry.test/b:1"]
    engine.images.load(io.BytesIO(archives.docker_image("c:1", author="x")))
    assert sorted(check_layout(layout)) == ["", "busybox:latest", "c:1", "registry.test/b:1"]
    engine.images.remove("c:1")
    engine.images.remove(busybox)
    assert sorted(check_layout(layout)) == ["", "registry.test/b:1"]
    for image in engine.images.list():
        engine.images.remove(image.id)
    assert check_layout(layout) == []


def test_skopeo_reads_the_store_in_place(cli: Cli, engine: Engine, busybox: str, skopeo: Skopeo, folder: Path) -> None:
    """All blobs are read and their digests checked, where they lie."""
    engine.images.tag(busybox, "registry.test:5000/b/c:1")
    layout = engine.images.roots.image_layout
    for name in ("busybox:latest", "registry.test:5000/b/c:1"):
        found = json.loads(skopeo("inspect", f"oci:{layout}:{name}"))
        assert found["Digest"] == engine.images.get(name).manifest
        assert (
            json.loads(skopeo("inspect", "--config", f"oci:{layout}:{name}"))["rootfs"]
            == engine.images.get(name).config["rootfs"]
        )
    skopeo("copy", f"oci:{layout}:busybox:latest", f"dir:{folder}/copy")
    assert (folder / "copy" / "manifest.json").exists()


def test_docker_runs_what_was_imported_here(engine: Engine, busybox: str, skopeo: Skopeo, docker: Docker, folder: Path) -> None:
    layout, target = engine.images.roots.image_layout, folder / "a.tar"
    skopeo("copy", f"oci:{layout}:busybox:latest", f"docker-archive:{target}:from-here:1")
    loaded = subprocess.run([*docker.words, "load", "-i", str(target)], capture_output=True)
    assert b"Loaded image: from-here:1" in loaded.stdout
    try:
        assert docker("run", "--rm", "--network", "none", "from-here:1", "/bin/echo", "hi") == b"hi\n"
        assert docker("images", "-q", "--no-trunc", "from-here").decode().strip() == engine.images.get(busybox).id
    finally:
        docker("rmi", "from-here:1")
