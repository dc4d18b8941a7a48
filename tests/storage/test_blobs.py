"""The blob store: what has a name is whole."""

from __future__ import annotations

import json
import os
import threading
from hashlib import sha256

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuidock.errors import Refused
from tuidock.storage.blobs import Blobs, Ingest, write_atomically
from tuidock.storage.paths import Roots
from tuidock.storage.staging import Workspace, sweep

pytestmark = pytest.mark.root


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.binary(max_size=100)))
def test_a_blob_gets_the_name_of_what_was_written(roots: Roots, pieces: list[bytes]) -> None:
    blobs = Blobs(roots)
    content = b"".join(pieces)
    with Workspace(roots) as workspace:
        with Ingest(workspace.path()) as ingest:
            for piece in pieces:
                ingest.write(piece)
        assert ingest.digest == "sha256:" + sha256(content).hexdigest()
        assert ingest.size == len(content)
        blobs.place(ingest.path, ingest.digest)
    assert blobs.has(ingest.digest)
    assert ingest.digest in set(blobs.digests())
    with blobs.open(ingest.digest) as stream:
        assert stream.read() == content
    blobs.discard(ingest.digest)
    assert not blobs.has(ingest.digest)
    sweep(roots)


def test_a_document_may_not_be_too_long(roots: Roots) -> None:
    blobs = Blobs(roots)
    with Workspace(roots) as workspace:
        with Ingest(workspace.path()) as ingest:
            ingest.write(b"x" * 10)
        blobs.place(ingest.path, ingest.digest)
    assert blobs.read(ingest.digest, 10) == b"x" * 10
    with pytest.raises(Refused, match="longer than the 9 bytes"):
        blobs.read(ingest.digest, 9)


def test_the_index_is_an_image_layout(roots: Roots) -> None:
    Blobs(roots).write_index([{"mediaType": "m", "digest": "d", "size": 1}])
    with open(f"{roots.image_layout}/oci-layout") as file:
        assert json.load(file) == {"imageLayoutVersion": "1.0.0"}
    with open(f"{roots.image_layout}/index.json") as file:
        index = json.load(file)
    assert (index["schemaVersion"], len(index["manifests"])) == (2, 1)


def test_a_reader_sees_the_old_file_or_the_new_one(roots: Roots) -> None:
    path = f"{roots.data}/file"
    write_atomically(path, "0" * 10_000)
    broken = []
    done = threading.Event()

    def read() -> None:
        while not done.is_set():
            with open(path) as file:
                content = file.read()
            if len(content) != 10_000 or len(set(content)) != 1:
                broken.append(content)

    thread = threading.Thread(target=read)
    thread.start()
    for number in range(50):
        write_atomically(path, str(number % 10) * 10_000)
    done.set()
    thread.join()
    assert not broken


def test_a_workspace_of_a_dead_process_is_swept(roots: Roots) -> None:
    """The living one stays: its lock says so, whatever its age."""
    with Workspace(roots) as living:
        with Ingest(living.path()):
            pass
        child = os.fork()
        if not child:
            dead = Workspace(roots).__enter__()
            os.mkdir(dead.path())
            os._exit(0)
        os.waitpid(child, 0)
        assert len(os.listdir(roots.staging)) == 2
        sweep(roots)
        assert os.listdir(roots.staging) == [os.path.basename(living.folder)]
        assert os.listdir(living.folder) == ["1"]
    assert os.listdir(roots.staging) == os.listdir(roots.trash) == []
