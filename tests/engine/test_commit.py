"""commit: what a container has written becomes an image, and nothing else does."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import tarfile
import time

import pytest

from tests.engine.running import execute, run, running
from tests.machine import REPOSITORY, eventually
from tuidock.engine.requests import CommitRequest, RunRequest
from tuidock.errors import Conflict, Refused, UsageError
from tuidock.image import changes
from tuidock.image.compression import chunks_of, opened, plain
from tuidock.oci.image import parse_manifest
from tuidock.runtime import cgroups
from tuidock.storage.blobs import Blobs

pytestmark = pytest.mark.usefixtures("busybox")


def written(engine, *script, **asked):
    """A container that ran a shell script and has ended."""
    container = engine.containers.create(RunRequest("busybox", ("sh", "-c", "\n".join(script)), **asked))
    engine.containers.start(container)
    assert engine.containers.wait(container) == 0
    return container


def commit(engine, container, name="", **asked):
    return engine.containers.commit(CommitRequest(container, name, **asked))


def layer_names(engine, image):
    """The names in an image's highest layer, from its blob."""
    blobs = Blobs(engine.roots)
    manifest = engine.images.get(image).manifest
    layer = parse_manifest(blobs.read(manifest, 1 << 20), "manifest").layers[-1]
    with blobs.open(layer.digest) as stream:
        content = b"".join(plain(*opened(chunks_of(stream.read))))
    return tarfile.open(fileobj=io.BytesIO(content)).getnames()


def state(engine, container):
    """What the kernel says of a container's freezer."""
    cgroup = cgroups.existing(f"{engine.roots.cgroup}/{container}")
    if cgroup.hierarchy.version == 1:
        with open(f"{cgroup.folder('freezer')}/freezer.state") as file:
            return file.read().strip()
    with open(f"{cgroup.folder}/cgroup.events") as file:
        return "FROZEN" if "frozen 1" in file.read() else "THAWED"


def test_what_was_written_by_hand_is_in_the_image(engine):
    """Walkthrough 9 and 10."""
    with running(engine) as container:
        execute(engine, container, "touch", "test.txt")
        commit(engine, container.id, "geektime/helloworld:v2")
    assert run(engine, "ls", "/test.txt", image="geektime/helloworld:v2").out == "/test.txt\n"
    assert layer_names(engine, "geektime/helloworld:v2") == ["test.txt"]


def test_of_a_volume_there_is_only_its_empty_mount_point(engine, tmp_path):
    """Walkthrough 18: seen from the host, the directory in the read-write layer is empty."""
    (tmp_path / "host").write_text("x")
    with running(engine, volumes=("/test", f"{tmp_path}:/bound", "kept:/kept")) as container:
        execute(engine, container, "sh", "-c", "echo x >/test/in; echo x >/kept/in; echo 1.2.3.4 far >>/etc/hosts")
        assert os.listdir(f"{engine.roots.container(container.id).rw}/test") == []
        image = commit(engine, container.id)
    assert layer_names(engine, image) == ["bound", "kept", "test"]
    assert run(engine, "find", "/test", "/bound", "/kept", "-mindepth", "1", image=image).out == ""
    assert "far" not in run(engine, "cat", "/etc/hosts", image=image).out


def test_what_was_deleted_is_not_there(engine):
    container = written(engine, "rm /etc/group; rm -r /home; mkdir /home; echo new >/home/new; rm -r /usr; echo file >/usr")
    image = commit(engine, container)
    names = layer_names(engine, image)
    assert names == ["etc", "etc/.wh.group", "home", "home/.wh..wh..opq", "home/new", "usr"]
    assert run(engine, "sh", "-c", "ls /etc/group /home; cat /usr", image=image).out == "/home:\nnew\nfile\n"


def test_a_second_commit_stands_on_the_first(engine):
    first = commit(engine, written(engine, "echo 1 >/one; ln /one /two"), "a:1")
    container = engine.containers.create(RunRequest("a:1", ("sh", "-c", "rm /one; echo 3 >/three"), name="next"))
    engine.containers.start(container)
    engine.containers.wait(container)
    second = commit(engine, container, "a:2")
    assert engine.images.get(second).chain_ids[:-1] == engine.images.get(first).chain_ids
    assert run(engine, "sh", "-c", "ls /one /two /three 2>&1", image="a:2").out.splitlines() == [
        "ls: /one: No such file or directory", "/three", "/two",
    ]  # fmt: skip
    assert engine.images.history("a:2")[0].created_by == "sh -c rm /one; echo 3 >/three"


