"""Whole items: what becomes of a linked pair, given what was seen of it on either side."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from crmsync.connectors.contract import Side

OUT_OF_SIGHT = "no longer visible on the ECS side"  # ends when the item is seen again
DELETED = "deleted on the ECS side"  # likewise
UNSEEN = "no longer visible in the CRM"

# What is made again where it was deleted is made from the other side's columns: its whole text was never ours to keep.
MADE_AGAIN: Mapping[Side, str] = {
    Side.ECS: "made again from what the CRM holds of it: what the CRM has no field for (a photo, an alarm, private "
    "notes) is lost",
    Side.CRM: "made again from the exchanged columns: other fields of the record are not among them, the CRM's recycle "
    "bin may still have them",
}


class Seen(StrEnum):
    SAME = "same"  # there, and no exchanged column differs from the snapshot
    EDITED = "edited"
    UNSURE = "unsure"  # it differs from the snapshot, but our state is older than what we have written
    GONE = "gone"  # deleted, with proof
    HIDDEN = "hidden"  # not visible: permission, filter, archived, folder or share gone
    UNTAGGED = "untagged"  # there, but no longer selected
    LEFT = "left"  # there, but to be left as it is (it became recurring, or private)

    @property
    def there(self) -> bool:
        return self in (Seen.SAME, Seen.EDITED, Seen.UNSURE)


class DeleteRule(StrEnum):
    MIRROR = "mirror"
    UNLINK = "unlink"
    UNTAG = "untag"  # what goes in the CRM goes on the ECS side, which only takes the tag off; never the other way


@dataclass(frozen=True, slots=True)
class Ties:
    """What decides whether a delete may go to the other side."""

    rule: DeleteRule = DeleteRule.MIRROR
    owned: bool = True  # the record's owner is this account's CRM user
    elsewhere: bool = False  # another account links the record too
    deletable: bool = True  # the CRM user may delete it, the collection can be written


@dataclass(frozen=True, slots=True)
class Merge:
    """Both are there: column by column."""


@dataclass(frozen=True, slots=True)
class DeleteOn:
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Recreate:
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Unlink:
    """Both stay as they are; the item is not imported again until it is tagged again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Forget:
    """Gone on both sides: nothing is left to link."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The link stays, nothing is exchanged."""

    reason: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Whether this shall happen, or the item come back, only a person can say."""

    fate: DeleteOn | Unlink


Fate: TypeAlias = Merge | DeleteOn | Recreate | Unlink | Ask | Forget | Leave


def decide(ecs: Seen, crm: Seen, ties: Ties) -> Fate:
    match ecs, crm:
        case Seen.GONE, Seen.GONE:
            return Forget()
        # gone on one side, edited on the other: the edit wins
        case Seen.GONE, Seen.EDITED:
            return Recreate(Side.ECS, "deleted on the ECS side, but edited in the CRM: the edit wins")
        case Seen.EDITED, Seen.GONE:
            return Recreate(Side.CRM, "deleted in the CRM, but edited on the ECS side: the edit wins")
        # gone on one side; whether the other was edited since, we have forgotten
        case Seen.GONE, Seen.UNSURE:
            return Ask(_mirror(Side.CRM, DELETED, ties))
        case Seen.UNSURE, Seen.GONE:
            return Ask(_mirror(Side.ECS, "deleted in the CRM", ties))
        # gone on one side, unchanged on the other
        case Seen.GONE, Seen.SAME:
            return _mirror(Side.CRM, DELETED, ties)
        case Seen.SAME, Seen.GONE:
            return _mirror(Side.ECS, "deleted in the CRM", ties)
        # untagged, or no longer visible: never a delete
        case (Seen.UNTAGGED, _):
            return Unlink("untagged")
        case (_, Seen.UNTAGGED):
            return Unlink("no longer selected in the CRM")
        case (Seen.HIDDEN, _):
            return Unlink(OUT_OF_SIGHT)
        case (_, Seen.HIDDEN):
            return Unlink(UNSEEN)
        # there, but not to be touched
        case (Seen.LEFT, _) | (_, Seen.LEFT):
            return Leave("left as it is")
        case _:
            return Merge()


def _mirror(target: Side, what: str, ties: Ties) -> DeleteOn | Unlink:
    if ties.rule is DeleteRule.UNLINK:
        return Unlink(f"{what}; this account's rule is to unlink")
    if ties.rule is DeleteRule.UNTAG:  # each person's copy is his own, whosever the record is
        untagged = target is Side.ECS and ties.deletable
        return DeleteOn(target, what) if untagged else Unlink(f"{what}; what the other side has of it stays")
    if not ties.owned:
        return Unlink(f"{what}; the record belongs to someone else")
    if ties.elsewhere:
        return Unlink(f"{what}; another account links the record too")
    if not ties.deletable:
        return Unlink(f"{what}; it may not be deleted on the other side")
    return DeleteOn(target, what)
