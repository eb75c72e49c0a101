"""Telephone systems, and the softphone in the browser."""

import re
from typing import Annotated, ClassVar, Literal

from pydantic import AfterValidator, Field, ValidationInfo, field_validator, model_validator

from crmsync.config.problems import Expected
from crmsync.config.table import Table
from crmsync.config.values import Duration, Flag, FreePath, OptionalSecret, Origin, Text, is_loopback

_PORTS = {"baresip": 4444, "asterisk_ami": 5038, "asterisk_ari": 8088}


class Telephony(Table):
    """A telephone system whose calls are shown, answered and kept."""

    secret_names: ClassVar[tuple[str, ...]] = ("password",)

    type: Literal["baresip", "asterisk_ami", "asterisk_ari"] = Field(
        description="`baresip`: a telephone on this machine (`ctrl_tcp`); `asterisk_ami`, `asterisk_ari`: an exchange."
    )
    host: Text = Field("127.0.0.1", description="Where it is.")
    port: Annotated[int, Field(ge=1, le=65535)] | None = Field(
        None, description="Otherwise 4444 (baresip), 5038 (AMI) or 8088 (ARI)."
    )
    username: Text | None = Field(None, validate_default=True, description="For an Asterisk.")
    password: OptionalSecret = Field(None, validate_default=True, description="For an Asterisk.")
    region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = Field(
        None, description="Country to which numbers without a country's code belong, such as `DE`."
    )
    domain: Text | None = Field(
        None, description="`baresip`: host to which numbers are dialled; otherwise that of its account."
    )
    context: Text = Field(
        "from-internal", description="Asterisk: the dial plan's context for numbers that are dialled."
    )
    technology: Annotated[str, Field(pattern="^[A-Za-z0-9]{1,20}$")] = Field(
        "PJSIP", description="Asterisk: how it reaches the telephones of the extensions."
    )
    insecure_host: Text | None = Field(
        None,
        description="The value of `host`, spelt out again: needed for another machine, because logins and calls "
        "can then be read on the way.",
    )

    @field_validator("username", "password")
    @classmethod
    def _of_asterisk(cls, value: object, info: ValidationInfo) -> object:
        kind = info.data.get("type")
        if kind == "baresip" and value is not None:
            raise Expected('no such key with type = "baresip"', found="one")
        if kind in ("asterisk_ami", "asterisk_ari") and value is None:
            raise Expected(f'a value, which type = "{kind}" needs')
        return value

    @model_validator(mode="after")
    def _not_in_clear(self) -> "Telephony":
        if not is_loopback(self.host.lower()) and self.insecure_host != self.host:
            raise Expected(
                f'a host on this machine (or insecure_host = "{self.host}": anybody on the way listens)'
            )
        return self

    @property
    def address(self) -> tuple[str, int]:
        return self.host, self.port or _PORTS[self.type]


def _as_browsers_say(value: str) -> str:
    """In lower case, without the port that goes without saying; nothing that would mean something in a policy."""
    plain = value.lower()
    if not re.fullmatch(r"https?://(?:[a-z0-9.-]+|\[[0-9a-f:]+\])(?::\d{1,5})?", plain):
        raise Expected("an origin such as https://crm.example.com")
    port = ":443" if plain.startswith("https:") else ":80"
    return plain.removesuffix(port)


Embedder = Annotated[Origin, AfterValidator(_as_browsers_say)]


class Softphone(Table):
    """The softphone, which a CRM's pages can embed."""

    origins: tuple[Embedder, ...] = Field(
        (), description="Origins of the CRM's pages that may embed it, such as `https://crm.example.com`."
    )
    log: FreePath | None = Field(
        None, description="The database of the calls; otherwise `calls.db` beside the key that signs links."
    )
    history: Duration | None = Field(
        None,
        description="How long calls stay in it once they are in the CRM; otherwise as long as `[state] history`.",
    )
    internal: Flag = Field(False, description="Whether calls between two extensions go to the CRM as well.")
