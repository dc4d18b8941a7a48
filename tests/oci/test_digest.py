"""Digests and chain ids."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.errors import Refused
from tuidock.oci.digest import chain_ids, checked, digest, is_digest


@given(st.binary())
def test_a_digest_is_the_hash_with_its_name(content: bytes) -> None:
    assert digest(content) == "sha256:" + hashlib.sha256(content).hexdigest()
    assert checked(digest(content), "here") == digest(content)


@pytest.mark.parametrize(
    "text",
    [
        "", "sha256:", "sha256:../../../etc/passwd", "a" * 71, "sha256:" + "A" * 64, "sha256:" + "g" * 64,
        "sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "a" * 64 + "\n", "md5:" + "a" * 64, None, 7, ["sha256"],
    ],
)  # fmt: skip
def test_what_is_no_digest_is_refused(text: object) -> None:
    """CVE-2024-3727: a digest becomes a path."""
    assert not (isinstance(text, str) and is_digest(text))
    with pytest.raises(Refused, match="is not a digest"):
        checked(text, "a manifest")


def test_chain_ids_as_specified() -> None:
    """image-spec, config.md: ChainID(A) is A, ChainID(A|B) is the digest of both with a space."""
    first, second = "sha256:" + "1" * 64, "sha256:" + "2" * 64
    assert chain_ids([]) == []
    assert chain_ids([first]) == [first]
    expected = "sha256:" + hashlib.sha256(f"{first} {second}".encode()).hexdigest()
    assert chain_ids([first, second]) == [first, expected]


@given(st.lists(st.binary(max_size=4).map(digest), max_size=6))
def test_a_chain_is_named_by_its_beginning(diff_ids: list[str]) -> None:
    whole = chain_ids(diff_ids)
    assert len(whole) == len(diff_ids)
    for length in range(len(diff_ids)):
        assert chain_ids(diff_ids[:length]) == whole[:length]
