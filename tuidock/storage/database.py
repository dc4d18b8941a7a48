"""The one SQLite database: names, images, containers, volumes, networks, events.

Bytes and trees reach the disk first and the transaction comes last, so nothing has a name before it is there.  Writers
`BEGIN IMMEDIATE` and do no other I/O inside; readers never write.  Each thread has a connection of its own.
"""

from __future__ import annotations

import _sqlite3 as sqlite3  # the module below `sqlite3`, without the 5 ms for its converters of dates
import os
import time
from _thread import _local

from tuidock.errors import DiskFull, TuidockError
from tuidock.oci.jsontext import dumps
from tuidock.storage import ballast

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Any

    from tuidock.storage.paths import Roots

NETWORKS = """
CREATE TABLE networks (
    id          TEXT PRIMARY KEY,     -- 64 hexadecimal digits
    name        TEXT NOT NULL UNIQUE,
    driver      TEXT NOT NULL,        -- bridge, host, null
    link        TEXT NOT NULL,        -- name of the bridge; empty where there is none
    internal    INTEGER NOT NULL,
    ipv6        INTEGER NOT NULL,
    pools       TEXT NOT NULL,        -- JSON list of {subnet, gateway, range}, IPv4 first
    options     TEXT NOT NULL,        -- JSON objects of strings
    labels      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE UNIQUE INDEX networks_by_link ON networks(link) WHERE link != '';
CREATE TABLE endpoints (              -- which container is on which network, also while it does not run
    container   TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    network     TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
    position    INTEGER NOT NULL,     -- 0 is eth0, where the default route goes
    asked       TEXT NOT NULL,        -- JSON object: ip, ip6, mac, aliases
    link        TEXT NOT NULL DEFAULT '',   -- the host's end of its cable, while it is plugged in
    mac         TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (container, network)
) STRICT;
CREATE INDEX endpoints_by_network ON endpoints(network);
CREATE TABLE leases (
    network     TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
    address     BLOB NOT NULL,        -- four or sixteen bytes
    container   TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    PRIMARY KEY (network, address)
) STRICT;
CREATE INDEX leases_by_container ON leases(container);
CREATE TABLE cursors (                -- the address that was given last
    network     TEXT NOT NULL REFERENCES networks(id) ON DELETE CASCADE,
    size        INTEGER NOT NULL,     -- bytes of the family
    address     BLOB NOT NULL,
    PRIMARY KEY (network, size)
) STRICT;
CREATE TABLE ports (                  -- published ports of running containers
    container   TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    protocol    TEXT NOT NULL,
    inside      INTEGER NOT NULL,
    address     BLOB NOT NULL,        -- of this machine; all zeros: every one of the family
    port        INTEGER NOT NULL,
    PRIMARY KEY (container, protocol, inside, address, port)
) STRICT;
CREATE INDEX ports_by_port ON ports(port);
"""
RESTARTS = """
ALTER TABLE containers ADD COLUMN restart_count INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN restart_pause INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN restart_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE containers ADD COLUMN stopped_by TEXT NOT NULL DEFAULT '';
"""
"""restart_count: since somebody started it; restart_pause: ms before the last restart; restart_at: when the next one is
due, ns since the epoch; stopped_by: empty, or who ended it and so keeps it from starting again: `user`, `system`."""
SCHEMA_VERSION = 3
MIGRATIONS = {1: NETWORKS, 2: RESTARTS}
"""Version to what makes the next one of it."""
SCHEMA = (
    """
CREATE TABLE images (
    id         TEXT PRIMARY KEY,      -- digest of the config blob: docker's IMAGE ID
    manifest   TEXT NOT NULL,         -- digest of the manifest blob
    config     TEXT NOT NULL,         -- the config blob's JSON
    chain_ids  TEXT NOT NULL,         -- JSON list, lowest layer first
    size       INTEGER NOT NULL,      -- bytes of all unpacked layers
    created    TEXT NOT NULL,         -- RFC 3339, from the config; may be empty
    loaded_at  INTEGER NOT NULL       -- ns since the epoch
) STRICT;
CREATE TABLE tags (
    reference  TEXT PRIMARY KEY,      -- in full: docker.io/library/busybox:latest
    image      TEXT NOT NULL REFERENCES images(id),
    tagged_at  INTEGER NOT NULL
) STRICT;
CREATE INDEX tags_by_image ON tags(image);
CREATE TABLE layers (
    chain_id   TEXT PRIMARY KEY,
    diff_id    TEXT NOT NULL,         -- digest of the uncompressed tar
    parent     TEXT NOT NULL,         -- chain id of the layer below, empty for the lowest
    blob       TEXT NOT NULL,         -- digest of the bytes as they came
    link       TEXT NOT NULL UNIQUE,  -- short name under l/
    size       INTEGER NOT NULL       -- bytes of the unpacked tree
) STRICT;
CREATE TABLE containers (
    id          TEXT PRIMARY KEY,
    name        TEXT NOT NULL UNIQUE,
    image       TEXT NOT NULL,        -- image id
    image_name  TEXT NOT NULL,        -- as the user wrote it
    chain_ids   TEXT NOT NULL,        -- the stack it stands on, lowest first
    request     TEXT NOT NULL,        -- the RunRequest as JSON
    config      TEXT NOT NULL,        -- docker's Config, HostConfig and Mounts as JSON, for inspect
    created_at  INTEGER NOT NULL,     -- ns since the epoch, here and below; 0 for never
    status      TEXT NOT NULL,        -- created, starting, running, paused, restarting, exited, removing
    pid         INTEGER NOT NULL DEFAULT 0,
    monitor_pid INTEGER NOT NULL DEFAULT 0,
    start_time  INTEGER NOT NULL DEFAULT 0,   -- of pid 1, field 22 of /proc/PID/stat
    boot_id     TEXT NOT NULL DEFAULT '',
    started_at  INTEGER NOT NULL DEFAULT 0,
    finished_at INTEGER NOT NULL DEFAULT 0,
    exit_code   INTEGER NOT NULL DEFAULT 0,
    oom_killed  INTEGER NOT NULL DEFAULT 0,
    error       TEXT NOT NULL DEFAULT ''
) STRICT;
CREATE INDEX containers_by_image ON containers(image);
CREATE TABLE volumes (
    name        TEXT PRIMARY KEY,
    anonymous   INTEGER NOT NULL,
    owner       TEXT NOT NULL,        -- id of the container it was made for, if anonymous
    labels      TEXT NOT NULL,
    created_at  INTEGER NOT NULL
) STRICT;
CREATE TABLE mounts (                 -- which container uses which volume
    container   TEXT NOT NULL REFERENCES containers(id) ON DELETE CASCADE,
    volume      TEXT NOT NULL REFERENCES volumes(name),
    destination TEXT NOT NULL,
    PRIMARY KEY (container, destination)
) STRICT;
CREATE INDEX mounts_by_volume ON mounts(volume);
CREATE TABLE events (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    time        INTEGER NOT NULL,     -- ns since the epoch
    type        TEXT NOT NULL,        -- container, image, volume
    action      TEXT NOT NULL,        -- create, start, die, destroy, tag, untag, load, import, ...
    actor       TEXT NOT NULL,        -- id or name
    attributes  TEXT NOT NULL         -- JSON object of strings
) STRICT;
"""
    + NETWORKS
    + RESTARTS
)
EVENTS_KEPT = 10_000


