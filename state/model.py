"""What the state remembers, as frozen values. Every time is an aware datetime in UTC.

A row that is not stored yet has ``id`` 0; the repository that stores it gives it one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from crmsync.connectors.contract import Kind, Side, Value

# ── The sync table ───────────────────────────────────────────────────────────────────────────────────────────

WAITS_FOR_OWNER = "waits_for_owner"  # ``Change.code``: the account of whose collection it is in has to act
PROVISIONAL = "provisional"  # code of rows whose write only a copy has
AWAY = "away"  # code of rows that wait for the CRM itself, which has a copy
DISPUTED = "disputed"  # code of rows that wait for a person to decide about a delete


class QueueState(StrEnum):
    DUE = "due"  # to be synced in the next cycle
    WAITING = "waiting"  # failed, and is tried again at ``next_at``
    PARKED = "parked"  # out of retries, or refused for good: a person has to look
    HELD = "held"  # waits for a person's decision
    ABANDONED = "abandoned"  # a person gave up on this version of the item; the next one is due again


@dataclass(frozen=True, slots=True)
class Detected:
    """A change that a connector reported, before it is in the sync table."""

    item: str
    version: str = ""  # empty for what is gone
    gone: bool = False
    survivor: str = ""  # the record that it was merged or converted into
    kind: Kind | None = None  # where known


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One row of the sync table: an item of one side that changed and is not synced yet."""

    id: int
    account: str
    side: Side
    collection: str
    item: str
    version: str
    gone: bool
    survivor: str
    kind: Kind | None
    state: QueueState
    attempts: int
    code: str  # of the last error; empty: none so far
    error: str
    detected_at: datetime  # when the row was made
    changed_at: datetime  # when its version was last seen to change: the settle time counts from here
    next_at: datetime  # not to be tried before


@dataclass(frozen=True, slots=True)
class Counts:
    pending: int  # due or waiting
    parked: int
    held: int


# ── The ID mapping ───────────────────────────────────────────────────────────────────────────────────────────


class PairState(StrEnum):
    LINKED = "linked"
    UNLINKED = "unlinked"  # remembered, so that it is not imported again before it is tagged again


class Spot(NamedTuple):
    """Where something stands on one side."""

    collection: str
    id: str


class _OnBothSides:
    """What tells of an item and of a record; either may be empty."""

    __slots__ = ()
    ecs_collection: str
    ecs_id: str
    crm_collection: str
    crm_id: str

    def on(self, side: Side) -> Spot:
        if side is Side.ECS:
            return Spot(self.ecs_collection, self.ecs_id)
        return Spot(self.crm_collection, self.crm_id)


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair(_OnBothSides):
    """Which ECS item and which CRM record are one thing; unique both ways within an account."""

    id: int = 0
    account: str
    crm: str  # name of the CRM login in the configuration
    kind: Kind
    ecs_collection: str
    ecs_id: str
    ecs_uid: str = ""
    ecs_version: str = ""  # as last seen or written by us
    crm_collection: str
    crm_id: str
    crm_version: str = ""
    crm_owner: str = ""  # user id of the record's owner, as last seen
    state: PairState = PairState.LINKED
    reason: str = ""  # why it was unlinked; of a linked one, how it came to be, while that matters
    untagged: bool = False  # an unlinked item was seen without its tag since
    generation: int = 0  # of the link stamp
    linked_at: datetime
    synced_at: datetime


# ── Write-ahead intents ──────────────────────────────────────────────────────────────────────────────────────


class Action(StrEnum):
    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"
    LINK = "link"
    UNLINK = "unlink"
    LEAVE = "leave"  # seen, and left as it is
    DECIDE = "decide"  # a person said what shall happen; nothing is written by that


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """A write that may have been sent and whose outcome is not confirmed yet."""

    id: int = 0
    cycle: int
    account: str
    side: Side  # where the write goes
    collection: str
    action: str  # create, update, delete
    item: str  # the item whose queue row the write stems from; of the other side, if it is of ECS: ``qualified``
    key: str = ""  # of a create, chosen by us
    columns: Mapping[str, str | None] = field(default_factory=dict)  # encoded: ``values.encode_columns``
    native: str = (
        ""  # what stood there before (delete; update: its columns as JSON), or what is put back (undo)
    )
    expected: str = ""  # the version that the write was computed from
    pair_id: int | None = None
    kind: Kind | None = None  # with it ``values.decode_columns`` reads the columns
    at: datetime


