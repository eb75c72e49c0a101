"""Owners: whose collection it is, and what that one's account has to do with an item in it. See ``delegation``."""

from collections.abc import Sequence

from crmsync.connectors.contract import Record, Side
from crmsync.daemon.account import Account, Mailbox
from crmsync.daemon.cycle.context import Context, Place
from crmsync.state.model import Pair
from crmsync.state.transaction import Tx
from crmsync.state.values import split


def owner_account(cx: Context, place: Place) -> Account | None:
    """The account of the person whose collection it is, where that is another one than the account at work."""
    owner = place.collection.owner
    if not owner or not isinstance(place.login, Mailbox) or cx.account.is_person(owner):
        return None
    others = (a for a in cx.bound if a is not cx.account)
    return next((a for a in others if a.is_person(owner) and a.looks_for(place.collection.kinds)), None)


def seen_by_delegate(cx: Context, place: Place, pair: Pair) -> bool:
    """Whether the link is of another account, which sees over another protocol what is in this one's own collection."""
    if pair.ecs_collection.partition(":")[0] == place.key.partition(":")[0]:
        return False  # then the two would have one key
    owner = _owner_there(cx, pair)
    return bool(owner) and cx.account.is_person(owner) and place.collection.owner in ("", owner)


def _owner_there(cx: Context, pair: Pair) -> str:
    """Of the collection of a link, as the other account's login last discovered it."""
    theirs = (m for a in cx.bound if a.name == pair.account for m in a.mailboxes)
    found = (c.owner for m in theirs for c in m.collections if m.key(c) == pair.ecs_collection)
    return next(found, "")


def known_to(tx: Tx, owner: Account, collection: str, records: Sequence[Record]) -> frozenset[str]:
    """By id, the items for which the owner's account has a link, or had one: from here on they are its business. The
    same item may stand at another address there, so its UID counts, too."""
    at = tx.pairs.by_ecs(owner.name, collection, [r.id for r in records])
    called = tx.pairs.by_uids(owner.name, [r.uid for r in records if r.uid])
    return frozenset(r.id for r in records if r.id in at or r.uid in called)


def claimed(cx: Context, tx: Tx, place: Place, record: Record) -> bool:
    """The account of whose collection it is in has a link for the item, or makes a record for it just now: a link that
    would follow it there from elsewhere would be its second."""
    owner = owner_account(cx, place)
    if owner is None:
        return False
    if known_to(tx, owner, place.key, [record]):
        return True
    uid = record.uid or record.id
    return any(  # by whatever protocol the owner's account reads it
        i.key == cx.signer.record_key(owner.name, split(i.item)[0], uid)
        for i in tx.intents.creating_kind(Side.CRM, record.kind)
        if i.account == owner.name
    )
