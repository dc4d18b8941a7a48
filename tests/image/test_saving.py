"""save: archives that docker, podman and skopeo take, and that load takes back."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.bench.engines import podman
from tests.dockerd import Docker
from tests.machine import Cli
from tuidock.engine import Engine
from tuidock.engine.requests import CommitRequest, RunRequest
from tuidock.errors import NoSuchImage
from tuidock.storage.paths import Roots

pytestmark = pytest.mark.root


def committed(engine: Engine, name: str, script: str, image: str = "busybox") -> str:
    container = engine.containers.create(RunRequest(image, ("sh", "-c", script)))
    engine.containers.start(container)
    engine.containers.wait(container)
    made = engine.containers.commit(CommitRequest(container, name))
    engine.containers.remove(container)
    return made


def saved(engine: Engine, *names: str, form: str = "docker-archive") -> bytes:
    with tempfile.TemporaryFile() as file:
        engine.images.save(names, file.fileno(), form=form)
        file.seek(0)
        return file.read()


def members(content: bytes) -> dict[str, bytes]:
    archive = tarfile.open(fileobj=io.BytesIO(content))
    return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}  # type: ignore[union-attr]


def elsewhere(scratch: Path) -> Engine:
    """An engine on roots that have nothing."""
    place = tempfile.mkdtemp(dir=scratch)
    return Engine(Roots(f"{place}/root", f"{place}/run"))


def test_every_blob_is_what_its_name_says_and_there_once(engine: Engine, busybox: str) -> None:
    committed(engine, "app:1", "echo 1 >/one")
    committed(engine, "app:2", "echo 2 >/two", "app:1")
    content = saved(engine, "app:1", "app:2", busybox)
    names = tarfile.open(fileobj=io.BytesIO(content)).getnames()
    assert len(names) == len(set(names))
    found = members(content)
    for name, blob in found.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(blob).hexdigest() == name.removeprefix("blobs/sha256/")
    listed = json.loads(found["manifest.json"])
    assert [image["RepoTags"] for image in listed] == [["app:1"], ["app:2"], ["busybox:latest"]]
    assert [len(image["Layers"]) for image in listed] == [2, 3, 1]
    assert len({layer for image in listed for layer in image["Layers"]}) == 3
    for image in listed:
        diff_ids = json.loads(found[image["Config"]])["rootfs"]["diff_ids"]
        assert [f"blobs/sha256/{image['LayerSources'][one]['digest'][7:]}" for one in diff_ids] == image["Layers"]


@pytest.mark.parametrize("form", ["docker-archive", "oci"])
def test_load_takes_back_what_save_wrote(engine: Engine, busybox: str, scratch: Path, form: str) -> None:
    """The same ids, the same digests of manifests, the same names."""
    committed(engine, "registry.test:5000/a/app:1", "echo 1 >/one; rm -r /home")
    engine.images.tag(busybox, "again:2")
    content = saved(engine, "registry.test:5000/a/app:1", busybox, "again", form=form)
    assert ("manifest.json" in members(content)) == (form == "docker-archive")
    other = elsewhere(scratch)
    lines = other.images.load(io.BytesIO(content))
    assert sorted(lines) == [
        "Loaded image: again:2", "Loaded image: busybox:latest", "Loaded image: registry.test:5000/a/app:1",
    ]  # fmt: skip
    seen = {(one.repository, one.tag, one.id, one.digest) for one in engine.images.list()}
    assert {(one.repository, one.tag, one.id, one.digest) for one in other.images.list()} == seen
    assert saved(other, "registry.test:5000/a/app:1", busybox, "again", form=form) == content, "and the same archive again"


def test_names_as_docker_takes_them(engine: Engine, busybox: str) -> None:
    """A name alone is all tags of it; an id has none; a digest has none."""
    image = engine.images.get(busybox)
    engine.images.tag(busybox, "busybox:other")

    def tags(*names: str) -> list[object]:
        return [one["RepoTags"] for one in json.loads(members(saved(engine, *names))["manifest.json"])]

    assert tags("busybox") == [["busybox:latest", "busybox:other"]]
    assert tags("busybox:other") == [["busybox:other"]]
    assert tags("busybox:other", "busybox:latest", image.id) == [["busybox:other", "busybox:latest"]]
    assert tags(image.id[7:19]) == [None]
    assert tags(f"busybox@{image.manifest}") == [None]
    with pytest.raises(NoSuchImage):
        tags("busybox", "nosuch")


def test_docker_loads_it_and_the_files_are_the_same(engine: Engine, cli: Cli, busybox: str, docker: Docker) -> None:
    script = (
        "echo 1 >/one; ln /one /two; rm -r /home; mkdir /home; echo x >/home/x; rm /etc/group; chown 7:8 /one; chmod 4755 /one"
    )
    image = committed(engine, "ours:1", script)
    look = ("sh", "-c", "find / -xdev \\( -path /proc -o -path /sys -o -path /dev \\) -prune -o -type f -print0 | sort -z |"
            " xargs -0 stat -c '%n %a %u %g %s %Y %h' | grep -v '^/etc/h\\|^/etc/resolv\\|dockerenv'; cat /home/x")  # fmt: skip
    with tempfile.NamedTemporaryFile() as file:
        engine.images.save(["ours:1"], file.fileno())
        assert docker("load", "-i", file.name) == b"Loaded image: ours:1\n"
    theirs = docker("run", "--rm", "--network", "none", "ours:1", *look).decode()
    assert docker("image", "inspect", "-f", "{{.Id}}", "ours:1").decode().strip() == image
    docker("rmi", "ours:1")
    assert cli.ok("run", "--rm", "ours:1", *look) == theirs.rstrip("\n")
    assert "/one 4755 7 8" in theirs


def test_skopeo_reads_both_forms(engine: Engine, busybox: str, skopeo: Callable[..., bytes], tmp_path: Path) -> None:
    manifest = engine.images.get(busybox).manifest
    (tmp_path / "docker.tar").write_bytes(saved(engine, busybox))
    (tmp_path / "oci.tar").write_bytes(saved(engine, busybox, form="oci"))
    skopeo("inspect", f"docker-archive:{tmp_path}/docker.tar:busybox:latest")
    assert json.loads(skopeo("inspect", f"oci-archive:{tmp_path}/oci.tar:latest"))["Digest"] == manifest
    skopeo("copy", "--insecure-policy", f"docker-archive:{tmp_path}/docker.tar", f"dir:{tmp_path}/out")


def test_what_came_compressed_goes_out_in_the_same_bytes(engine: Engine, docker: Docker) -> None:
    """Docker's own layers come plain in its archive; kept as gzip, the diff ids stay docker's."""
    engine.images.load(io.BytesIO(docker("save", "multi:1")))
    theirs = json.loads(docker("image", "inspect", "multi:1"))[0]["RootFS"]["Layers"]
    listed = json.loads(members(saved(engine, "multi:1"))["manifest.json"])
    assert list(listed[0]["LayerSources"]) == list(dict.fromkeys(theirs))


def test_the_command(cli: Cli, busybox: str, tmp_path: Path) -> None:
    path = tmp_path / "out.tar"
    assert cli.ok("save", "-o", str(path), busybox) == ""
    assert path.stat().st_mode & 0o777 == 0o600
    piped = subprocess.run([*cli.words, "save", busybox], capture_output=True, check=True)
    assert piped.stdout == path.read_bytes()
    with open(path, "ab") as appended:
        subprocess.run([*cli.words, "save", busybox], stdout=appended, check=True)
    assert path.read_bytes() == piped.stdout * 2, "sendfile(2) does not write to files opened like this"
    refused = cli("save", "-o", str(path), "nosuch")
    assert (refused.status, "No such image: nosuch" in refused.err) == (1, True)
    assert path.read_bytes() == piped.stdout * 2, "the old file stays when there is no new one"
    assert os.listdir(tmp_path) == ["out.tar"]
    for words, said in (
        (("-o", "/no/such/out.tar", busybox), 'invalid output path: directory "/no/such" does not exist'),
        (("-o", str(tmp_path), busybox), "is a directory"),
        (("--format", "zip", busybox), "unknown format: zip"),
    ):
        refused = cli("save", *words)
        assert (refused.status, said in refused.err) == (1, True)
    on_terminal = subprocess.run(["script", "-qec", " ".join([*cli.words, "save", busybox]), "/dev/null"], capture_output=True)
    assert b"cowardly refusing to save to a terminal" in on_terminal.stdout


def test_podman_runs_it(engine: Engine, busybox: str, scratch: Path) -> None:
    if not shutil.which("podman"):
        pytest.skip("there is no podman here (Debian: apt-get install podman)")
    committed(engine, "ours:1", "echo 1 >/one; rm -r /home; ln -s one /link")
    with podman(Path(tempfile.mkdtemp(dir=scratch))) as theirs:
        for form in ("docker-archive", "oci"):
            content = saved(engine, "ours:1", form=form)
            loaded = subprocess.run(theirs.command("load"), input=content, check=True, capture_output=True)
            name = loaded.stdout.decode().rpartition("Loaded image: ")[2].strip()
            words = theirs.command("run", "--rm", "--network", "none", name, "sh", "-c", "cat /link; ls -d /home")
            ended = subprocess.run(words, capture_output=True, text=True)
            assert ended.stdout == "1\n", ended.stderr
            assert "/home: No such file" in ended.stderr
