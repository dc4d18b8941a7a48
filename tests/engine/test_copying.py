"""export and cp: files out of a container and into it, and never anything else."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
import tempfile
from pathlib import Path

import pytest

from tests.dockerd import Docker
from tests.engine.running import execute, running
from tests.machine import Cli, mounts_below
from tuidock.engine.requests import RunRequest
from tuidock.errors import NoSuchContainer

pytestmark = pytest.mark.usefixtures("busybox")


def exported(engine, name):
    with tempfile.TemporaryFile() as file:
        engine.containers.export(name, file.fileno())
        file.seek(0)
        archive = tarfile.open(fileobj=io.BytesIO(file.read()))
        return {one.name: archive.extractfile(one).read() if one.isfile() else one for one in archive}


def test_export_is_the_root_as_one_without_what_is_mounted(engine):
    script = "echo x >/new; rm /etc/group; echo x >/test/in; echo far >>/etc/hosts; ln -s /new /link; sleep 600"
    with running(engine, "sh", "-c", script, volumes=("/test",)) as container:
        execute(engine, container, "sh", "-c", "until [ -L /link ]; do :; done")
        found = exported(engine, container.name)
    assert found["new"] == b"x\n"
    assert "etc/group" not in found
    assert found["link"].linkname == "/new"
    assert "test" in found
    assert not any(name.startswith(("test/", "proc/", "sys/")) for name in found)
    assert sorted(name for name in found if name.startswith("dev/")) == ["dev/console", "dev/pts", "dev/shm"]


def test_export_of_one_that_never_ran_or_has_ended(engine):
    created = engine.containers.create(RunRequest("busybox", ("sh", "-c", "rm /etc/group; echo x >/new")))
    assert "etc/group" in exported(engine, created)
    engine.containers.start(created)
    engine.containers.wait(created)
    found = exported(engine, created)
    assert (found["new"], "etc/group" in found) == (b"x\n", False)
    assert mounts_below(engine.roots.data, engine.roots.run) == []
    with pytest.raises(NoSuchContainer):
        exported(engine, "nosuch")


def test_export_is_what_docker_exports(cli: Cli, busybox: str, docker: Docker, tmp_path: Path) -> None:
    script = "mkdir /d; echo x >/d/x; ln /d/x /d/y; rm -r /home; ln -s x /d/l; mkfifo /d/p; chown 5:6 /d/x; chmod 4711 /d/x"
    cli.ok("run", "--name", "one", "-v", "/vol", busybox, "sh", "-c", script)
    docker("run", "--name", "one", "--network", "none", "-v", "/vol", "base", "sh", "-c", script)
    cli.ok("export", "-o", str(tmp_path / "ours.tar"), "one")
    (tmp_path / "theirs.tar").write_bytes(docker("export", "one"))
    docker("rm", "-v", "one")

    def listed(name: str) -> list[tuple[object, ...]]:
        known = tarfile.open(tmp_path / name).getmembers()
        return sorted((one.name, one.type, oct(one.mode & 0o7777), one.uid, one.gid, one.linkname) for one in known)

    init = (".dockerenv", "dev/console", "etc/hostname", "etc/hosts", "etc/resolv.conf")  # docker makes these 0755
    assert [one for one in listed("ours.tar") if one[0] not in init] == [
        one for one in listed("theirs.tar") if one[0] not in init
    ]


def test_export_into_a_pipe_that_is_closed(cli: Cli, busybox: str) -> None:
    cli.ok("create", "--name", "one", busybox, "true")
    process = subprocess.Popen([*cli.words, "export", "one"], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(20) == 128 + 13
    assert os.listdir(Path(cli.words[4], "staging")) == []
