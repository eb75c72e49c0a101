"""What all tables of the configuration have in common, and what reaching a server needs."""

from collections.abc import Iterator
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from crmsync.config.problems import Expected
from crmsync.config.secret import ENDINGS, Secret
from crmsync.config.values import Day, ExistingFile, Flag, Text, Url, host, is_loopback, scheme


class Table(BaseModel):
    """A TOML table: unknown keys are errors, values do not change after loading."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, hide_input_in_errors=True
    )
    secret_names: ClassVar[tuple[str, ...]] = ()  # fields that are given as X_file, X_command, …

    @model_validator(mode="before")
    @classmethod
    def _gather_secrets(cls, data: Any) -> Any:
        if not isinstance(data, dict):
            return data
        gathered = dict(data)
        for name in cls.secret_names:
            keys = {name + e: gathered.pop(name + e) for e in ENDINGS if name + e in gathered}
            if keys:
                gathered[name] = keys
        return gathered

    def given_secrets(self) -> Iterator[tuple[str, Secret]]:
        for name in self.secret_names:
            if secret := getattr(self, name):
                yield name, secret


class Server(Table):
    """What reaching any server needs."""

    insecure_host: Text | None = Field(
        None,
        description="The host of `url`, spelt out again: needed for `verify = false`, and for `http://` to another "
        "machine, because passwords can then be read on the way.",
    )
    url: Url = Field(description="Address of the server, `https://…`.")
    ca_file: ExistingFile | None = Field(
        None, description="PEM file of the authority that signed the server's certificate, if it is your own."
    )
    verify: Flag = Field(
        True,
        description="Check the server's certificate. `false` goes for the host of `url` alone, not for others to which "
        "it leads.",
    )

    @field_validator("url")
    @classmethod
    def _not_in_clear(cls, url: str, info: ValidationInfo) -> str:
        if scheme(url) == "http" and not is_loopback(host(url)) and not _accepted(url, info):
            raise Expected(
                f'https://, because passwords would travel in clear (or insecure_host = "{host(url)}" to accept that)'
            )
        return url

    @field_validator("verify")
    @classmethod
    def _verified(cls, verify: bool, info: ValidationInfo) -> bool:
        url = info.data.get("url", "")
        if not verify and url and not _accepted(url, info):
            raise Expected(
                "true, or ca_file with your own authority "
                f'(or insecure_host = "{host(url)}" to accept any certificate)'
            )
        return verify


class Lasting(Server):
    """What logging in to any server may need beyond that."""

    expires: Day | None = Field(
        None,
        description="When the password or secret stops working, as a date such as `2027-01-31`, if you know: shown, "
        "measured and alerted on before that day.",
    )


def _accepted(url: str, info: ValidationInfo) -> bool:
    return (info.data.get("insecure_host") or "").lower() == host(url)
