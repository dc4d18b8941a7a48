"""-v: text to mounts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.errors import UsageError
from tuidock.volume import Mount, collect, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/test", Mount("volume", "/test", anonymous=True)),
        ("/home:/test", Mount("bind", "/test", "/home")),
        ("/home/:/test/", Mount("bind", "/test", "/home")),
        ("/home:/test:ro", Mount("bind", "/test", "/home", read_only=True, mode="ro")),
        ("web:/srv", Mount("volume", "/srv", name="web")),
        ("web:/srv:nocopy,ro", Mount("volume", "/srv", name="web", read_only=True, copy=False, mode="nocopy,ro")),
        ("/a:/b:rslave", Mount("bind", "/b", "/a", propagation="rslave", mode="rslave")),
        ("/a:/../../etc/x", Mount("bind", "/etc/x", "/a")),  # containerd CVE-2022-23648: it is /etc of the container
        ("/a:/b:Z", Mount("bind", "/b", "/a", mode="Z")),
    ],
)
def test_what_docker_takes(text, expected):
    assert parse(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", ":", "a:", ":/b", "/a:b", "./a:/b", "~/a:/b", "a b:/c", "/a:/b:x", "/a:/b:ro:z", "/a:/", "/a:/..", "/a:/proc/x",
     "x:/proc", "/a:/b:shared", "..:/b"],
)  # fmt: skip
def test_what_docker_refuses_says_why_and_what_to_do(text):
    with pytest.raises(UsageError) as caught:
        parse(text)
    assert caught.value.hint


@given(st.text(max_size=40))
def test_no_text_leads_out_of_the_container(text):
    try:
        mount = parse(text)
    except UsageError:
        return
    assert mount.destination.startswith("/")
    assert ".." not in mount.destination.split("/")
    assert "/" not in mount.name


def test_a_flag_beats_the_images_volume_and_depth_orders():
    mounts = collect(["/h:/data/deep", "v1:/data"], ["/tmp/x:size=1m"], ["/data", "/other"])
    assert [(mount.kind, mount.destination) for mount in mounts] == [
        ("volume", "/data"), ("volume", "/other"), ("bind", "/data/deep"), ("tmpfs", "/tmp/x"),
    ]  # fmt: skip


def test_one_place_has_one_mount():
    with pytest.raises(UsageError, match="duplicate mount point"):
        collect(["/a:/x", "/b:/x/"], [], [])
