"""What a user writes for an image, to a Reference and back, with Docker's defaults.

A first part with a dot, a colon or a capital, or `localhost`, is a registry; `docker.io` and `library/` are implied and not
shown.  On the path of `run`, so without `re`.  Source: distribution/reference, `regexp.go` and `normalize.go`.
"""

from __future__ import annotations

from tuidock.errors import UsageError
from tuidock.oci.digest import HEX, is_digest
from tuidock.oci.value import Value

DEFAULT_DOMAIN = "docker.io"
DEFAULT_TAG = "latest"
NAME_LIMIT = 255
TAG_LIMIT = 128
LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
WORD = LOWER | frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ_")


class Reference(Value):
    """A name of an image.  Of tag and digest both may be there: the digest counts."""

    domain: str
    """host or host:port"""
    path: str
    """with `library/` where Docker implies it"""
    tag: str = ""
    digest: str = ""
    """of the manifest"""

    @property
    def repository(self) -> str:
        """As Docker shows it: without `docker.io/` and `library/`, without tag."""
        if self.domain != DEFAULT_DOMAIN:
            return f"{self.domain}/{self.path}"
        short = self.path.removeprefix("library/")
        return short if "/" not in short else self.path

    @property
    def familiar(self) -> str:
        """As Docker shows it, with tag and digest."""
        return self.repository + self._suffix()

    @property
    def full(self) -> str:
        """With nothing implied: what the database has."""
        return f"{self.domain}/{self.path}{self._suffix()}"

    def _suffix(self) -> str:
        return (f":{self.tag}" if self.tag else "") + (f"@{self.digest}" if self.digest else "")

    def tagged(self) -> Reference:
        """With `latest` if it has neither tag nor digest."""
        return self if self.tag or self.digest else self.replace(tag=DEFAULT_TAG)


def parse(text: str) -> Reference:
    """Raises UsageError, with Docker's words, if it is no reference.

    >>> parse("busybox").tagged().full
    'docker.io/library/busybox:latest'
    >>> parse("localhost:5000/a/b:1").repository
    'localhost:5000/a/b'
    """
    name, at, digest = text.partition("@")
    if at and not is_digest(digest):
        raise _invalid(text, "what follows @ is not a digest")
    tag = ""
    head, colon, tail = name.rpartition(":")
    if colon and "/" not in tail:
        name, tag = head, tail
        if not (tag and len(tag) <= TAG_LIMIT and tag[0] in WORD and WORD.issuperset(tag.replace(".", "").replace("-", ""))):
            raise _invalid(text, f"{tag!r} is not a tag")
    if len(name) == 64 and HEX.issuperset(name):
        raise _invalid(text, "64 hexadecimal digits are an id, not a name")
    domain, path = _split(name)
    if path != path.lower():
        raise _invalid(text, f"repository name ({path}) must be lowercase")
    if not _is_domain(domain) or not all(_is_component(part) for part in path.split("/")):
        raise _invalid(text, "")
    if len(path) > NAME_LIMIT:
        raise _invalid(text, f"repository name must not be more than {NAME_LIMIT} characters")
    return Reference(domain, path, tag, digest)


def familiar(full: str) -> str:
    """A stored, full reference as Docker shows it; one that we wrote needs no check."""
    short = full.removeprefix(f"{DEFAULT_DOMAIN}/")
    if short is full:
        return full
    shorter = short.removeprefix("library/")
    return shorter if "/" not in shorter else short


def _split(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or (first != "localhost" and "." not in first and ":" not in first and first == first.lower()):
        domain, path = DEFAULT_DOMAIN, name
    else:
        domain, path = first, rest
    if domain == "index.docker.io":
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in path:
        path = f"library/{path}"
    return domain, path


def _is_domain(text: str) -> bool:
    if text.startswith("["):
        host, end, port = text[1:].partition("]")
        return bool(end) and set(host) <= HEX | set("ABCDEF:") and ":" in host and (not port or _is_port(port))
    host, colon, number = text.partition(":")
    labels = host.split(".")
    plain = all(label.isascii() and label.replace("-", "").isalnum() and label.strip("-") == label for label in labels)
    return plain and (not colon or _is_port(colon + number))


def _is_port(text: str) -> bool:
    return text[0] == ":" and text[1:].isascii() and text[1:].isdigit()


def _is_component(text: str) -> bool:
    """Runs of lower-case letters and digits, between them one of `.`, `_`, `__` or any number of `-`."""
    between = ""
    if not text or text[0] not in LOWER or text[-1] not in LOWER:
        return False
    for letter in text:
        if letter in LOWER:
            if between not in ("", ".", "_", "__") and between.strip("-"):
                return False
            between = ""
        else:
            between += letter
    return True


def _invalid(text: str, why: str) -> UsageError:
    return UsageError(
        f"invalid reference format{': ' + why if why else ''} ({text[:200]!r})",
        "an image is named [REGISTRY/]NAME[:TAG], in lower case",
    )
