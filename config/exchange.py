"""The data exchange adaptor: where a CRM's scheduler reaches us, and what each CRM may ask for."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Literal, TypeAlias, get_args

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crmsync.config.mapping import defaults
from crmsync.config.problems import Expected
from crmsync.config.table import Table
from crmsync.config.values import (
    KINDS,
    OFF,
    Duration,
    ExistingFile,
    Kind,
    Name,
    OptionalSecret,
    Origin,
    Text,
    Url,
    host,
    is_loopback,
    scheme,
    split_listen,
)

Direction: TypeAlias = Literal["reverse", "forward"]
DIRECTIONS: tuple[Direction, ...] = ("reverse", "forward")
EVERYBODY = "*"
Exchanged: TypeAlias = Literal["contact", "appointment", "task", "email", "phone_call", "letter", "fax"]
EVERYTHING: tuple[Exchanged, ...] = get_args(Exchanged)


def _listen(value: str) -> str:
    if value == OFF:
        return value
    try:
        _, port = split_listen(value)
    except ValueError:
        port = -1
    if not 0 <= port <= 65535:
        raise Expected('an address and a port such as "127.0.0.1:8760"; port 0 takes a free one; or "off"')
    return value


def _fingerprint(value: str) -> str:
    plain = value.lower().removeprefix("sha256:").replace(":", "")
    if not re.fullmatch(r"[0-9a-f]{64}", plain):
        raise Expected(
            "the SHA-256 fingerprint of a certificate: openssl x509 -noout -fingerprint -sha256 -in FILE"
        )
    return plain


def _organisation(value: str) -> str:
    if not re.fullmatch(r"00D[A-Za-z0-9]{12}(?:[A-Za-z0-9]{3})?", value):
        raise Expected("the id of a Salesforce organisation, 15 or 18 letters and digits that begin with 00D")
    return value


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if not values:
        raise Expected("at least one")
    return values


ListenAnywhere = Annotated[str, AfterValidator(_listen)]
Fingerprint = Annotated[str, AfterValidator(_fingerprint)]
Organisation = Annotated[str, AfterValidator(_organisation)]


class Columns(Table):
    """Only these columns of a kind are exchanged; a kind that does not stand here is exchanged whole."""

    contact: tuple[str, ...] | None = Field(None, description="Of contacts.")
    appointment: tuple[str, ...] | None = Field(None, description="Of appointments.")
    task: tuple[str, ...] | None = Field(None, description="Of tasks.")
    email: tuple[str, ...] | None = Field(None, description="Of mail.")

    @field_validator("contact", "appointment", "task", "email")
    @classmethod
    def _known(cls, columns: tuple[str, ...] | None, info: ValidationInfo) -> tuple[str, ...] | None:
        kind: Kind = next(k for k in KINDS if k == info.field_name)
        known = tuple(defaults("salesforce")[kind])
        if strange := [c for c in columns or () if c not in known]:
            raise Expected(f"columns of {kind}: {', '.join(known)}", found=strange[0], options=known)
        return columns

    def of(self, kind: Exchanged) -> frozenset[str] | None:
        """None: all of them."""
        columns: tuple[str, ...] | None = getattr(self, kind, None)
        return None if columns is None else frozenset(columns)


class Credential(Table):
    """A CRM that may ask for an exchange: how it shows who it is, and what it may ask for."""

    secret_names: ClassVar[tuple[str, ...]] = ("secret", "wake_token")

    secret: OptionalSecret = Field(
        None, description="With which it signs its messages (HMAC-SHA256); at least 16 characters."
    )
    certificate: Fingerprint | None = Field(
        None, description="SHA-256 fingerprint of its client certificate; needs `client_ca`."
    )
    subject: Text | None = Field(
        None,
        description="Subject of its client certificate as RFC 4514 has it, such as `CN=crm,O=Example`; for a "
        "certificate that is renewed often. Needs `client_ca`.",
    )
    accounts: Annotated[tuple[str, ...], AfterValidator(_distinct)] = Field(
        description='Names of the accounts that it may ask for; `["*"]`: all.'
    )
    kinds: Annotated[tuple[Exchanged, ...], AfterValidator(_distinct)] = Field(
        EVERYTHING, description="What it may ask for; without this key, every kind."
    )
    directions: Annotated[tuple[Direction, ...], AfterValidator(_distinct)] = Field(
        DIRECTIONS, description="`reverse`: to the CRM, `forward`: from it; without this key, both."
    )
    columns: Columns = Field(Columns(), description="Only these columns.")
    report_to: Url | None = Field(None, description="Where the result of its exchanges is posted, signed.")
    wake_token: OptionalSecret = Field(
        None,
        description="What a webhook, or the address of an outbound message, has to name to wake accounts early; at "
        "least 16 characters.",
    )
    organisation: Organisation | None = Field(
        None, description="Id of the Salesforce organisation whose outbound messages may wake accounts."
    )

    @field_validator("report_to")
    @classmethod
    def _private(cls, url: str | None) -> str | None:
        if url is not None and scheme(url) != "https" and not is_loopback(host(url)):
            raise Expected("an https:// URL, or one on this machine")
        return url

    @property
    def shows_certificate(self) -> bool:
        return self.certificate is not None or self.subject is not None

    def covers(self, account: str) -> bool:
        return EVERYBODY in self.accounts or account in self.accounts


class Exchange(Table):
    """The address at which a CRM's scheduler asks for an exchange."""

    listen: ListenAnywhere = Field(
        OFF,
        description="Where the adaptor listens, such as `127.0.0.1:8760`; beyond this machine only with TLS. `off`: "
        "nowhere.",
    )
    url: Origin | None = Field(
        None,
        validate_default=True,
        description="How the CRM reaches it, if that is not the address itself: the name that `Host` may have.",
    )
    certificate: ExistingFile | None = Field(
        None, description="PEM certificate (with its chain): the adaptor speaks TLS, 1.2 at least."
    )
    key: ExistingFile | None = Field(
        None, validate_default=True, description="PEM private key of the certificate; mode 0600."
    )
    client_ca: ExistingFile | None = Field(
        None,
        validate_default=True,
        description="PEM certificates of the authority that issues client certificates (mutual TLS).",
    )
    window: Duration = Field(
        timedelta(minutes=5), description="How far the time of a message may be from ours."
    )
    good_for: Duration = Field(
        timedelta(hours=1),
        description="A message that could not be carried out for so long (the service was down) is not carried out "
        "any more.",
    )
    credential: dict[Name, Credential] = Field(
        default_factory=dict,
        validate_default=True,
        description="The CRMs that may ask, by a name of your choice.",
    )

    @field_validator("url")
    @classmethod
    def _named(cls, url: str | None, info: ValidationInfo) -> str | None:
        listen = info.data.get("listen", OFF)
        if url is None and listen != OFF and split_listen(listen)[0] in ("0.0.0.0", "::"):
            raise Expected(
                "the URL at which the CRM reaches it, where it listens on every address", found="none"
            )
        return url

    @field_validator("key", "client_ca")
    @classmethod
    def _with_certificate(cls, value: object, info: ValidationInfo) -> object:
        certified = info.data.get("certificate") is not None
        if value is not None and not certified:
            raise Expected("no such key without `certificate`", found="one")
        if value is None and certified and info.field_name == "key":
            raise Expected("the private key of `certificate`", found="nothing")
        if info.field_name == "key" and not certified and not cls._here(info):
            raise Expected(
                "`certificate` and `key`, where it listens beyond this machine",
                found="an adaptor without TLS",
            )
        return value

    @staticmethod
    def _here(info: ValidationInfo) -> bool:
        listen = info.data.get("listen", OFF)
        return listen == OFF or is_loopback(split_listen(listen)[0])

    @field_validator("credential")
    @classmethod
    def _shown(cls, credentials: dict[str, Credential], info: ValidationInfo) -> dict[str, Credential]:
        for name, one in credentials.items():
            if one.secret is None and not one.shows_certificate and one.wake_token is None:
                raise Expected(f"a secret_… or certificate for {name}", found="nothing that shows who it is")
            if one.shows_certificate and info.data.get("client_ca") is None:
                raise Expected(
                    f"`client_ca` in [exchange], which the certificate of {name} needs", found="none"
                )
        return credentials

    def warnings(self) -> list[str]:
        """Looks at the file of the key now."""
        try:
            mode = self.key.stat().st_mode if self.key is not None else 0
        except OSError:
            return []  # the adaptor says what is wrong when it opens
        if mode & 0o004:
            shown = f"{self.key} can be read by every user (mode {mode & 0o7777:04o})"
            return [f"exchange.key: the private key {shown}; chmod 600 {self.key}"]
        return []

    @property
    def address(self) -> tuple[str, int] | None:
        """None: nobody listens."""
        return None if self.listen == OFF else split_listen(self.listen)
