"""One CRM: where it is, how to log in, and which column goes where."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, ClassVar, Literal, TypeAlias

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crmsync.config.mapping import ColumnRule, Conflict, Direction, defaults, shared_field
from crmsync.config.problems import Expected
from crmsync.config.replica import ReplicaSettings
from crmsync.config.secret import Secret
from crmsync.config.table import Lasting, Table
from crmsync.config.values import KINDS, Flag, Kind, OptionalSecret, Text, Url


@dataclass(frozen=True, slots=True)
class PasswordLogin:
    """OAuth 2.0 resource owner password credentials (RFC 6749 section 4.3)."""

    client_id: str
    client_secret: Secret
    username: str
    password: Secret


@dataclass(frozen=True, slots=True)
class ClientCredentialsLogin:
    """OAuth 2.0 client credentials (RFC 6749 section 4.4)."""

    client_id: str
    client_secret: Secret


@dataclass(frozen=True, slots=True)
class JwtLogin:
    """OAuth 2.0 JWT bearer grant (RFC 7523)."""

    client_id: str
    username: str
    private_key: Secret  # PEM
    audience: str


Login: TypeAlias = PasswordLogin | ClientCredentialsLogin | JwtLogin

# Beside client_id, which all need. Anything else of these keys is a misunderstanding, and an error.
_NEEDED: Mapping[str, tuple[str, ...]] = {
    "password": ("client_secret", "username", "password"),
    "client_credentials": ("client_secret",),
    "jwt": ("username", "private_key", "audience"),
}


class ColumnOverride(Table):
    """Changes the mapping of one column; keys that are left out keep their default."""

    field: Text | None = Field(None, description="Name of the CRM field.")
    direction: Direction | None = Field(None, description="Which way the column travels.")
    conflict: Conflict | None = Field(None, description="Who wins when both sides changed it.")


def _column_of(kind: Kind) -> AfterValidator:
    def check(column: str) -> str:
        known = tuple(defaults("salesforce")[kind])
        if column not in known:
            raise Expected(
                f"a column of {kind}: {', '.join(known)}", found="an unknown column", options=known
            )
        return column

    return AfterValidator(check)


class Overrides(Table):
    """What differs from the default mapping."""

    contact: dict[Annotated[str, _column_of("contact")], ColumnOverride] = Field(
        default_factory=dict, description="Columns of contacts."
    )
    appointment: dict[Annotated[str, _column_of("appointment")], ColumnOverride] = Field(
        default_factory=dict, description="Columns of appointments."
    )
    task: dict[Annotated[str, _column_of("task")], ColumnOverride] = Field(
        default_factory=dict, description="Columns of tasks."
    )

    email: dict[Annotated[str, _column_of("email")], ColumnOverride] = Field(
        default_factory=dict, description="Columns of mail."
    )

    @field_validator("contact", "appointment", "task", "email")
    @classmethod
    def _applicable(
        cls, overrides: dict[str, ColumnOverride], info: ValidationInfo
    ) -> dict[str, ColumnOverride]:
        kind: Kind = next(k for k in KINDS if k == info.field_name)
        rules = _merged(kind, overrides)
        if homeless := [column for column in overrides if not rules[column].field]:
            raise Expected(
                f"a field for {homeless[0]}, which the default mapping leaves out", found="no field"
            )
        if shared := shared_field(rules):
            raise Expected(
                'a CRM field of its own for every column that is written (or direction = "none")',
                found=f"{rules[shared[0]].field} for {' and '.join(shared)}",
            )
        return overrides


def _merged(kind: Kind, overrides: Mapping[str, ColumnOverride]) -> dict[str, ColumnRule]:
    rules = dict(defaults("salesforce")[kind])
    for column, change in overrides.items():
        rules[column] = rules[column].changed(change.field, change.direction, change.conflict)
    return rules


class Crm(Lasting):
    """A CRM and the login that the service has there."""

    secret_names: ClassVar[tuple[str, ...]] = ("client_secret", "password", "private_key")

    type: Literal["salesforce"] = Field(description="The kind of CRM.")
    auth: Literal["password", "client_credentials", "jwt"] = Field("password", description="How to log in.")
    client_id: Text = Field(description="Of the connected app.")
    client_secret: OptionalSecret = Field(
        None, validate_default=True, description="Of the connected app; for `password`, `client_credentials`."
    )
    username: Text | None = Field(
        None, validate_default=True, description="The service's own user; for `password` and `jwt`."
    )
    password: OptionalSecret = Field(
        None,
        validate_default=True,
        description="The user's password, with the security token behind it where one is needed; for `password`.",
    )
    private_key: OptionalSecret = Field(
        None, validate_default=True, description="The PEM key that signs the request to log in; for `jwt`."
    )
    audience: Url | None = Field(
        None,
        validate_default=True,
        description="`https://login.salesforce.com`, `https://test.salesforce.com` for a sandbox; for `jwt`.",
    )
    api_version: Annotated[str, Field(pattern=r"^\d{2}\.0$")] | None = Field(
        None, description="Version of the API such as `62.0`; otherwise the newest that both sides know."
    )
    external_id: Annotated[str, Field(pattern=r"^[A-Za-z]\w*$")] | None = Field(
        None, description="The organisation's external-id field, on every object that is synced."
    )
    mapping: Overrides = Field(Overrides(), description="What differs from the default mapping.")
    replica: Flag = Field(
        False,
        description="Keep a copy of this CRM here, which can be read and written without a network. While the CRM is "
        "away the sync goes on with it.",
    )
    replica_settings: ReplicaSettings = Field(ReplicaSettings(), description="How that is kept.")

    @field_validator("client_secret", "username", "password", "private_key", "audience")
    @classmethod
    def _fits_auth(cls, value: object, info: ValidationInfo) -> object:
        auth = info.data.get("auth")
        if auth is None:  # wrong itself
            return value
        needed = info.field_name in _NEEDED[auth]
        if needed and value is None:
            raise Expected(f'{_how(info.field_name)}, which auth = "{auth}" needs', found="nothing")
        if value is not None and not needed:
            raise Expected(f'no such key with auth = "{auth}"', found="one")
        return value

    @property
    def login(self) -> Login:
        """The keys that belong to ``auth``, together."""
        match self:
            case Crm(auth="password", client_secret=Secret() as s, username=str(u), password=Secret() as p):
                return PasswordLogin(self.client_id, s, u, p)
            case Crm(auth="jwt", username=str(u), private_key=Secret() as key, audience=str(audience)):
                return JwtLogin(self.client_id, u, key, audience)
            case Crm(client_secret=Secret() as s):
                return ClientCredentialsLogin(self.client_id, s)
        raise AssertionError(f"{self.auth} was accepted without its keys")

    @property
    def named_fields(self) -> frozenset[str]:
        """What stands in the file, beside the default mapping."""
        tables: list[dict[str, ColumnOverride]] = [getattr(self.mapping, kind) for kind in KINDS]
        named = {override.field for table in tables for override in table.values() if override.field}
        return frozenset(named | ({self.external_id} if self.external_id else set()))

    def rules(self, kind: Kind) -> Mapping[str, ColumnRule]:
        """Every column that has a field in this CRM, also those with direction "none"; overrides applied."""
        overrides: dict[str, ColumnOverride] = getattr(self.mapping, kind)
        return {column: rule for column, rule in _merged(kind, overrides).items() if rule.field}


def _how(name: str | None) -> str:
    return f"one of {name}_file, …_command, …_env, …_credential" if name in Crm.secret_names else "a value"
