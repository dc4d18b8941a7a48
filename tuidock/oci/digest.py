"""Content by its hash: digests of bytes and of streams, and the names of layer stacks.

A digest is `sha256:` and 64 lower-case hexadecimal digits; text from outside passes `checked` before it becomes a path
(CVE-2024-3727: a digest with `../` in it).  Source: image-spec, descriptor.md, "Digests".
"""

from __future__ import annotations

from tuidock.errors import Refused

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

PREFIX = "sha256:"
HEX = frozenset("0123456789abcdef")


def digest(content: bytes) -> str:
    """The digest of some bytes.

    >>> digest(b"")[:19]
    'sha256:e3b0c44298fc'
    """
    from hashlib import sha256  # 3 ms, for which `run` has no use

    return PREFIX + sha256(content).hexdigest()


def is_digest(text: str) -> bool:
    """Whether this is a whole digest, of the one algorithm that is in use."""
    return len(text) == 71 and text.startswith(PREFIX) and HEX.issuperset(text[7:])


def checked(text: object, where: str) -> str:
    """The same text if it is a digest.  where: what it was read from, for the message.  Raises Refused."""
    if isinstance(text, str) and is_digest(text):
        return text
    raise Refused(f"{where}: {str(text)[:80]!r} is not a digest", "sha256: and 64 hexadecimal digits are expected")


def chain_ids(diff_ids: Iterable[str]) -> list[str]:
    """Name every prefix of a layer stack, lowest first.

    A chain id names a layer *and all that lies under it*: images that share their three lowest layers share the third
    chain id, and so one unpacked directory.  One for each diff id; the last names the whole rootfs; `FROM scratch` has none.
    Source: image-spec, config.md, "Layer ChainID".

    >>> a, b = digest(b"a"), digest(b"b")
    >>> chain_ids([a, b]) == [a, digest(f"{a} {b}".encode())]
    True
    """
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digest(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
