"""rmi and tag: what goes, what stays, what is said; and the same dialogue with a real Docker."""

from __future__ import annotations

import difflib
import io
import os
import re
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.dockerd import Docker
from tests.engine.running import running
from tests.image import archives
from tests.image.archives import came, config, digest, docker_image
from tests.image.tars import member, tar
from tests.machine import Cli
from tuidock.engine import Engine
from tuidock.engine.requests import RunRequest
from tuidock.errors import InUse, NoSuchImage, UsageError
from tuidock.image.intake import Progress
from tuidock.storage.staging import sweep

pytestmark = pytest.mark.root

BASE, ONE, TWO = (tar(member(name, b"x")) for name in ("base", "one", "two"))


def load(engine: Engine, content: bytes) -> None:
    engine.images.load(io.BytesIO(content))


def stack(name: str, *layers: bytes) -> bytes:
    """A docker-archive of an image of these layers."""
    files = {f"l{number}": layer for number, layer in enumerate(layers)}
    listed = [{"Config": "c", "RepoTags": [name], "Layers": list(files)}]
    return archives.docker(listed, c=config(*map(digest, layers)), **files)


def kept(engine: Engine) -> tuple[int, int]:
    """Blobs and trees on the disk."""
    roots = engine.images.roots
    assert os.listdir(roots.trash) == os.listdir(roots.staging) == []
    assert len(os.listdir(roots.layers)) == len(os.listdir(roots.links))
    return len(os.listdir(f"{roots.blobs}/sha256")), len(os.listdir(roots.layers))


def test_names_go_first_and_the_image_with_the_last(engine: Engine) -> None:
    load(engine, docker_image("a:1"))
    image = engine.images.get("a:1")
    engine.images.tag("a:1", "b.test/c:2")
    assert engine.images.remove("a:1") == ["Untagged: a:1"]
    assert engine.images.get("b.test/c:2").id == image.id
    with pytest.raises(NoSuchImage):
        engine.images.get("a:1")
    assert engine.images.remove("b.test/c:2") == [
        "Untagged: b.test/c:2",
        f"Deleted: {image.id}",
        f"Deleted: {image.chain_ids[0]}",
    ]
    assert [line for line in came(engine) if not line.startswith("events")] == []


def test_layers_that_another_image_has_stay(engine: Engine) -> None:
    load(engine, stack("a:1", BASE, ONE))
    load(engine, stack("b:1", BASE, TWO))
    load(engine, stack("base:1", BASE))
    assert kept(engine) == (9, 3), "two documents for each image and a blob for each layer"
    a = engine.images.get("a:1")
    assert engine.images.remove("a:1")[1:] == [f"Deleted: {a.id}", f"Deleted: {a.chain_ids[1]}"]
    assert engine.images.remove("base:1")[1:] == [f"Deleted: {digest(config(digest(BASE)))}"]
    assert kept(engine) == (4, 2)
    for chain_id in engine.images.get("b:1").chain_ids:
        assert os.path.isdir(engine.images.layers.path(chain_id))
    b = engine.images.get("b:1")
    assert engine.images.remove("b:1")[2:] == [f"Deleted: {chain_id}" for chain_id in reversed(b.chain_ids)]
    assert kept(engine) == (0, 0)


def test_an_order_of_layers_is_its_own_stack(engine: Engine) -> None:
    """The same two layers the other way round share no tree, but their blobs."""
    load(engine, stack("a:1", BASE, ONE))
    load(engine, stack("b:1", ONE, BASE))
    assert kept(engine) == (6, 4)
    engine.images.remove("a:1")
    assert kept(engine) == (4, 2)
    assert [os.listdir(engine.images.layers.path(one)) for one in engine.images.get("b:1").chain_ids] == [["one"], ["base"]]


def test_by_id(engine: Engine) -> None:
    load(engine, docker_image("a:1"))
    engine.images.tag("a:1", "a:2")
    image = engine.images.get("a:1").id
    with pytest.raises(InUse, match="referenced in multiple repositories"):
        engine.images.remove(image)
    lines = engine.images.remove(image[7:15], force=True)
    assert lines[:3] == ["Untagged: a:1", "Untagged: a:2", f"Deleted: {image}"]
    load(engine, docker_image("a:1"))
    assert engine.images.remove(image[:20])[:2] == ["Untagged: a:1", f"Deleted: {image}"]


def test_by_digest(engine: Engine) -> None:
    """All names of the repository; those of others stay."""
    load(engine, docker_image("a:1"))
    engine.images.tag("a:1", "a:2")
    engine.images.tag("a:1", "b:1")
    manifest = engine.images.get("a:1").manifest
    with pytest.raises(NoSuchImage):
        engine.images.remove(f"c@{manifest}")
    assert engine.images.remove(f"a@{manifest}") == ["Untagged: a:1", "Untagged: a:2"]
    assert engine.images.remove(f"b@{manifest}")[0] == "Untagged: b:1"
    assert kept(engine) == (0, 0)