class Database:
    """The database of one data root."""

    def __init__(self, roots: Roots) -> None:
        self.roots = roots
        self._thread = _local()

    @property
    def connection(self) -> sqlite3.Connection:
        """This thread's connection; the schema is made or checked when it opens."""
        try:
            return self._thread.connection  # type: ignore[no-any-return]
        except AttributeError:
            pass
        try:
            connection = self._open()
        except sqlite3.Error as error:
            if full(error):
                raise DiskFull(self.roots.data) from error
            raise TuidockError(
                f"the database {self.roots.database} cannot be used: {error}",
                "is the disk full, or was the file damaged? what it names is kept in the folders beside it",
            ) from error
        self._thread.connection = connection
        return connection

    def _open(self) -> sqlite3.Connection:
        self.make_room()
        if ballast.short(self.roots.data, ballast.LEAST):
            return self._read_only()  # also: blocks that SQLite maps and the disk cannot give end this process (SIGBUS)
        try:
            connection = self._connect()
        except sqlite3.OperationalError as error:
            if not full(error):
                raise
            return self._read_only()
        if not ballast.whole(self.roots.ballast):
            ballast.take(self.roots.ballast)
        return connection

    def make_room(self) -> bool:
        """Give up a piece of the ballast if the disk is full.  Returns whether it is: then `ballast.take` comes after."""
        short = ballast.short(self.roots.data)
        if short:
            ballast.give(self.roots.ballast)
        return short

    def _read_only(self) -> sqlite3.Connection:
        """A connection that needs no room: its index of the log is in memory (https://sqlite.org/walformat.html)."""
        from urllib.parse import quote

        words = f"file:{quote(self.roots.database)}?mode=ro&readonly_shm=1"
        connection = sqlite3.connect(words, timeout=30, isolation_level=None, uri=True)
        connection.execute("PRAGMA user_version")
        self._thread.reading = True
        return connection

    def writing(self) -> sqlite3.Connection:
        """This thread's connection, for a transaction.  Raises DiskFull."""
        connection = self.connection
        if self._thread.__dict__.get("reading"):
            self.close()
            connection = self.connection
            if self._thread.__dict__.get("reading"):
                raise DiskFull(self.roots.data)
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.roots.database, timeout=30, isolation_level=None)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("BEGIN IMMEDIATE")
            (version,) = connection.execute("PRAGMA user_version").fetchone()  # another process may have been faster
            if version == 0:
                for statement in SCHEMA.split(";\n"):
                    connection.execute(statement)
                connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
                version = SCHEMA_VERSION
            connection.execute("COMMIT")
        if version in MIGRATIONS:
            version = self._migrate(connection)
        if version != SCHEMA_VERSION:
            connection.close()
            raise TuidockError(
                f"{self.roots.database} has schema version {version}, this tuidock knows {SCHEMA_VERSION}",
                "use the tuidock that wrote it, or another --root",
            )
        connection.execute("PRAGMA foreign_keys=ON")
        connection.execute("PRAGMA synchronous=NORMAL")
        connection.execute("PRAGMA wal_autocheckpoint=200")  # a process may end without closing: the next one reads the log
        return connection

    def _migrate(self, connection: sqlite3.Connection) -> int:
        """From an older schema to this one, all of it or nothing.  Returns the version that it is then."""
        connection.execute("BEGIN IMMEDIATE")
        try:
            version: int = connection.execute("PRAGMA user_version").fetchone()[0]
            while version in MIGRATIONS:
                for statement in MIGRATIONS[version].split(";\n"):
                    connection.execute(statement)
                version += 1
            connection.execute(f"PRAGMA user_version={version}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        return version

    def transaction(self) -> Transaction:
        """One write transaction, as a context manager: all of it or nothing.

        The bell is rung after the commit if it told an event.
        """
        return Transaction(self)

    def ring(self) -> None:
        """Wake who waits for events: the bell's times change."""
        try:
            os.utime(self.roots.bell)
        except FileNotFoundError:
            self.roots.make()

    def rows(self, query: str, values: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
        """A reading query's rows."""
        try:
            return self.connection.execute(query, values).fetchall()
        except sqlite3.OperationalError as error:
            raise self.explained(error) from error

    def row(self, query: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        """A reading query's first row, or None."""
        try:
            return self.connection.execute(query, values).fetchone()  # type: ignore[no-any-return]
        except sqlite3.OperationalError as error:
            raise self.explained(error) from error

    def explained(self, error: sqlite3.OperationalError) -> Exception:
        """DiskFull in the place of what SQLite says then; else the error itself."""
        return DiskFull(self.roots.data) if full(error) else error

    def close(self) -> None:
        """Close this thread's connection."""
        self._thread.__dict__.pop("reading", None)
        connection = self._thread.__dict__.pop("connection", None)
        if connection is not None:
            connection.close()


class Transaction:
    """What may be done inside `with database.transaction()`."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.connection = database.writing()
        self.told = False
        self.short = False

    def __enter__(self) -> Transaction:
        self.short = self.database.make_room()
        try:
            self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self._take_back()
            raise self.database.explained(error) from error
        return self

    def _take_back(self) -> None:
        if self.short:
            ballast.take(self.database.roots.ballast)

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if error is not None:
            if self.connection.in_transaction:  # a full disk has ended it
                self.connection.execute("ROLLBACK")
            self._take_back()
            return
        try:
            self.connection.execute("COMMIT")
        except BaseException as failed:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            if isinstance(failed, sqlite3.OperationalError):
                raise self.database.explained(failed) from failed
            raise
        finally:
            self._take_back()
        if self.told:
            self.database.ring()

    def execute(self, query: str, values: tuple[Any, ...] = ()) -> sqlite3.Cursor:
        try:
            return self.connection.execute(query, values)
        except sqlite3.OperationalError as error:
            raise self.database.explained(error) from error

    def row(self, query: str, values: tuple[Any, ...] = ()) -> tuple[Any, ...] | None:
        return self.connection.execute(query, values).fetchone()  # type: ignore[no-any-return]

    def tell(self, kind: str, action: str, actor: str, attributes: Mapping[str, str]) -> None:
        """Write an event down.  kind: container, image or volume; the rest as docker's events name them."""
        cursor = self.execute(
            "INSERT INTO events (time, type, action, actor, attributes) VALUES (?, ?, ?, ?, ?)",
            (time.time_ns(), kind, action, actor, dumps(dict(attributes))),
        )
        if cursor.lastrowid and cursor.lastrowid % 1000 == 0:
            self.connection.execute("DELETE FROM events WHERE seq <= ?", (cursor.lastrowid - EVENTS_KEPT,))
        self.told = True


def full(error: sqlite3.Error) -> bool:
    """Whether SQLite found no room: SQLITE_FULL, or an I/O error while its files grow (SQLITE_IOERR_WRITE, _SHMSIZE)."""
    code = getattr(error, "sqlite_errorcode", 0)
    return code & 0xFF == 13 or code in (778, 4874)
