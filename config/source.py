"""One login on the groupware side: where it is, how to log in, and what is looked at there."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from crmsync.config.problems import Expected
from crmsync.config.table import Lasting
from crmsync.config.values import (
    Address,
    Bytes,
    Flag,
    OptionalSecret,
    Size,
    SourceUrl,
    Text,
    Url,
    host,
    is_loopback,
    scheme,
)

# What else a source needs, by how it logs in. Anything else of these keys is a misunderstanding, and an error.
_LOGINS: Mapping[str, tuple[str, ...]] = {
    "basic": ("username", "password"),
    "ntlm": ("username", "password"),
    "client_credentials": ("client_id", "client_secret", "token_url", "mailbox"),
    "token": ("token",),
}
_OPTIONAL = frozenset({"mailbox"})  # where it is not needed
# Keys that only some types have; asked of what stands in the file.
_MAIL = ("imap", "ews")
_ONLY_OF: Mapping[str, tuple[str, ...]] = {
    "folders": _MAIL,
    "tag_folder": _MAIL,
    "track_answers": _MAIL,
    "move_messages": _MAIL,
    "delete_messages": _MAIL,
    "keyword": ("imap",),
    "max_attachment": ("imap", "caldav", "ews"),
    "proxies": ("caldav",),
    "mailbox": ("ews",),
    "access": ("ews",),
}


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

    @field_validator(*_ONLY_OF)
    @classmethod
    def _of_its_types(cls, value: object, info: ValidationInfo) -> object:
        kind = info.data.get("type")  # None: wrong itself
        if value is not None and kind is not None and kind not in _ONLY_OF[str(info.field_name)]:
            raise Expected(f'no such key with type = "{kind}"', found="one")
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
