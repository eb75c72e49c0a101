"""What a message says: which accounts, which kinds, since when. Bytes to values, no I/O."""

import hashlib
import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from crmsync.connectors.contract import Kind
from crmsync.daemon.adaptor.refusals import Refusal, Rule

LARGEST = 64 * 1024  # bytes of a message
MOST_ACCOUNTS = 1000
_KEYS = frozenset({"accounts", "kinds", "since"})


@dataclass(frozen=True, slots=True)
class Message:
    direction: str  # reverse: from the ECS side to the CRM; forward: from the CRM
    accounts: tuple[str, ...]
    kinds: frozenset[Kind] | None  # None: all that may be asked for
    since: datetime | None

    @property
    def digest(self) -> str:
        """The same for whatever says the same."""
        kinds = None if self.kinds is None else sorted(self.kinds)
        since = self.since.isoformat() if self.since else None
        text = json.dumps([self.direction, sorted(self.accounts), kinds, since])
        return hashlib.sha256(text.encode()).hexdigest()


def parse(direction: str, body: bytes) -> Message:
    """Raises Refusal."""
    said = document(body)
    if strange := sorted(said.keys() - _KEYS):
        raise _malformed(f"there is no key “{strange[0][:40]}” (there are: accounts, kinds, since)")
    return Message(
        direction, _accounts(said.get("accounts")), _kinds(said.get("kinds")), _since(said.get("since"))
    )


def document(body: bytes) -> dict[str, Any]:
    """A JSON object. Raises Refusal."""
    try:
        said = json.loads(body)
        json.dumps(
            said, ensure_ascii=False
        ).encode()  # half a surrogate pair could be neither answered nor noted
    except (ValueError, RecursionError):
        raise _malformed("the body is not JSON") from None
    if not isinstance(said, dict):
        raise _malformed("the body is not a JSON object")
    return said


def _accounts(value: object) -> tuple[str, ...]:
    accounts = texts(value, "accounts")
    if not accounts:
        raise _malformed("“accounts” names nobody")
    return accounts


def texts(value: object, name: str) -> tuple[str, ...]:
    """A list of texts, each once. Raises Refusal."""
    if not isinstance(value, list) or not all(isinstance(v, str) and v for v in value):
        raise _malformed(f"“{name}” has to be a list of texts")
    if len(value) > MOST_ACCOUNTS:
        raise _malformed(f"“{name}” has more than {MOST_ACCOUNTS} entries")
    return tuple(dict.fromkeys(value))


def _kinds(value: object) -> frozenset[Kind] | None:
    if value is None:
        return None
    names = texts(value, "kinds")
    known = {k.value for k in Kind}
    if strange := [n for n in names if n not in known]:
        raise _malformed(f"there is no kind “{strange[0][:40]}”")
    if not names:
        raise _malformed("“kinds” names none; leave it out for all")
    return frozenset(Kind(n) for n in names)


def _since(value: object) -> datetime | None:
    if value is None:
        return None
    wanted = "“since” has to be a time with its zone such as 2026-11-22T10:00:00Z"
    if not isinstance(value, str) or not re.fullmatch(r"[0-9T:.Z+\-]{20,40}", value):
        raise _malformed(wanted)
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is None:
            raise _malformed(wanted)
        return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise _malformed(wanted) from None


def _malformed(sentence: str) -> Refusal:
    return Refusal(Rule.MALFORMED, sentence)
