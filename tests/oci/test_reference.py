"""References, as docker takes and shows them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tuidock.errors import UsageError
from tuidock.oci.reference import Reference, familiar, parse

D = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("text", "full", "shown"),
    [
        ("busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("docker.io/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("index.docker.io/library/busybox", "docker.io/library/busybox:latest", "busybox:latest"),
        ("tuidock/starter", "docker.io/tuidock/starter:latest", "tuidock/starter:latest"),
        ("localhost/a", "localhost/a:latest", "localhost/a:latest"),
        ("localhost:5000/a/b:x", "localhost:5000/a/b:x", "localhost:5000/a/b:x"),
        ("a.b/c", "a.b/c:latest", "a.b/c:latest"),
        ("UPPER/c", "UPPER/c:latest", "UPPER/c:latest"),
        ("[::1]:5000/a", "[::1]:5000/a:latest", "[::1]:5000/a:latest"),
        ("a/b/c", "docker.io/a/b/c:latest", "a/b/c:latest"),
        ("library/a/b", "docker.io/library/a/b:latest", "library/a/b:latest"),
        ("a__b.c-d---e", "docker.io/library/a__b.c-d---e:latest", "a__b.c-d---e:latest"),
        (f"busybox@{D}", f"docker.io/library/busybox@{D}", f"busybox@{D}"),
        (f"busybox:1@{D}", f"docker.io/library/busybox:1@{D}", f"busybox:1@{D}"),
        ("x:_.-", "docker.io/library/x:_.-", "x:_.-"),
    ],
)
def test_names(text: str, full: str, shown: str) -> None:
    reference = parse(text).tagged()
    assert (reference.full, reference.familiar) == (full, shown)
    if not reference.digest:
        assert familiar(full) == shown


@pytest.mark.parametrize(
    "text",
    [
        "", "Busybox", "a/B", ":tag", "a:", "a:-x", "a:.x", "a:" + "x" * 129, "a//b", "/a", "a/", "-a", "a-", "_a", "a___b",
        "a..b", "a._b", "a b", "a\n", "é", "a@", "a@sha256:abc", f"a@{D}x", "a" * 256, "0" * 64, "a.b:port/c", "-a.b/c",
        "a:b:c", "a.b/", "http://a/b", "../a", "[::1/a", "a:Ä",
    ],
)  # fmt: skip
def test_what_is_no_name(text: str) -> None:
    with pytest.raises(UsageError, match="invalid reference format"):
        parse(text)


COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOMAIN = r"(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])"
HOST = rf"(?:{DOMAIN}(?:\.{DOMAIN})*|\[[a-fA-F0-9]*:[a-fA-F0-9:]*\])(?::[0-9]+)?"
GRAMMAR = re.compile(
    rf"(?:{HOST}/)?{COMPONENT}(?:/{COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?"
)
"""distribution/reference, regexp.go, put together here once more."""


@given(st.text(alphabet="ab0.:/-_", max_size=14) | st.from_regex(GRAMMAR, fullmatch=True))
def test_the_grammar_is_distributions(text: str) -> None:
    try:
        reference = parse(text)
    except UsageError as error:
        known = any(why in error.message for why in ("lowercase", "64 hexadecimal", "more than 255"))
        first, slash, _ = text.partition("/")  # Docker reads `a.b_c/d` as a host that can be none
        no_host = slash and set(first) & set(".:") and not re.fullmatch(HOST, first)
        assert known or no_host or not GRAMMAR.fullmatch(text)
        return
    assert GRAMMAR.fullmatch(reference.full)
    assert parse(reference.full) == reference
    assert parse(reference.familiar) == reference


TAG = st.from_regex(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,20}", fullmatch=True)


@given(st.from_regex(COMPONENT, fullmatch=True).filter(lambda name: len(name) < 60), TAG)
def test_there_and_back(name: str, tag: str) -> None:
    assert parse(f"{name}:{tag}") == Reference("docker.io", f"library/{name}", tag)
