"""Which browsers may see and answer an account's calls.

A code is made over the control socket and typed into the softphone once; what it gives is a token that lives in that
browser. Of both only the hash is kept here: of the code in memory, for ten minutes; of the token in the call log's
database, until it is revoked.
"""

import hashlib
import hmac
import secrets
import threading
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any

from crmsync.connectors.calllog.store import CallStore

LIFE = timedelta(minutes=10)  # of a code
MOST = 100  # unused codes; the oldest goes first
_LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"  # none that is read for another
# Of a code: 60 bits, so that no number of tries that a service can answer within its life finds one of a hundred. A
# limit on tries could not tell whose they are (all come from this machine, or a proxy on it) and would lock out all.
_LENGTH = 12


class Pairing:
    """Safe to use from several threads."""

    def __init__(self, store: CallStore, now: Callable[[], datetime]) -> None:
        self._store, self._now = store, now
        self._lock = threading.Lock()
        self._codes: dict[str, tuple[str, datetime]] = {}  # hash -> account, until when; oldest first

    def code(self, account: str) -> tuple[str, datetime]:
        """A new one, and until when it is good."""
        plain = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        until = self._now() + LIFE
        with self._lock:
            self._codes[_hash(plain)] = account, until
            while len(self._codes) > MOST:
                del self._codes[next(iter(self._codes))]
        return "-".join(plain[i : i + 4] for i in range(0, _LENGTH, 4)), until

    def pair(self, code: str) -> tuple[str, str] | None:
        """Account and token, this once."""
        with self._lock:
            found = self._codes.pop(_hash("".join(c for c in code.upper() if c.isalnum())), None)
        if found is None or self._now() >= found[1]:
            return None
        token = secrets.token_urlsafe(32)
        self._store.pair(_hash(token), found[0], secrets.token_hex(4), self._now())
        return found[0], token

    def account(self, token: str, accounts: Collection[str]) -> str | None:
        """Whose calls the token shows. Every one that is paired is compared, in the same time whatever it is."""
        given, found = _hash(token), None
        for hash, account, *_ in self._store.paired():
            if hmac.compare_digest(hash, given):
                found = account
        return found if found in accounts else None

    def paired(self, account: str) -> list[dict[str, Any]]:
        return [{"id": id, "made": made} for _, name, id, made in self._store.paired() if name == account]

    def revoke(self, account: str, id: str | None = None) -> int:
        """How many tokens are no good any more; None: all of the account's."""
        with self._lock:
            self._codes = {h: c for h, c in self._codes.items() if c[0] != account}
        return self._store.unpair(account, id)

    def forget(self, token: str) -> None:
        """By whoever has it."""
        given = _hash(token)
        for hash, account, id, _ in self._store.paired():
            if hmac.compare_digest(hash, given):
                self._store.unpair(account, id)


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
