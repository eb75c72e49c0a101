"""An item that is new on one side: is its partner there already?

A key (an e-mail address, a telephone number; for kinds without addresses the columns that identify them) proposes, the
name confirms. A partner is taken only if it is the only one on both sides; whatever is ambiguous waits for a person.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.daemon.plan.normalise import email_key, phone_key, text_key

EMAILS = ("email", "email_2", "email_3")
PHONES = ("phone_work", "phone_mobile", "phone_home", "phone_other")
IDENTIFYING: dict[Kind, tuple[str, ...]] = {
    Kind.APPOINTMENT: ("subject", "start", "end"),
    Kind.TASK: ("subject", "due"),
    Kind.EMAIL: ("message_id",),
}


@dataclass(frozen=True, slots=True)
class Name:
    """What two items must agree on besides a key. Tokens, which may be hashes: only their equality counts."""

    first: str = ""
    last: str = ""

    def agrees(self, other: "Name") -> bool:
        """The family name is the same, and so is the first name unless one side has none."""
        if self.last != other.last:
            return False
        return self.first == other.first or "" in (self.first, other.first)


@dataclass(frozen=True, slots=True)
class Candidate:
    id: str
    keys: frozenset[str]
    name: Name
    born: str = ""  # key of the create that this is the outcome of, while that is under way


@dataclass(frozen=True, slots=True)
class Partner:
    """This one, and no other."""

    id: str


@dataclass(frozen=True, slots=True)
class NoPartner:
    """Create it."""


@dataclass(frozen=True, slots=True)
class Ambiguous:
    """Several could be meant: held."""

    ids: tuple[str, ...]
    reason: str


Match: TypeAlias = Partner | NoPartner | Ambiguous


def match(item: Candidate, others: Sequence[Candidate], own: Sequence[Candidate]) -> Match:
    """``others``: unlinked items of the other side; ``own``: unlinked items of the item's own side.

    What a create that was interrupted has left on the other side is its own item's (the create is repeated, and finds
    it), and nobody else's.
    """
    if item.born and any(o.born == item.born for o in others):
        return NoPartner()
    sharing = [o for o in others if not o.born and o.keys & item.keys]
    agreeing = [o for o in sharing if o.name.agrees(item.name)]
    if not agreeing:
        return NoPartner()  # nobody shares a key, or only people of another name do (a family's address)
    partner, *doubles = agreeing
    # A number that many share (a switchboard) says nothing; an address that only the partner has says enough.
    telling = partner.keys.difference(*(o.keys for o in sharing if o is not partner)) & item.keys
    if doubles or not telling:
        return Ambiguous(tuple(o.id for o in sharing), "several records share its address or number")
    rivals = [o for o in own if o.id != item.id and o.keys & partner.keys and o.name.agrees(partner.name)]
    if rivals:
        return Ambiguous((partner.id,), "several items of this side share the record's address or number")
    return Partner(partner.id)


def addresses_of(columns: Columns) -> list[str]:
    """E-mail addresses of the people that an item is about, or went to."""
    found = [columns.get(n) for n in (*EMAILS, "from", "to", "cc")]
    return [
        a for v in found for a in ((v,) if isinstance(v, str) else v if isinstance(v, tuple) else ()) if a
    ]


def matchable(kinds: frozenset[Kind]) -> bool:
    """Whether items of these kinds can be someone's partner: then all of them have to be known, tagged or not."""
    made_here = IDENTIFYING.keys() - {
        Kind.EMAIL
    }  # nothing in the CRM looks for its mail: mail is not made from records
    return Kind.CONTACT in kinds or bool(kinds & made_here)


def keys_of(kind: Kind, columns: Columns) -> frozenset[str]:
    """What can propose a partner, in plain text; callers that store keys hash them."""
    if kind is Kind.CONTACT:
        emails = {f"email:{email_key(v)}" for v in _texts(columns, EMAILS)}
        phones = {f"phone:{p}" for v in _texts(columns, PHONES) if (p := phone_key(v))}
        return frozenset(emails | phones)
    names = IDENTIFYING.get(kind, ())
    if not names or not all(columns.get(n) for n in names[:2]):
        return frozenset()  # too little to recognise it by
    return frozenset({"is:" + "\x1f".join(_identifying(columns.get(n)) for n in names)})


def name_of(columns: Columns) -> Name:
    """Of a person or a company; empty for kinds that have no such columns."""
    first, last = (text_key(str(columns.get(n) or "")) for n in ("first_name", "last_name"))
    return Name(first, last) if first or last else Name("", text_key(str(columns.get("company") or "")))


def _texts(columns: Columns, names: Sequence[str]) -> list[str]:
    return [v for n in names if isinstance(v := columns.get(n), str) and v]


def _identifying(value: Value) -> str:
    return text_key(value) if isinstance(value, str) else str(value)