def test_how_it_was_run_is_kept_and_changes_come_on_top(engine):
    container = written(engine, "true", env=("A=b", "X=1"), labels=("k=v",), workdir="/tmp", user="1:1", volumes=("/data",))
    image = commit(engine, container, author="me", message="why", changes=("ENV X=2", "EXPOSE 80", 'CMD ["ls"]', "LABEL l=m"))
    config = engine.images.get(image).config
    assert config["config"] == {
        "User": "1:1", "Env": ["A=b", "X=2"], "Cmd": ["ls"], "Volumes": {"/data": {}}, "WorkingDir": "/tmp",
        "Labels": {"k": "v", "l": "m"}, "ExposedPorts": {"80/tcp": {}},
    }  # fmt: skip
    assert (config["author"], config["comment"]) == ("me", "why")
    assert config["history"][-1] | {"created": ""} == {
        "created": "", "created_by": "sh -c true", "author": "me", "comment": "why",
    }  # fmt: skip


def test_nothing_written_is_a_step_without_a_layer(engine):
    container = written(engine, "true")
    image = engine.images.get(commit(engine, container))
    assert image.chain_ids == engine.images.get("busybox").chain_ids
    assert image.config["history"][-1]["empty_layer"] is True


def test_the_same_again_is_the_same_image(engine):
    """SOURCE_DATE_EPOCH bounds all times."""
    container = written(engine, "echo x >/new; mkdir /d; ln -s x /d/l")
    first = commit(engine, container, epoch=1_000_000_000)
    assert commit(engine, container, epoch=1_000_000_000) == first
    assert engine.images.get(first).config["created"].startswith("2001-09-09T01:46:40")
    assert run(engine, "stat", "-c", "%Y", "/new", image=first).out == "1000000000\n"


@pytest.mark.parametrize(("pause", "seen"), [(True, "FROZEN"), (False, "THAWED")])
def test_it_stands_still_while_it_is_read(engine, monkeypatch, pause, seen):
    states = []
    tar = changes.tar

    def looking(upper, **options):
        states.append(state(engine, container.id))
        yield from tar(upper, **options)

    monkeypatch.setattr(changes, "tar", looking)
    with running(engine) as container:
        commit(engine, container.id, pause=pause)
        assert states == [seen]
        assert state(engine, container.id) == "THAWED"
        assert execute(engine, container, "echo", "alive").out == "alive\n"


def test_a_front_end_that_is_killed_leaves_nobody_frozen(engine):
    with running(engine) as container:
        script = (
            "import sys, time\nfrom tuidock.runtime.freezing import Frozen\n"
            f"with Frozen({f'{engine.roots.cgroup}/{container.id}'!r}):\n print('held', flush=True)\n time.sleep(60)"
        )
        process = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, cwd=REPOSITORY)
        assert process.stdout.readline() == b"held\n"
        assert state(engine, container.id) == "FROZEN"
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        assert eventually(lambda: state(engine, container.id) == "THAWED")


def test_what_cannot_be_leaves_nothing(engine):
    with running(engine) as container:
        execute(engine, container, "touch", "/etc/.wh.passwd")
        with pytest.raises(Refused, match=r"/etc/\.wh\.passwd"):
            commit(engine, container.id, "a:1")
        assert state(engine, container.id) == "THAWED"
        for bad in ({"name": "Upper"}, {"changes": ("FROM x",)}, {"name": f"a@sha256:{'0' * 64}"}):
            with pytest.raises(UsageError):
                commit(engine, container.id, **bad)
    assert [image.repository for image in engine.images.list()] == ["busybox"]
    assert os.listdir(engine.roots.staging) == []


def test_without_the_image_below_there_is_no_commit(engine):
    container = written(engine, "echo x >/new")
    engine.images.remove(engine.images.get("busybox").id, force=True)
    with pytest.raises(Conflict, match="is gone"):
        commit(engine, container)


def test_the_preview_is_what_goes_in(engine):
    with running(engine, volumes=("/test",)) as container:
        execute(engine, container, "sh", "-c", "echo 12345 >/new; rm /etc/group; touch /tmp/x; rm /tmp/x; echo x >/test/in")
        preview = engine.containers.commit_preview(container.id)
        image = commit(engine, container.id)
    found = {change.path: change.kind for change in preview.changes}
    assert found == {"/etc": "C", "/etc/group": "D", "/new": "A", "/test": "A", "/tmp": ""}
    assert preview.size == 6
    assert [where for where, _ in preview.mounts] == ["/test"]
    assert len(layer_names(engine, image)) == len(found)


def test_a_name_moves_and_it_is_told(engine):
    container = written(engine, "echo x >/new")
    began = time.time_ns()
    first, second = (commit(engine, container, "a:1", message=message) for message in ("one", "two"))
    assert first != second
    assert engine.images.get("a:1").id == second
    told = engine.database.rows("SELECT type, action, actor, attributes FROM events WHERE time >= ?", (began,))
    commits = [event for event in told if event[:2] == ("container", "commit")]
    assert [event[2] for event in commits] == [container, container]
    assert '"imageRef":"a:1"' in commits[0][3]
