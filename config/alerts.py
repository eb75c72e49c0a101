"""Who is told when something needs a person, and when it does."""

from datetime import timedelta
from typing import Annotated, ClassVar, Literal

from pydantic import Field, ValidationInfo, field_validator

from crmsync.config.problems import Expected
from crmsync.config.table import Server, Table
from crmsync.config.values import (
    Address,
    Count,
    Duration,
    ExistingFile,
    OptionalSecret,
    RequiredSecret,
    Text,
    is_loopback,
)

_PORTS = {"starttls": 587, "implicit": 465, "off": 25}


class MailAlerts(Table):
    """Alerts by e-mail."""

    secret_names: ClassVar[tuple[str, ...]] = ("password",)

    host: Text = Field(description="The mail server.")
    tls: Literal["starttls", "implicit", "off"] = Field(
        "starttls", description="`implicit`: TLS from the first byte; `off`: only to this machine."
    )
    port: Annotated[Count, Field(ge=1, le=65535)] | None = Field(
        None, description="Normally 587 with `starttls`, 465 with `implicit`, 25 with `off`."
    )
    ca_file: ExistingFile | None = Field(
        None, description="PEM file of the authority that signed the server's certificate, if it is your own."
    )
    username: Text | None = Field(None, description="The login there, if one is needed.")
    password: OptionalSecret = Field(None, validate_default=True, description="Its password.")
    sender: Address = Field(description="Who the mail is from.")
    to: tuple[Address, ...] = Field(min_length=1, description="Who gets it.")

    @field_validator("tls")
    @classmethod
    def _not_in_clear(cls, tls: str, info: ValidationInfo) -> str:
        if tls == "off" and not is_loopback(info.data.get("host", "")):
            raise Expected('"starttls" or "implicit": without TLS only a mail server on this machine is used')
        return tls

    @field_validator("password")
    @classmethod
    def _both(cls, password: object, info: ValidationInfo) -> object:
        if (password is None) != (info.data.get("username") is None):
            raise Expected("username and password together, or neither")
        return password

    @property
    def door(self) -> int:
        return self.port or _PORTS[self.tls]


class WebhookAlerts(Server):
    """Alerts as JSON, posted to an address of yours."""

    secret_names: ClassVar[tuple[str, ...]] = ("secret",)

    secret: RequiredSecret = Field(
        description="What it is signed with: `X-Crmsync-Signature` is `sha256=` and the HMAC-SHA256, in hex, of what "
        "`X-Crmsync-Time` says, a dot, and the body."
    )


class Alerts(Table):
    """What needs a person is told once when it begins and once when it ends, in the ways that are configured here."""

    silence: Duration = Field(
        timedelta(hours=1),
        description="An account without a sync, or a replica without a pass, that came through for so long.",
    )
    expiry: Duration = Field(
        timedelta(days=14), description="So long before a login expires, if that is known."
    )
    growth: Annotated[Count, Field(ge=1, le=1_000_000)] = Field(
        1, description="So many more parked items of an account than before."
    )
    mail: MailAlerts | None = Field(None, description="By e-mail.")
    webhook: WebhookAlerts | None = Field(None, description="To a program.")
