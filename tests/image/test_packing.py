"""A layer's gzip blob: what it holds, and that nothing is spent on what is packed already."""

from __future__ import annotations

import gzip
import random
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tuidock.image.packing import BLOCK, Packing, member
from tuidock.storage.blobs import Ingest

NOISE = random.Random(7).randbytes(2 * BLOCK)
TEXT = b"some words that come again and again\n" * 60_000


def packed(folder: Path, pieces: list[bytes]) -> bytes:
    path = folder / "blob"
    path.unlink(missing_ok=True)
    ingest = Ingest(str(path))
    with Packing(ingest) as packing:
        for piece in pieces:
            packing.write(piece)
    ingest.close()
    return path.read_bytes()


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(st.sampled_from([NOISE, TEXT]), st.integers(0, 2 * BLOCK)), max_size=4))
def test_it_holds_what_was_written_however_it_came(tmp_path: Path, parts: list[tuple[bytes, int]]) -> None:
    whole = b"".join(source[:length] for source, length in parts)
    blob = packed(tmp_path, [source[:length] for source, length in parts])
    assert gzip.decompress(blob) == whole
    assert packed(tmp_path, [whole[at : at + 70_000] for at in range(0, len(whole), 70_000)]) == blob, "the same bytes again"


def test_what_is_packed_already_is_stored() -> None:
    noise, text = NOISE[:BLOCK], TEXT[:BLOCK]
    assert noise[:1000] in member(noise)
    assert len(member(noise)) < BLOCK + 500
    assert len(member(text)) < BLOCK // 50
    half = noise[: BLOCK // 2] + text[: BLOCK // 2]
    assert len(member(half)) < BLOCK * 0.6, "one half is worth it"
