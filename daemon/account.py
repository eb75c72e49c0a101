"""What the engine knows of a person's account, with the logins open: configuration turned into working parts."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from enum import StrEnum

from crmsync.connectors.abilities import Window
from crmsync.connectors.contract import Collection, Kind, Record, Selection, Source, Unreadable
from crmsync.daemon.plan.guard import LIMITS, Limit
from crmsync.daemon.plan.reconcile import DeleteRule
from crmsync.daemon.plan.terms import Policy, Rule


@dataclass(slots=True)
class Crm:
    """One login to a CRM, shared by every account that is bound to it."""

    name: str
    source: Source
    rules: Mapping[Kind, Mapping[str, Rule]]
    insisted: frozenset[str] = frozenset()  # fields that the operator named himself: they have to be there
    expires: date | None = None  # when its password or secret stops working, as far as the operator knows
    throttled: int = 0  # how often the server asked for a pause
    lock: threading.RLock = field(default_factory=threading.RLock)  # one poll at a time
    organisation: str = ""  # the CRM's own id, once known
    resume_at: datetime | None = None  # when the pause that the server asked for is over
    polled_at: datetime | None = None  # when all of its objects were last asked what changed
    # username -> user id, and when it was asked
    users: dict[str, tuple[str, datetime]] = field(default_factory=dict)


@dataclass(slots=True)
class Mailbox:
    """One login on the ECS side of an account."""

    type: str  # of the source, as the configuration has it
    source: Source
    address: str = ""  # of the server, as configured
    only: tuple[str, ...] = ()  # names of collections; empty: all of the account's own
    username: str = ""  # what we log in with
    outlook: str = (
        ""  # from where it looks: logins with the same one read an item alike; empty: no other does
    )
    kinds: frozenset[Kind] = frozenset(Kind)  # what a source of this type can have
    expires: date | None = None  # when its password or secret stops working, as far as the operator knows
    throttled: int = 0  # how often the server asked for a pause
    collections: tuple[Collection, ...] = ()  # as last discovered
    discovered_at: datetime | None = None  # None: since then something failed
    answered: bool = False  # when it was last asked
    barred: bool = False  # … it was let in, and told that nothing is there for it: a share was withdrawn
    resume_at: datetime | None = None  # when the pause that the server asked for is over

    def key(self, collection: Collection) -> str:
        """The collection's name in the state. It does not name the host: servers move. Nor does it name the protocol
        for mail: a message is the same one over all of them."""
        return f"{'mail' if Kind.EMAIL in collection.kinds else self.type}:{collection.id}"


class Private(StrEnum):
    """What happens to items that a person marked private."""

    SKIP = "skip"  # they stay out of the CRM
    MASK = (
        "mask"  # appointments become a busy time without content, and nothing comes back; the rest stays out
    )
    SYNC = "sync"  # like all others


_SHOWN_OF_MASKED = frozenset({"start", "end", "all_day", "time_zone", "recurrence", "show_as", "sensitivity"})


@dataclass(slots=True)
class Account:
    name: str
    crm: Crm
    crm_user: str  # username in the CRM
    mailboxes: Sequence[Mailbox]
    tag: str = "CRM"
    select_all: bool = False  # everything goes to the CRM, tagged or not
    crm_select: str = "owned"  # owned, linked, or a condition in the CRM's query language
    first_link: Policy = Policy.ASK
    default_collection: Mapping[Kind, str] = field(default_factory=dict)
    deletes: Mapping[Kind, DeleteRule] = field(default_factory=dict)
    # activities that the completion of their task leaves as they are
    kept_open: frozenset[Kind] = frozenset()
    limits: Mapping[Kind, Limit] = field(default_factory=lambda: LIMITS)
    names: frozenset[str] = frozenset()  # further ones, as servers may name the person as an owner
    private: Private = Private.SKIP
    window: Window = field(default_factory=Window)  # of the occurrences of a series
    part_of: str = ""  # the person's account that it belongs to: a call log is one of its own
    warnings: Sequence[str] = ()  # what is unwise in the configuration of its logins, for ``status``

    def logins(self) -> dict[str, "Crm | Mailbox"]:
        """By the names of their tables in the configuration."""
        boxes = {f"account.{self.name}.source[{n}]": box for n, box in enumerate(self.mailboxes)}
        return {f"crm.{self.crm.name}": self.crm, **boxes}

    def selection(self, user: str) -> Selection:
        """What of the CRM belongs into this account; ``user`` is its user's id."""
        if self.crm_select == "owned":
            return Selection(owner=user)
        if self.crm_select == "linked":
            return Selection(nothing=True)
        return Selection(condition=self.crm_select)

    def delete_rule(self, kind: Kind) -> DeleteRule:
        """Of a task that stands for a phone call, a letter or a fax, by that kind."""
        return self.deletes.get(kind, DeleteRule.MIRROR)

    def is_theirs(self, account: str) -> bool:
        """Whether it is this account, or another one of the same person: what belongs to ``alice`` is called
        ``alice.…``, and no account of the configuration has a dot in its name."""
        return account.partition(".")[0] == (self.part_of or self.name)

    def is_person(self, owner: str) -> bool:
        """Whether a server that names the owner of a collection so means this account's person."""
        told = {self.name, self.crm_user, *self.names, *(m.username for m in self.mailboxes)}
        return owner.casefold() in {name.casefold() for name in told}

    def looks_for(self, kinds: frozenset[Kind]) -> bool:
        """Whether it has a login that can show items of these kinds, over whatever protocol."""
        return any(m.kinds & kinds for m in self.mailboxes)

    def leaves_out(self, key: str) -> bool:
        """Whether a collection of that key is there, as last discovered, and not one of those the account wants."""
        found = [(m, c) for m in self.mailboxes for c in m.collections if m.key(c) == key]
        return bool(found) and not any(not m.only or {c.name, c.id} & set(m.only) for m, c in found)

    def masks(self, record: Record) -> bool:
        return record.private and self.private is Private.MASK and record.kind is Kind.APPOINTMENT

    def keeps_out(self, record: Record) -> bool:
        return record.private and self.private is not Private.SYNC and not self.masks(record)

    def shown(self, record: Record) -> Record:
        """An ECS item as the CRM may know it."""
        if not self.masks(record):
            return record
        columns = {n: v if n in _SHOWN_OF_MASKED else None for n, v in record.columns.items()}
        return replace(record, columns={**columns, "subject": "Private"}, attachments=())

    def selected(self, item: Record | Unreadable) -> bool:
        """Whether the person wants this item in the CRM."""
        wanted = self.tag.casefold()
        return self.select_all or any(t.casefold() == wanted for t in item.tags or ())
