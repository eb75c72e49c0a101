"""One person: the CRM user, and what is to travel between the two sides. The person's logins: ``source.py``."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from crmsync.config.problems import Expected
from crmsync.config.source import Source
from crmsync.config.table import Table
from crmsync.config.values import (
    Address,
    Count,
    CrmSelect,
    Duration,
    Kind,
    Pause,
    Tag,
    Text,
    Zone,
    surroundings,
)

_LONGEST_REACH = timedelta(days=800)

DeleteRule: TypeAlias = Literal["mirror", "unlink"]
CompleteRule: TypeAlias = Literal["mirror", "keep"]
Activity: TypeAlias = Literal["phone_call", "letter", "fax"]
MailDeleteRule: TypeAlias = Literal["untag", "mirror", "unlink"]


@dataclass(frozen=True, slots=True)
class Threshold:
    """More deletes or unlinks than this in 24 hours are held for a person."""

    count: int
    percent: int  # of the linked items; counts from 10 items up


THRESHOLDS: Mapping[Kind, Threshold] = MappingProxyType(
    {
        "contact": Threshold(250, 25),
        "appointment": Threshold(50, 10),
        "task": Threshold(50, 75),
        "email": Threshold(100, 25),
    }
)


class Delete(Table):
    """What a deletion on one side does on the other."""

    contact: DeleteRule = Field("mirror", description="For contacts.")
    appointment: DeleteRule = Field("mirror", description="For appointments.")
    task: DeleteRule = Field("mirror", description="For tasks.")
    phone_call: DeleteRule | None = Field(
        None, description="For tasks that stand for a phone call; otherwise as for tasks."
    )
    letter: DeleteRule | None = Field(None, description="For those that stand for a letter.")
    fax: DeleteRule | None = Field(None, description="For those that stand for a fax.")
    email: MailDeleteRule = Field(
        "untag",
        description="For mail. `untag`: a message whose activity is deleted loses its tag, an activity whose message "
        "is deleted stays; `mirror`: that one is deleted, too, by whoever may.",
    )


class Complete(Table):
    """What completing a task that stands for an activity does to the activity: `mirror` completes it, `keep` leaves it
    as it is."""

    phone_call: CompleteRule = Field("mirror", description="For phone calls.")
    letter: CompleteRule = Field("mirror", description="For letters.")
    fax: CompleteRule = Field("mirror", description="For faxes.")


class DefaultCollection(Table):
    """Where records that come from the CRM are created, by the name of the collection."""

    contact: Text | None = Field(None, description="Address book.")
    appointment: Text | None = Field(None, description="Calendar.")
    task: Text | None = Field(None, description="Task list.")


def _normally(limits: Mapping[Kind, int]) -> str:
    return "Normally " + ", ".join(f"{kind} {limit}" for kind, limit in limits.items()) + "."


class GuardOverride(Table):
    """More deletes or unlinks than this within 24 hours are held for an admin."""

    count: Annotated[Count, Field(ge=0)] | None = Field(
        None, description="Items. " + _normally({kind: t.count for kind, t in THRESHOLDS.items()})
    )
    percent: Annotated[Count, Field(ge=1, le=100)] | None = Field(
        None,
        description="Per cent of the linked items, from 10 items up. "
        + _normally({kind: t.percent for kind, t in THRESHOLDS.items()}),
    )


class Guard(Table):
    """How many deletes or unlinks are held for an admin."""

    contact: GuardOverride = Field(GuardOverride(), description="For contacts.")
    appointment: GuardOverride = Field(GuardOverride(), description="For appointments.")
    task: GuardOverride = Field(GuardOverride(), description="For tasks.")
    email: GuardOverride = Field(GuardOverride(), description="For mail.")


def _list_of_tables(value: object) -> object:
    if isinstance(value, dict):
        raise Expected("double brackets: [[account.NAME.source]]", found="a single table")
    return value


class Account(Table):
    """A person whose items are kept in step."""

    crm: str = Field(description="The name of a `[crm.NAME]` table.")
    crm_user: Text = Field(description="The person's user name in that CRM.")
    addresses: tuple[Address, ...] = Field((), description="The person's own e-mail addresses.")
    owner_of: tuple[Text, ...] = Field(
        (),
        description="Names under which servers know the person as the owner of collections, where it is not the name "
        "of this account, its `crm_user`, one of its `addresses` or a login: a service login may read for them, or a "
        "team own an address book.",
    )
    first_link: Literal["hold", "crm", "ecs", "latest"] = Field(
        "hold",
        description="Who wins where the sides differ when an item is first linked; `hold` asks. A column that goes one "
        "way only follows its direction; the value that had to give way stands in the conflict log.",
    )
    select: Literal["tagged", "all"] = Field("tagged", description="What goes to the CRM.")
    tag: Tag = Field("CRM", description="The category that a person sets on what should be in the CRM.")
    crm_select: CrmSelect = Field(
        "owned",
        description="What comes from the CRM: `owned` by the user, `linked` (nothing new), or a condition in the "
        "CRM's query language; of objects that lack its fields it selects nothing.",
    )
    private: Literal["skip", "mask", "sync"] = Field(
        "skip",
        description="Items marked private: left out, synced as a busy time without content, or synced.",
    )
    invitations: bool = Field(
        False,
        description="Whether a server that sends invitations, updates and cancellations by itself may do so for what "
        "comes from the CRM. Without it, such changes of meetings with attendees are refused.",
    )
    time_zone: Zone = Field("UTC", description="The person's time zone, for dates without a time.")
    series_ahead: Duration = Field(
        timedelta(days=90),
        description="How far ahead the occurrences of a repeating event are events of the CRM.",
    )
    series_back: Pause = Field(
        timedelta(days=7), description="And how far back, when a repeating event first comes into the CRM."
    )
    default_collection: DefaultCollection = Field(
        DefaultCollection(), description="Where records that come from the CRM are created."
    )
    delete: Delete = Field(Delete(), description="What a deletion on one side does on the other.")
    complete: Complete = Field(
        Complete(), description="What completing the task of an activity does to the activity."
    )
    guard: Guard = Field(Guard(), description="How many deletes or unlinks are held for an admin.")
    telephone: Text | None = Field(
        None,
        description="The name of a `[telephony.NAME]` table: the person's calls are shown, and go to the CRM.",
    )
    extension: Text | None = Field(
        None, description="The person's extension there; not needed where the telephone is only theirs."
    )
    source: Annotated[tuple[Source, ...], BeforeValidator(_list_of_tables), Field(min_length=1)] = Field(
        description="The person's logins, at least one."
    )

    @field_validator("series_ahead", "series_back")
    @classmethod
    def _countable(cls, reach: timedelta) -> timedelta:
        if reach > _LONGEST_REACH:
            raise Expected('at most "800d": each occurrence is an event of the CRM')
        return reach

    @field_validator("crm")
    @classmethod
    def _known(cls, name: str, info: ValidationInfo) -> str:
        known = surroundings(info).crms
        if name not in known:
            tables = ", ".join(f'"{n}"' for n in known)
            expected = (
                f"the name of a [crm.NAME] table: {tables}" if known else "a [crm.NAME] table of that name"
            )
            raise Expected(expected, options=known)
        return name

    def delete_rule(self, kind: Kind | Activity) -> MailDeleteRule:
        rule: MailDeleteRule | None = getattr(self.delete, kind)
        return rule or self.delete.task

    def completes(self, activity: Activity) -> bool:
        rule: CompleteRule = getattr(self.complete, activity)
        return rule == "mirror"

    def collection_for(self, kind: Kind) -> str | None:
        """Name of the default collection, if one is configured."""
        name: str | None = getattr(self.default_collection, kind, None)  # no mail is made for the CRM
        return name

    def threshold(self, kind: Kind) -> Threshold:
        changed: GuardOverride = getattr(self.guard, kind)
        normal = THRESHOLDS[kind]
        return Threshold(
            normal.count if changed.count is None else changed.count,
            normal.percent if changed.percent is None else changed.percent,
        )
