"""One person: the logins on the groupware side, the CRM user, and what is to travel between them."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import BeforeValidator, Field, ValidationInfo, field_validator

from crmsync.config.problems import Expected
from crmsync.config.table import Lasting, Table
from crmsync.config.values import (
    Address,
    Bytes,
    Count,
    CrmSelect,
    Duration,
    Flag,
    Kind,
    OptionalSecret,
    Pause,
    Size,
    SourceUrl,
    Tag,
    Text,
    Url,
    Zone,
    host,
    is_loopback,
    scheme,
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


# What else a source needs, by how it logs in. Anything else of these keys is a misunderstanding, and an error.
_LOGINS: Mapping[str, tuple[str, ...]] = {
    "basic": ("username", "password"),
    "ntlm": ("username", "password"),
    "client_credentials": ("client_id", "client_secret", "token_url", "mailbox"),
    "token": ("token",),
}
_OPTIONAL = frozenset({"mailbox"})  # where it is not needed


class Source(Lasting):
    """One login on the groupware side."""

    secret_names: ClassVar[tuple[str, ...]] = ("password", "client_secret", "token")

    url: SourceUrl = Field(
        description="Address of the server, `https://…`; for `imap` `imaps://…`, or `imap://…`, where STARTTLS is "
        "demanded of any other machine."
    )
    type: Literal["carddav", "caldav", "ews", "imap"] = Field(
        description="`carddav`: contacts; `caldav`: appointments and tasks; `ews`: contacts, appointments, tasks and "
        "mail of an Exchange server; `imap`: mail."
    )
    auth: Literal["basic", "ntlm", "client_credentials", "token"] = Field(
        "basic", description="How to log in; all but `basic` for `ews` only."
    )
    username: Text | None = Field(
        None,
        validate_default=True,
        description="The login; with `ntlm` also `DOMAIN\\name`. For `basic` and `ntlm`.",
    )
    password: OptionalSecret = Field(
        None, validate_default=True, description="Its password; for `basic` and `ntlm`."
    )
    client_id: Text | None = Field(
        None, validate_default=True, description="Of the application (OAuth 2.0); for `client_credentials`."
    )
    client_secret: OptionalSecret = Field(
        None, validate_default=True, description="Of the application; for `client_credentials`."
    )
    token_url: Url | None = Field(
        None, validate_default=True, description="Where tokens are fetched; for `client_credentials`."
    )
    token: OptionalSecret = Field(
        None,
        validate_default=True,
        description="A bearer token that something else keeps fresh; for `token`.",
    )
    mailbox: Address | None = Field(
        None,
        validate_default=True,
        description="`ews`: whose mailbox it is, where it is not the login's own; needed for `client_credentials`.",
    )
    access: Literal["delegate", "impersonate"] | None = Field(
        None,
        description="`ews`: how the login gets at `mailbox`: by what its owner shares with it, or in the owner's name "
        "(role ApplicationImpersonation). Otherwise `delegate`, with `client_credentials` `impersonate`.",
    )
    collections: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None,
        description="Names of the address books, calendars or folders; otherwise all of the login's own. `imap`: "
        "`Mail` for its own mailbox, and the names of those that others share with it.",
    )
    proxies: Flag = Field(
        False,
        description="`caldav`: also the calendars of those who made the login their proxy, as delegates are called in "
        "Apple's programmes, where the server says who they are.",
    )
    folders: Annotated[tuple[Text, ...], Field(min_length=1)] | None = Field(
        None,
        description="`imap`, `ews`: where tagged mail is looked for; otherwise in every folder but drafts, junk and "
        "trash.",
    )
    tag_folder: Text = Field(
        "CRM",
        description="`imap`, `ews`: what lies in this folder is tagged; in a folder below it, such as `CRM/Acme deal`, "
        "it is also regarding the account, opportunity or case of that name.",
    )
    keyword: Annotated[str, Field(pattern=r"^[A-Za-z0-9$_.-]{1,50}$")] | None = Field(
        None,
        description="`imap`: the keyword that stands for the tag; otherwise `$` and the account's `tag`.",
    )
    max_attachment: Size = Field(
        Bytes(5_000_000),
        description="`imap`, `caldav`, `ews`: attachments up to this size go to the CRM; larger ones are named there.",
    )
    track_answers: Flag = Field(
        False, description="`imap`, `ews`: answers in a conversation that is tagged get the tag, too."
    )
    move_messages: Flag = Field(
        False,
        description="`imap`, `ews`: a message outside of `tag_folder` moves into it when the CRM says what it is "
        "regarding.",
    )
    delete_messages: Flag = Field(
        False,
        description="`imap`, `ews`: what is deleted in the CRM goes to the trash; otherwise it only loses its tag.",
    )

    @field_validator("type")
    @classmethod
    def _fits_url(cls, kind: str, info: ValidationInfo) -> str:
        url = str(info.data.get("url", ""))
        if url and (kind == "imap") != (scheme(url) in ("imap", "imaps")):
            raise Expected("a type that fits the url: imap with imaps://, the others with https://")
        return kind

    @field_validator(
        "folders",
        "tag_folder",
        "track_answers",
        "move_messages",
        "delete_messages",
    )
    @classmethod
    def _of_mail(cls, value: object, info: ValidationInfo) -> object:
        """Only asked of what stands in the file."""
        if info.data.get("type", "imap") not in ("imap", "ews"):
            raise Expected(f'no such key with type = "{info.data["type"]}"', found="one")
        return value

    @field_validator("keyword")
    @classmethod
    def _of_imap(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("type", "imap") != "imap":
            raise Expected(f'no such key with type = "{info.data["type"]}"', found="one")
        return value

    @field_validator("max_attachment")
    @classmethod
    def _of_what_has_files(cls, value: object, info: ValidationInfo) -> object:
        if info.data.get("type", "imap") not in ("imap", "caldav", "ews"):
            raise Expected(f'no such key with type = "{info.data["type"]}"', found="one")
        return value

    @field_validator("proxies")
    @classmethod
    def _of_calendars(cls, value: bool, info: ValidationInfo) -> bool:
        if info.data.get("type", "caldav") != "caldav":
            raise Expected(f'no such key with type = "{info.data["type"]}"', found="one")
        return value

    @field_validator("auth")
    @classmethod
    def _offered(cls, auth: str, info: ValidationInfo) -> str:
        if auth != "basic" and info.data.get("type", "ews") != "ews":
            raise Expected(f'"basic", which is all that {info.data["type"]} knows')
        return auth

    @field_validator("username", "password", "client_id", "client_secret", "token_url", "token", "mailbox")
    @classmethod
    def _fits_auth(cls, value: object, info: ValidationInfo) -> object:
        auth, name = info.data.get("auth"), str(info.field_name)
        if auth is None:  # wrong itself
            return value
        needed = name in _LOGINS[auth]
        if needed and value is None:
            raise Expected(_how(name, auth), found="nothing")
        if value is not None and not needed and name not in _OPTIONAL:
            raise Expected(f'no such key with auth = "{auth}"', found="one")
        return value

    @field_validator("token_url")
    @classmethod
    def _token_not_in_clear(cls, url: str | None) -> str | None:
        if url and scheme(url) == "http" and not is_loopback(host(url)):
            raise Expected("https://, because secrets would travel in clear")
        return url

    @field_validator("mailbox", "access")
    @classmethod
    def _of_exchange(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("type", "ews") != "ews":
            raise Expected(f'no such key with type = "{info.data["type"]}"', found="one")
        return value

    @field_validator("access")
    @classmethod
    def _to_something(cls, access: str | None, info: ValidationInfo) -> str | None:
        if access is not None and info.data.get("mailbox", "") is None:
            raise Expected("a `mailbox` to get at", found="none")
        if access == "delegate" and info.data.get("auth") == "client_credentials":
            raise Expected('"impersonate": an application has no rights as a delegate')
        return access

    @property
    def impersonates(self) -> bool:
        return (
            self.access or ("impersonate" if self.auth == "client_credentials" else "delegate")
        ) == "impersonate"


def _how(name: str, auth: str) -> str:
    """Words for a key that is missing."""
    if name in Source.secret_names:
        return f"one of {name}_file, {name}_command, {name}_env, {name}_credential"
    return f'a value, which auth = "{auth}" needs'


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
