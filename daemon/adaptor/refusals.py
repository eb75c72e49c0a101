"""Why something is refused: the name of a rule, for programs and the audit log, and a sentence for a person."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from threading import Lock

from crmsync.state.model import Audited

LINES = 600  # of the audit log in a minute; whoever asks more often is refused without a line of their own
_MINUTE = timedelta(minutes=1)


class Rule(Enum):
    """By the name that the answer and the audit log have; with it, the status of the answer."""

    HOST = "host", 421
    ORIGIN = "origin", 403
    UNKNOWN = "no_such_resource", 404
    METHOD = "method", 405
    TOO_LARGE = "too_large", 413
    SLOW = "slow", 408
    MALFORMED = "malformed", 400
    # transport level
    TLS = "tls", 400
    NO_CREDENTIAL = "no_credential", 401
    UNKNOWN_CREDENTIAL = "unknown_credential", 401
    NO_CERTIFICATE = "no_certificate", 401
    CERTIFICATE = "certificate", 401
    NO_SIGNATURE = "no_signature", 401
    SIGNATURE = "signature", 401
    STALE = "stale", 401
    REPLAYED = "replayed", 409
    TOKEN = "token", 401
    ORGANISATION = "organisation", 403
    # access level
    ACCOUNT = "account", 403
    KIND = "kind", 403
    DIRECTION = "direction", 403
    NOT_YOURS = "not_yours", 404
    # what we can take
    TOO_MANY = "too_many", 429
    UNAVAILABLE = "unavailable", 503

    @property
    def word(self) -> str:
        return self.value[0]

    @property
    def status(self) -> int:
        return self.value[1]


class Refusal(Exception):
    """``sentence`` goes to whoever has asked, and into the audit log; ``cause`` only to the operator, in the log."""

    def __init__(self, rule: Rule, sentence: str, cause: str = "") -> None:
        super().__init__(sentence)
        self.rule = rule
        self.sentence = sentence
        self.cause = cause


@dataclass(slots=True)
class _Minute:
    """So many lines a minute, and then one that says how many more there were."""

    more: str  # what they were
    since: datetime | None = None
    lines: int = 0
    unwritten: int = 0

    def due(self, one: Audited) -> list[Audited]:
        lines = []
        if self.since is None or not timedelta(0) <= one.at - self.since < _MINUTE:
            if self.unwritten:
                lines.append(_flood(one.at, f"{self.unwritten} more {self.more} within a minute"))
            self.since, self.lines, self.unwritten = one.at, 0, 0
        if self.lines < LINES:
            self.lines += 1
            lines.append(one)
        else:
            self.unwritten += 1
        return lines


@dataclass(slots=True)
class Audit:
    """Notes who asked for what. Safe to use from several threads. Strangers who are refused do not use up the lines of
    those who have a credential."""

    write: Callable[[Audited], None]
    now: Callable[[], datetime]
    _lock: Lock = field(default_factory=Lock)
    _strangers: _Minute = field(default_factory=lambda: _Minute("were refused"))
    _known: _Minute = field(default_factory=lambda: _Minute("were repeated, or woke somebody"))

    def refused(self, rule: Rule, *, credential: str, peer: str, asked: str, detail: str) -> bool:
        """A flood of them is one line a minute: the disk is not theirs to fill. Whether it was noted."""
        one = Audited(
            at=self.now(),
            credential=_short(credential),
            peer=peer,
            asked=_short(asked),
            allowed=False,
            rule=rule.word,
            detail=_short(detail, 400),
        )
        return self._note(self._strangers, one)

    def again(self, one: Audited) -> None:
        """What can be sent as often as somebody likes, and changes nothing: likewise."""
        self._note(self._known, one)

    def _note(self, minute: _Minute, one: Audited) -> bool:
        with self._lock:
            due = minute.due(one)
        for line in due:
            self.write(line)
        return bool(due)


def _flood(at: datetime, detail: str) -> Audited:
    return Audited(
        at=at, credential="", peer="", asked="", allowed=False, rule=Rule.TOO_MANY.word, detail=detail
    )


def _short(text: str, most: int = 120) -> str:
    printable = "".join(c if c.isprintable() else "�" for c in text[: most + 1])
    return printable if len(printable) <= most else f"{printable[:most]}…"
