"""Identities that survive the loss of our state: link stamps, the keys of creates, the hashes of the match index.

All of them hang on one secret, which lives in a file of its own outside the state database. Without it a stamp cannot
be made up, and what the match index and the list of forgotten people hold cannot be turned back into addresses.
"""

import hmac
import os
import secrets
import uuid
from collections.abc import Iterable
from pathlib import Path

from crmsync.connectors.contract import Columns, Kind, Record, Stamp
from crmsync.daemon.plan.match import Candidate, Name, keys_of, name_of

_SPACE = uuid.UUID("6f0dd1f4-5a34-5d0f-9f0e-1f6a5f3a2c11")  # a namespace of our own


class Signer:
    def __init__(self, key: bytes) -> None:
        self._key = key

    @property
    def fingerprint(self) -> str:
        """Tells keys apart, and nothing else about them."""
        return self.hashed("fingerprint")

    def stamp(
        self, account: str, organisation: str, record: str, uid: str, generation: int, agreed: str = ""
    ) -> Stamp:
        words = ("link", account, organisation, record, uid, str(generation), *([agreed] if agreed else []))
        return Stamp(organisation, record, uid, generation, self._mac(*words)[:32], agreed)

    def verifies(self, account: str, uid: str, stamp: Stamp) -> bool:
        """Ours, for this account, and written on the very item that carries it now."""
        made = self.stamp(
            account, stamp.organisation, stamp.record, stamp.uid, stamp.generation, stamp.agreed
        )
        # anybody may write a stamp: texts that are not ASCII cannot be compared
        return stamp.uid == uid and hmac.compare_digest(made.mac.encode(), _bytes(stamp.mac))

    def hashed(self, *words: str) -> str:
        return self._mac("hash", *words)[:24]

    def candidate(self, record: Record) -> Candidate:
        """The item as the match sees it, in hashes."""
        return Candidate(record.id, self.keys(record.kind, record.columns), self.name(record.columns))

    def keys(self, kind: Kind, columns: Columns) -> frozenset[str]:
        return frozenset(self.hashed(kind, key) for key in keys_of(kind, columns))

    def name(self, columns: Columns) -> Name:
        name = name_of(columns)
        return Name(*(self.hashed("name", part) if part else "" for part in (name.first, name.last)))

    def forgotten(self, emails: Iterable[str]) -> frozenset[str]:
        return frozenset(self.hashed("forgotten", e.strip().casefold()) for e in emails if e)

    def forgotten_items(self, ids: Iterable[str]) -> frozenset[str]:
        """Of items without an address that were forgotten with somebody; by any of their ids."""
        return frozenset(self.hashed("forgotten item", id) for id in ids if id)

    def record_key(self, account: str, collection: str, uid: str, generation: int = 0) -> str:
        """The external id of the CRM record that is made for an ECS item: the same one however often it is tried."""
        return f"{self.account_prefix(account)}-{uuid.uuid5(_SPACE, f'{account}|{collection}|{uid}|{generation}')}"

    def account_prefix(self, account: str) -> str:
        return self.hashed("account", account)[:8]

    def _mac(self, *words: str) -> str:
        return hmac.digest(self._key, _bytes("\x1f".join(words)), "sha256").hex()


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def item_key(organisation: str, record: str, account: str, generation: int = 0) -> str:
    """UID and resource name of the ECS item that is made for a CRM record."""
    return str(uuid.uuid5(_SPACE, f"{organisation}|{record}|{account}|{generation}"))


def load_key(path: Path) -> bytes:
    """The secret, made on first use; only its owner may read it. Raises OSError, for the caller to explain."""
    try:
        return bytes.fromhex(path.read_text("ascii").strip())
    except FileNotFoundError:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        key = secrets.token_bytes(32)
        draft = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w", encoding="ascii") as file:
            file.write(key.hex() + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)  # fails where another process was first: then theirs is the key
        except FileExistsError:
            return bytes.fromhex(path.read_text("ascii").strip())
        finally:
            draft.unlink()
        return key