def test_dangling_images_are_images(engine: Engine) -> None:
    load(engine, docker_image("a:1"))
    old = engine.images.get("a:1").id
    load(engine, docker_image("a:1", author="new"))
    (dangling,) = [one for one in engine.images.list() if one.dangling]
    assert (dangling.id, dangling.repository, dangling.tag) == (old, "<none>", "<none>")
    assert engine.images.remove(old) == [f"Deleted: {old}"], "its layer is the new one's too"
    assert kept(engine) == (3, 1)


def test_containers_keep_what_they_stand_on(engine: Engine, busybox: str) -> None:
    """-f takes the image of a stopped one, not its layers: it starts all the same, and they go with it."""
    image = engine.images.get(busybox)
    container = engine.containers.create(RunRequest(image=busybox, command=("true",), name="kept"))
    with pytest.raises(InUse, match=r"must force.*container .* is using"):
        engine.images.remove(busybox)
    with pytest.raises(InUse, match=r"must be forced.*stopped container"):
        engine.images.remove(image.id)
    assert engine.images.remove(busybox, force=True) == ["Untagged: busybox:latest", f"Deleted: {image.id}"]
    assert os.path.isdir(engine.images.layers.path(image.chain_ids[0]))
    engine.containers.start(container)
    assert engine.containers.wait(container) == 0
    engine.containers.remove(container)
    load(engine, docker_image("other:1"))
    engine.images.remove("other:1")
    assert kept(engine) == (0, 0), "the next removal takes the layer that nobody has any more"


def test_a_running_container_keeps_its_image(engine: Engine, busybox: str) -> None:
    """-f takes its last name all the same, as docker does."""
    engine.images.tag(busybox, "b:2")
    image = engine.images.get(busybox).id
    with running(engine, image=busybox):
        assert engine.images.remove("b:2") == ["Untagged: b:2"]
        for force in (False, True):
            with pytest.raises(InUse, match=r"cannot be forced.*running container"):
                engine.images.remove(image, force=force)
        assert engine.images.remove(busybox, force=True) == ["Untagged: busybox:latest"]
        with pytest.raises(InUse, match=r"cannot be forced.*running container"):
            engine.images.remove(image, force=True)
    assert engine.images.remove(image)[0] == f"Deleted: {image}"
    assert kept(engine) == (0, 0)


def test_tags(engine: Engine) -> None:
    load(engine, docker_image("a:1"))
    load(engine, docker_image("b:1", author="b"))
    engine.images.tag("a:1", "b:1")
    assert engine.images.get("b:1").id == engine.images.get("a:1").id
    engine.images.tag(engine.images.get("a:1").id[:12], "c")
    assert engine.images.get("c:latest").id == engine.images.get("a:1").id
    for name in ("UPPER", "a b", "", f"a@{digest(b'')}", "0" * 64, "a:-", "../x"):
        with pytest.raises(UsageError):
            engine.images.tag("a:1", name)
    with pytest.raises(NoSuchImage, match=r"(?s)a:2.*a:1"):
        engine.images.tag("a:2", "x")


def test_what_a_crash_left_goes(engine: Engine, folder: Path) -> None:
    """Blobs and trees that got their place before the transaction that would have made them known."""
    roots = engine.images.roots
    load(engine, docker_image("a:1"))
    lost = digest(b"lost")[7:]
    Path(f"{roots.blobs}/sha256/{lost}").write_bytes(b"lost")
    os.mkdir(f"{roots.layers}/{lost}")
    os.symlink(f"../layers/{lost}", f"{roots.links}/{lost[:5]}")
    sweep(roots)
    engine.images.remove("a:1")
    assert kept(engine) == (0, 0)