# ── Cycles and history ───────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True, kw_only=True)
class Cycle:
    id: int
    account: str
    started: datetime
    finished: datetime | None  # None: running, or the process died in it
    counts: Mapping[str, int]
    errors: list[dict[str, Any]]  # account, item, code, message, retry


PERSON = "person"  # ``Entry.winner`` where an item went because somebody said so


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry(_OnBothSides):
    """One line of history: a column that was written, or something that happened to a whole item."""

    id: int = 0
    cycle: int
    account: str
    pair_id: int | None = None
    kind: Kind
    ecs_collection: str = ""
    ecs_id: str = ""
    crm_collection: str = ""
    crm_id: str = ""
    at: datetime
    side: Side  # where it was written
    action: str  # an ``Action``
    column: str = ""  # empty: the whole item
    old: Value = None
    new: Value = None
    winner: str = ""  # ecs, crm, PERSON
    reason: str = ""  # for a person
    native: str = ""  # the text of a deleted item, to put it back


@dataclass(frozen=True, slots=True, kw_only=True)
class Conflict:
    """Both sides changed one column differently; the loser stands here and can be brought back."""

    id: int = 0
    cycle: int
    account: str
    pair_id: int
    kind: Kind
    item: str  # ECS id
    record: str  # CRM id
    column: str
    base: Value
    ecs: Value
    crm: Value
    winner: str | None = None  # ecs, crm, value; None: held for a person
    resolved: bool = (
        False  # nothing is left to do; with a winner and unresolved: decided, not carried out yet
    )
    chosen: Value = None  # the value that a person decided on
    reason: str = ""
    at: datetime
    resolved_at: datetime | None = None


# ── Held for a person ────────────────────────────────────────────────────────────────────────────────────────


class What(StrEnum):
    DELETE = "delete"  # a delete or unlink past a threshold
    MATCH = "match"  # an ambiguous match


class HeldState(StrEnum):
    HELD = "held"
    APPROVED = "approved"
    REJECTED = "rejected"
    DONE = "done"  # carried out


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    id: int = 0
    account: str
    what: What
    kind: Kind
    pair_id: int | None = None
    side: Side  # where the write would go
    collection: str = ""  # of the ECS item; empty: of a question from before this was noted
    item: str = ""  # ECS id
    record: str = ""  # CRM id
    reason: str = ""
    candidates: list[str] = field(default_factory=list)  # ids on ``side`` that it may be
    cycle: int
    at: datetime
    state: HeldState = HeldState.HELD


# ── Match index ──────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class IndexRow:
    """An ECS item as the match sees it. ``keys`` are hashed by the engine; nothing of the item stands in clear
    but what it puts into ``name``."""

    item: str
    uid: str
    version: str
    keys: frozenset[str]
    name: str
    tagged: bool
    collection: str = ""  # filled in answers


# ── Messages of a CRM that says when is exchanged ────────────────────────────────────────────────────────────


class JobState(StrEnum):
    ACCEPTED = "accepted"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"  # something of it failed; the result says what
    EXPIRED = "expired"  # it could not be begun, or brought to its end, while the message was still good

    @property
    def over(self) -> bool:
        return self not in (JobState.ACCEPTED, JobState.RUNNING)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An exchange that a CRM has asked for."""

    id: int = 0
    name: str  # by which it is asked for; cannot be guessed
    credential: str
    nonce: str  # a second message with it is the first one again
    digest: str  # of what the message said
    direction: str  # reverse, forward
    accounts: list[str]
    kinds: list[str]
    since: datetime | None = None
    state: JobState = JobState.ACCEPTED
    attempts: int = 0  # how often it was begun
    accepted: datetime
    begun: datetime | None = None
    ended: datetime | None = None
    result: dict[str, Any] = field(default_factory=dict)
    reported: bool = True  # nothing is to be posted back, or it has been


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What somebody asked for, and what became of it."""

    id: int = 0
    at: datetime
    credential: str  # as far as it is known who asked; else as claimed, with a question mark
    peer: str
    asked: str  # method and path
    allowed: bool
    rule: str  # that refused it; empty if it was allowed
    detail: str = ""
    job: str = ""
