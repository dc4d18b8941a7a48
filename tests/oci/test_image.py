"""Documents from outside: what is taken, and what is refused before anything is done with it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.errors import Refused
from tuidock.oci import image
from tuidock.oci.image import Descriptor, Manifest, parse_config, parse_index, parse_manifest

D = "sha256:" + "a" * 64


def config(**fields: Any) -> bytes:
    return json.dumps({"rootfs": {"type": "layers", "diff_ids": [D]}, **fields}).encode()


def manifest(**fields: Any) -> bytes:
    described = {"mediaType": image.CONFIG, "digest": D, "size": 1}
    return json.dumps({"schemaVersion": 2, "config": described, "layers": [], **fields}).encode()


def test_a_manifest_there_and_back() -> None:
    layers = (Descriptor(image.LAYER_GZIP, D, 5), Descriptor(image.LAYER_ZSTD, D, 6, {"a": "b"}))
    written = Manifest(Descriptor(image.CONFIG, D, 2), layers)
    assert parse_manifest(written.as_bytes(), "m") == written
    assert b" " not in written.as_bytes()


def test_both_families_are_read() -> None:
    for media_type, of_config in ((image.MANIFEST, image.CONFIG), (image.DOCKER_MANIFEST, image.DOCKER_CONFIG)):
        described = {"mediaType": of_config, "digest": D, "size": 1}
        assert parse_manifest(manifest(mediaType=media_type, config=described), "m").config.media_type == of_config


@pytest.mark.parametrize(
    "fields",
    [
        {"manifests": []},  # CVE-2021-41190: both at once
        {"mediaType": image.INDEX},
        {"layers": None},
        {"layers": [{"digest": D}]},
        {"layers": [{"digest": "sha256:../../x", "size": 1}]},
        {"layers": [{"digest": D, "size": -1}]},
        {"layers": [{"digest": D, "size": True}]},
        {"layers": [{"digest": D, "size": 1, "annotations": ["x"]}]},
        {"config": None},
        {"config": {"mediaType": "application/vnd.cncf.helm.config.v1+json", "digest": D, "size": 1}},
    ],
)
def test_manifests_that_are_none(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        parse_manifest(manifest(**fields), "m")


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"[]",
        b"{",
        b"\xff\xfe{\0}\0",
        b'{"a": NaN}',
        b'"\xed\xa0\x80"',
        b"[" * 100_000,
        b'{"rootfs": "\\ud800"}',
        b"1" * 10_000,
    ],
)
def test_what_is_no_json(content: bytes) -> None:
    with pytest.raises(Refused):
        parse_config(content, "c")
    with pytest.raises(Refused):
        parse_index(content, "i")


@pytest.mark.parametrize(
    "fields",
    [
        {"rootfs": {}},
        {"rootfs": {"diff_ids": ["x"]}},
        {"rootfs": {"diff_ids": [D] * 501}},
        {"config": []},
        {"config": {"Env": "A=b"}},
        {"config": {"Env": [1]}},
        {"config": {"Labels": ["a"]}},
        {"config": {"Labels": {"a": 1}}},
        {"config": {"User": 0}},
        {"history": {}},
        {"history": ["x"]},
        {"os": "windows"},
        {"architecture": {"amd64": 1}},
        {"created": 5},
    ],
)
def test_configs_that_could_not_be_run(fields: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        parse_config(config(**fields), "c")


LEAVES = st.none() | st.booleans() | st.integers() | st.text()
VALUES = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=8)


@given(VALUES)
def test_nothing_but_refused_comes_out(value: object) -> None:
    for content in (json.dumps(value).encode(), config(config=value), manifest(layers=value), manifest(config=value)):
        for parse in (parse_config, parse_manifest, parse_index):
            try:
                parse(content, "x")
            except Refused:
                pass