def test_a_load_beside_a_removal(engine: Engine) -> None:
    """What an image that is coming in leans on stays, whoever removes what meanwhile; the last removal takes it all."""
    failed: list[BaseException] = []

    def come_and_go(name: str, *layers: bytes) -> None:
        other = Engine(engine.images.roots)
        try:
            for _ in range(8):
                load(other, stack(name, *layers))
                for layer, chain_id in zip(layers, other.images.get(name).chain_ids, strict=True):
                    assert layer.startswith(os.listdir(other.images.layers.path(chain_id))[0].encode())
                other.images.remove(name)
        except BaseException as error:
            failed.append(error)

    stacks = ("a:1", BASE), ("b:1", BASE, ONE), ("c:1", BASE, ONE, TWO)
    threads = [threading.Thread(target=come_and_go, args=one) for one in stacks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    load(engine, docker_image("last:1"))
    engine.images.remove("last:1")
    assert kept(engine) == (0, 0)


def test_a_layer_stays_while_an_image_on_it_comes(engine: Engine) -> None:
    """The last image that had it goes in the middle of the load."""
    load(engine, stack("a:1", BASE))
    removed: list[str] = []

    def tell(progress: Progress) -> None:
        if "unpacking" in progress.what and not removed:
            removed.extend(Engine(engine.images.roots).images.remove("a:1"))

    engine.images.load(io.BytesIO(stack("b:1", BASE, ONE)), tell)
    assert removed == ["Untagged: a:1", f"Deleted: {digest(config(digest(BASE)))}"]
    assert [os.listdir(engine.images.layers.path(one)) for one in engine.images.get("b:1").chain_ids] == [["base"], ["one"]]
    assert kept(engine) == (4, 2)


# ---------------------------------------------------------------------------------------------- as Docker says it

DIALOGUE = """
rmi {id}
rmi one:1
rmi nosuch
rmi one:2 nosuch:1 two:1
images
IMPORT
rmi -f {id}
IMPORT
tag one:1 other.test:5000/a/b:c
images
images --no-trunc
images -q two
images -q --no-trunc o*
images --format {{{{.ID}}}}|{{{{.Repository}}}}|{{{{.Tag}}}}|{{{{.Size}}}}|{{{{.CreatedSince}}}}
images --format {{{{.Containers}}}}|{{{{.VirtualSize}}}}
images --format table\\t{{{{.Tag}}}}\\t{{{{.ID}}}}
images --filter dangling=true
images --filter reference=*:1
images --filter reference=*/*/b:c
images --filter reference=one --filter reference=two:1
images --filter before=one:1
images --filter label=a
images --format {{{{.Nope}}}}
rmi other.test:5000/a/b:c
tag nosuch:1 x
tag one:1 a@sha256:0000000000000000000000000000000000000000000000000000000000000000
history one:1
history --no-trunc -H=false one:1
history --format {{{{.ID}}}}|{{{{.CreatedBy}}}}|{{{{.Comment}}}}|{{{{.Size}}}} one:1
create --name held --network none one:1 true
rmi two:1
rmi {id}
rmi one:2
rmi one:1
rmi {id}
ps -a
rmi -f one:1
images
ps -a
rm held
IMPORT
run -d --name held --network none one:1 sleep 100
rmi {id}
rmi -f {id}
rmi two:1 one:2 one:1
rmi -f one:1
images
images --filter dangling=true
rmi -f {id}
rm -f held
rmi {id}
images
"""
"""IMPORT makes one:1, one:2 and two:1, all of the same image."""


def transcript(run: Callable[..., subprocess.CompletedProcess[bytes]], rootfs: bytes) -> list[str]:
    """What is said and with which status; hints, ids and times made alike."""
    lines: list[str] = []
    image = ""

    def imported() -> str:
        image = run("import", "-", "one:1", input=rootfs).stdout.decode().strip()
        for name in ("one:2", "two:1"):
            run("tag", "one:1", name)
        return image[7:19]

    image = imported()
    for line in DIALOGUE.strip().splitlines():
        if line == "IMPORT":
            image = imported()
            continue
        words = [word.replace("\\t", "\t") for word in line.format(id=image).split()]
        done = run(*words)
        error = done.stderr.decode().splitlines()[:1] if done.returncode else []
        lines.append(f"$ {line} -> {done.returncode}")
        said = [alike(text, image) for text in (*done.stdout.decode().splitlines(), *error)]
        lines += sorted(said) if words[0] == "images" else said  # docker gives the names of an image in any order
    return lines


def alike(text: str, image: str) -> str:
    text = re.sub(r"^(tuidock: |Error response from daemon: )+", "", text)
    text = re.sub(r"(Less than a second|\d+ seconds?) ago", "NOW", text)
    text = re.sub(r"Up (Less than a second|\d+ seconds?)", "Up NOW", text)
    text = re.sub(r"\d{4}-\d\d-\d\dT[\d:]+Z", "THEN", text)
    text = text.replace(image, "IMAGE")
    text = re.sub(r"IMAGE[0-9a-f]{52}", "IMAGE", text)
    text = re.sub(r"\b(?!8a5fea605124)[0-9a-f]{12}([0-9a-f]{52})?\b", "ID", text)
    text = text.replace("Conflict: ", "conflict: ").replace("No such image: nosuch:latest", "No such image: nosuch")
    return re.sub(r" {2,}", "  ", text).rstrip()


def test_the_dialogue_with_docker(cli: Cli, docker: Docker, busybox_tar: Path) -> None:
    rootfs = busybox_tar.read_bytes()

    def ask(words: list[str]) -> Callable[..., subprocess.CompletedProcess[bytes]]:
        return lambda *more, input=b"": subprocess.run([*words, *more], input=input, capture_output=True, timeout=60)

    docker("container", "prune", "-f")
    docker("image", "prune", "-f")  # what other tests left without a name
    before = docker("images", "--format", "{{.Repository}}:{{.Tag}}").decode().split()
    shared = {name: docker("save", name) for name in before}
    docker("rmi", "-f", *before)
    try:
        theirs = transcript(ask(docker.words), rootfs)
    finally:
        for content in shared.values():
            subprocess.run([*docker.words, "load"], input=content, capture_output=True, check=True)
    ours = transcript(ask(cli.words), rootfs)
    differences = list(difflib.unified_diff(theirs, ours, "docker", "tuidock", lineterm=""))
    assert not differences, "\n".join(differences)
