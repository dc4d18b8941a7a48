"""Unpacked layers: one directory for each chain id, with a short link so that many of them fit into mount(2)'s one page."""

from __future__ import annotations

import os

from tuidock.errors import TuidockError
from tuidock.oci.value import Value

TYPE_CHECKING = False
if TYPE_CHECKING:
    from tuidock.storage.database import Database, Transaction
    from tuidock.storage.paths import Roots

SHORTEST_LINK = 5
"""Digits of the chain id in a link's name: 127 layers of `xxxxx:` are 762 bytes.  Longer where two would be alike."""


class Layer(Value):
    """What the database knows of a layer."""

    chain_id: str
    diff_id: str
    """digest of its uncompressed tar"""
    parent: str
    """chain id of the layer below; empty for the lowest"""
    blob: str
    """digest of its tar as it is kept"""
    link: str
    size: int
    """bytes of the files in its tree"""


class Layers:
    """The layers of one root.  A layer exists when the database says so: its tree was complete on the disk before."""

    def __init__(self, database: Database, roots: Roots) -> None:
        self.database = database
        self.roots = roots

    def path(self, chain_id: str) -> str:
        """The tree, ready to be an overlay's lower directory."""
        return self.roots.layer(chain_id)

    def link(self, chain_id: str) -> str:
        """The name under `roots.links` that leads to the tree.  Raises TuidockError if there is no such layer."""
        row = self.database.row("SELECT link FROM layers WHERE chain_id = ?", (chain_id,))
        if row is None:
            raise TuidockError(f"layer {chain_id} is missing", "load or import its image again")
        return str(row[0])

    def has(self, chain_id: str) -> bool:
        """Whether it is unpacked and known."""
        return self.database.row("SELECT 1 FROM layers WHERE chain_id = ?", (chain_id,)) is not None

    def place(self, staged: str, chain_id: str) -> str:
        """Give a complete, synced tree its name and a link.  The store lock is held exclusively.  Returns the link's name.

        A tree that is already there without being known was left by a crash before the transaction; it goes to the trash.
        """
        path = self.path(chain_id)
        if os.path.lexists(path):
            os.rename(path, f"{self.roots.trash}/{os.urandom(8).hex()}")
        os.rename(staged, path)
        target = os.path.relpath(path, self.roots.links)
        digits = chain_id.removeprefix("sha256:")
        for length in range(SHORTEST_LINK, len(digits) + 1):
            link = f"{self.roots.links}/{digits[:length]}"
            if os.path.exists(link) and os.readlink(link) != target:
                continue  # another layer's
            if os.path.lexists(link):
                os.unlink(link)
            os.symlink(target, link)
            return digits[:length]
        raise AssertionError("two layers with the same chain id")

    def add(self, transaction: Transaction, layer: Layer) -> None:
        """Make a placed layer known."""
        transaction.execute(
            "INSERT INTO layers (chain_id, diff_id, parent, blob, link, size) VALUES (?, ?, ?, ?, ?, ?)",
            (layer.chain_id, layer.diff_id, layer.parent, layer.blob, layer.link, layer.size),
        )

    def blob(self, chain_id: str) -> str:
        """The digest of the blob that it was unpacked from; empty for one that is not here."""
        row = self.database.row("SELECT blob FROM layers WHERE chain_id = ?", (chain_id,))
        return str(row[0]) if row else ""

    def size(self, chain_id: str) -> int:
        """Bytes of its regular files; 0 for one that is not here."""
        row = self.database.row("SELECT size FROM layers WHERE chain_id = ?", (chain_id,))
        return int(row[0]) if row else 0

    def forget_others(self, transaction: Transaction, used: set[str]) -> list[str]:
        """All but `used` are known no more.  Returns their chain ids, those that stand on others first."""
        rows = transaction.execute("SELECT chain_id FROM layers ORDER BY rowid DESC").fetchall()
        gone = [row[0] for row in rows if row[0] not in used]
        for chain_id in gone:
            transaction.execute("DELETE FROM layers WHERE chain_id = ?", (chain_id,))
        return gone

    def clear(self, used: set[str]) -> None:
        """Move the trees of all but `used` to the trash, with their links; the store lock is held exclusively."""
        for name in os.listdir(self.roots.layers):
            if f"sha256:{name}" not in used:
                os.rename(f"{self.roots.layers}/{name}", f"{self.roots.trash}/{os.urandom(8).hex()}")
        for link in os.listdir(self.roots.links):
            if not os.path.exists(f"{self.roots.links}/{link}"):
                os.unlink(f"{self.roots.links}/{link}")
