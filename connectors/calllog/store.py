"""The database of the calls: one SQLite file beside the state, so that no call is lost that the state does not know
yet.

A call is here from the moment when it is first heard of; it is an *item* once it is over. Every change has a serial
number, which is what cursors and versions are made of; none is given twice, also when the row that had it has gone.

What is erased leaves nothing behind: not in the file's free pages either, nor in its write-ahead log.
"""

import contextlib
import hashlib
import json
import logging
import secrets
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from crmsync.connectors.calllog.file import explained, secured
from crmsync.connectors.calllog.witness import Witness
from crmsync.connectors.errors import Unreachable

log = logging.getLogger(__name__)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS items (
  account TEXT NOT NULL, id TEXT NOT NULL, serial INTEGER NOT NULL UNIQUE, gone INTEGER NOT NULL, modified TEXT NOT
  NULL, content TEXT NOT NULL, PRIMARY KEY (account, id)
);
CREATE TABLE IF NOT EXISTS going (
  account TEXT NOT NULL, key TEXT NOT NULL, switch TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (account, key)
);
CREATE TABLE IF NOT EXISTS tokens (
  hash TEXT PRIMARY KEY, account TEXT NOT NULL, id TEXT NOT NULL, made TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS erased (hash TEXT PRIMARY KEY, at TEXT NOT NULL);
INSERT OR IGNORE INTO meta SELECT 'serial', coalesce(max(serial), 0) FROM items;
"""


@dataclass(frozen=True, slots=True)
class Row:
    id: str
    serial: int
    gone: bool
    modified: datetime
    content: Mapping[str, Any]  # JSON


class CallStore:
    """Safe to use from several threads. Everything raises Unreachable where the file cannot be used."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._witness = Witness(file)
        self._lock = threading.RLock()
        self._open: sqlite3.Connection | None = None

    def close(self) -> None:
        with self._lock:
            if self._open is not None:
                self._open.close()
                self._open = None

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            try:
                if self._open is None:
                    self._open = self._connected()
                self._open.execute("BEGIN IMMEDIATE")
                try:
                    yield self._open
                    self._open.execute("COMMIT")
                except BaseException:
                    if self._open.in_transaction:  # a full disk has ended it already
                        self._open.execute("ROLLBACK")
                    raise
            except (sqlite3.Error, OSError) as error:
                raise explained(self._file, error) from error

    def _connected(self) -> sqlite3.Connection:
        secured(self._file)  # numbers and notes are nobody else's business
        made = sqlite3.connect(self._file, timeout=10, isolation_level=None, check_same_thread=False)
        try:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA synchronous=FULL")
            made.execute("PRAGMA secure_delete=ON")
            made.execute("PRAGMA temp_store=MEMORY")
            made.executescript(_SCHEMA)
            made.execute("INSERT OR IGNORE INTO meta VALUES ('epoch', ?)", (secrets.token_hex(4),))
            self._look_back(made)
        except BaseException:
            made.close()
            raise
        return made

    def _look_back(self, made: sqlite3.Connection) -> None:
        """A log that was restored from an older copy begins an era of its own: what was told of it since that copy is
        of numbers that it would give once more, for something else."""
        made.execute("BEGIN IMMEDIATE")
        mark, last = _mark(made), _last(made)
        seen = self._witness.last()
        restored = seen is not None and seen[0] == mark and seen[1] > last
        if seen is not None and restored:
            made.execute("INSERT OR REPLACE INTO meta VALUES ('era', ?)", (f".{secrets.token_hex(4)}",))
            made.execute("UPDATE meta SET value = ? WHERE name = 'serial'", (str(seen[1]),))
        made.execute("COMMIT")
        if restored:
            log.warning(
                "the call log %s was restored from an older copy: all of it is compared with the CRM once more",
                self._file,
                extra={"action": "calls.restored"},
            )

    # ── Items ────────────────────────────────────────────────────────────────────────────────────────────────

    def epoch(self) -> tuple[str, int]:
        """Another one for another database: a cursor of this one says nothing to it. And how far it has come."""
        with self._transaction() as db:
            return _mark(db), _last(db)

    def since(self, account: str, serial: int, limit: int) -> list[Row]:
        with self._transaction() as db:
            return [_row(r) for r in db.execute(
                f"SELECT {_FIELDS} FROM items WHERE account = ? AND serial > ? ORDER BY serial LIMIT ?",
                (account, serial, limit),
            )]  # fmt: skip

    def get(self, account: str, ids: Sequence[str]) -> dict[str, Row]:
        """Those that were there ever; one that is absent never was, or was erased, or was old enough to go."""
        with self._transaction() as db:
            marks = ", ".join("?" * len(ids))
            return {r.id: r for r in map(_row, db.execute(
                f"SELECT {_FIELDS} FROM items WHERE account = ? AND id IN ({marks})", (account, *map(_utf8, ids))
            ))}  # fmt: skip

    def put(
        self, account: str, id: str, content: Mapping[str, Any], at: datetime, *, expected: int | None = None
    ) -> Row | None:
        """The item as it stands then; None where it has another serial than ``expected`` by now, or was erased.
        ``expected`` zero: where it must not be there."""
        return self._written(account, id, content, at, expected, gone=False)

    def remove(self, account: str, id: str, at: datetime, *, expected: int | None = None) -> Row | None:
        return self._written(account, id, {}, at, expected, gone=True)

    def _written(
        self,
        account: str,
        id: str,
        content: Mapping[str, Any],
        at: datetime,
        expected: int | None,
        *,
        gone: bool,
    ) -> Row | None:
        with self._lock:
            with self._transaction() as db:
                row = _put(db, account, id, content, at, expected, gone=gone)
                mark = _mark(db)
            if row is not None:
                self._witness.note(mark, row.serial)
            return row

    # ── Calls that go on ─────────────────────────────────────────────────────────────────────────────────────

    def keep(self, account: str, key: str, switch: str, content: Mapping[str, Any]) -> None:
        """Unless it was erased."""
        with self._transaction() as db:
            if _is_erased(db, account, key):
                return
            db.execute(
                "INSERT OR REPLACE INTO going VALUES (?, ?, ?, ?)",
                (account, key, switch, json.dumps(content)),
            )

    def drop(self, account: str, key: str) -> None:
        with self._transaction() as db:
            db.execute("DELETE FROM going WHERE account = ? AND key = ?", (account, key))

    def going(self, switch: str) -> list[tuple[str, Mapping[str, Any]]]:
        """Account and content."""
        with self._transaction() as db:
            found = db.execute("SELECT account, content FROM going WHERE switch = ?", (switch,))
            return [(account, json.loads(content)) for account, content in found]

    # ── What has to go ───────────────────────────────────────────────────────────────────────────────────────

    def every(self) -> Iterator[tuple[str, str, Row | None, Mapping[str, Any]]]:
        """All that is kept of calls, a stretch at a time: account, key, the item (None while the call goes on),
        content."""
        serial = 0
        while True:
            with self._transaction() as db:
                found = db.execute(
                    f"SELECT account, {_FIELDS} FROM items WHERE serial > ? ORDER BY serial LIMIT 200",
                    (serial,),
                ).fetchall()
            for account, *rest in found:
                row = _row((rest[0], rest[1], rest[2], rest[3], rest[4]))
                serial = row.serial
                yield account, row.id, row, row.content
            if not found:
                break
        with self._transaction() as db:
            going = db.execute("SELECT account, key, content FROM going").fetchall()
        yield from ((account, key, None, json.loads(content)) for account, key, content in going)

    def erase(self, calls: Sequence[tuple[str, str]], at: datetime) -> None:
        """Accounts and keys: nothing of these calls is left, and what is still told of them is not kept either."""
        with self._transaction() as db:
            for account, key in calls:
                hashed = (_hashed(db, account, key), at.isoformat())
                db.execute("INSERT OR REPLACE INTO erased VALUES (?, ?)", hashed)
                db.execute("DELETE FROM items WHERE account = ? AND id = ?", (account, key))
                db.execute("DELETE FROM going WHERE account = ? AND key = ?", (account, key))
        self._scrub()

    def is_erased(self, account: str, key: str) -> bool:
        with self._transaction() as db:
            return _is_erased(db, account, key)

    def prune(self, account: str, old: Sequence[Row], before: datetime) -> None:
        """These items, as they stand there, and what is known of those that were erased before that."""
        with self._transaction() as db:
            for row in old:
                db.execute(
                    "DELETE FROM items WHERE account = ? AND id = ? AND serial = ?",
                    (account, row.id, row.serial),
                )
            db.execute("DELETE FROM erased WHERE at < ?", (before.isoformat(),))

    def _scrub(self) -> None:
        """A file from before rows were overwritten when they are deleted still has them in its free pages. The log is
        written back whole once nobody reads it."""
        with self._lock:
            assert self._open is not None
            try:
                self._open.execute("VACUUM")
                (busy, *_) = self._open.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            except sqlite3.Error as error:
                raise explained(self._file, error) from error
        if busy:
            raise Unreachable(
                f"the call log {self._file} is being read: what was erased stands in its write-ahead log still",
                hint="do it again",
            )

    # ── Who is paired ────────────────────────────────────────────────────────────────────────────────────────

    def pair(self, hash: str, account: str, id: str, at: datetime) -> None:
        with self._transaction() as db:
            db.execute("INSERT INTO tokens VALUES (?, ?, ?, ?)", (hash, account, id, at.isoformat()))

    def paired(self) -> list[tuple[str, str, str, str]]:
        """Hash, account, id, when; oldest first."""
        with self._transaction() as db:
            return list(db.execute("SELECT hash, account, id, made FROM tokens ORDER BY made"))

    def unpair(self, account: str, id: str | None) -> int:
        """How many; None: all of the account's."""
        with self._transaction() as db:
            return db.execute(
                "DELETE FROM tokens WHERE account = ? AND (? IS NULL OR id = ?)", (account, id, id)
            ).rowcount


_FIELDS = "id, serial, gone, modified, content"


def _last(db: sqlite3.Connection) -> int:
    (last,) = db.execute("SELECT value FROM meta WHERE name = 'serial'").fetchone()
    return int(last)


def _put(
    db: sqlite3.Connection,
    account: str,
    id: str,
    content: Mapping[str, Any],
    at: datetime,
    expected: int | None,
    *,
    gone: bool,
) -> Row | None:
    found = db.execute(
        "SELECT serial, gone FROM items WHERE account = ? AND id = ?", (account, id)
    ).fetchone()
    stands = 0 if found is None or found[1] else int(found[0])
    if expected is not None and expected != stands:
        return None
    if expected is None and _is_erased(db, account, id):
        return None
    row = Row(id, _last(db) + 1, gone, at, content)
    db.execute("UPDATE meta SET value = ? WHERE name = 'serial'", (str(row.serial),))
    db.execute(
        "INSERT OR REPLACE INTO items VALUES (?, ?, ?, ?, ?, ?)",
        (account, id, row.serial, int(gone), at.isoformat(), json.dumps(content)),
    )
    return row


def _mark(db: sqlite3.Connection) -> str:
    """Of this database, and since it was last restored."""
    found = dict(db.execute("SELECT name, value FROM meta WHERE name IN ('epoch', 'era')"))
    return f"{found['epoch']}{found.get('era', '')}"


def _is_erased(db: sqlite3.Connection, account: str, key: str) -> bool:
    known = db.execute("SELECT 1 FROM erased WHERE hash = ?", (_hashed(db, account, key),))
    return known.fetchone() is not None


def _hashed(db: sqlite3.Connection, account: str, key: str) -> str:
    (epoch,) = db.execute("SELECT value FROM meta WHERE name = 'epoch'").fetchone()
    text = "\x1f".join((epoch, account, _utf8(key)))
    return hashlib.sha256(text.encode()).hexdigest()


def _row(found: tuple[str, int, int, str, str]) -> Row:
    id, serial, gone, modified, content = found
    return Row(id, serial, bool(gone), datetime.fromisoformat(modified), json.loads(content))


def _utf8(text: str) -> str:
    """SQLite takes no half of a surrogate pair; nothing is called so."""
    return text.encode("utf-8", "replace").decode()
