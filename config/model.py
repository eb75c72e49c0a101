"""The configuration as a whole. Each field's description is its line in docs/configuration.md."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Annotated, ClassVar, Literal
from urllib.parse import unquote, urlsplit

from pydantic import Field, ValidationInfo, field_validator

from crmsync.config.account import Account
from crmsync.config.alerts import Alerts
from crmsync.config.crm import Crm
from crmsync.config.exchange import EVERYBODY, Exchange
from crmsync.config.logins import Logins
from crmsync.config.problems import Expected
from crmsync.config.replica import apart
from crmsync.config.secret import Secret
from crmsync.config.table import Table
from crmsync.config.telephony import Softphone, Telephony
from crmsync.config.values import (
    OFF,
    Count,
    DatabaseUrl,
    Duration,
    FreePath,
    Listen,
    Name,
    OptionalSecret,
    Origin,
    Pause,
    SocketPath,
    split_listen,
)

STATE_FOLDER = Path("/var/lib/crmsync")


class State(Table):
    """Where the service keeps what it knows."""

    url: DatabaseUrl = Field(
        default=f"sqlite:///{STATE_FOLDER}/state.db",
        repr=False,
        description="The state database: `sqlite:////absolute/path` or `postgresql+psycopg://user@host/database` "
        "(the password is better kept in a `?passfile=`).",
    )
    history: Duration = Field(timedelta(days=90), description="How long history and conflict log are kept.")
    key_file: FreePath | None = Field(
        None,
        description="Holds the key that signs the links on the items; made on the first start. Without this key: "
        f"`link.key` beside the SQLite file, else `{STATE_FOLDER}/link.key`. Back it up apart from the database.",
    )

    @property
    def file(self) -> Path | None:
        """The SQLite file; None on another database."""
        url = urlsplit(self.url)
        return Path(unquote(url.path[1:])) if url.scheme == "sqlite" else None

    @property
    def folder(self) -> Path:
        """For what stands beside the state."""
        return self.file.parent if self.file else STATE_FOLDER

    @property
    def key_path(self) -> Path:
        """Where the key is, whether it was configured or not."""
        return self.key_file or self.folder / "link.key"


class Schedule(Table):
    """How often, how patiently."""

    interval: Duration = Field(timedelta(seconds=60), description="Between two cycles of an account.")
    settle: Pause = Field(
        timedelta(seconds=10),
        description="Rest after the last change of an item before it is synced; may be `0s`.",
    )
    reconcile: Duration = Field(
        timedelta(hours=24), description="Between two complete comparisons for deletions."
    )
    authority: Literal["self", "crm"] = Field(
        "self",
        description="Who says when is exchanged: the service itself, or the CRM's scheduler (see `[exchange]`); then "
        "the service only notes what changes.",
    )
    retries: Annotated[Count, Field(ge=0, le=1000)] = Field(
        8, description="Attempts after which an item is parked for a person, 0 to 1000."
    )


class Service(Table):
    """Where the service itself can be reached, on this machine only."""

    secret_names: ClassVar[tuple[str, ...]] = ("metrics_token",)

    listen: Listen = Field(
        "127.0.0.1:8750",
        description="Where the status page, metrics and health checks are; a loopback address, or `off` for none.",
    )
    url: Origin | None = Field(
        None,
        description="How people reach the status page where a proxy with TLS stands in front of it, such as "
        "`https://crmsync.example.com`; the proxy passes the `Host` header on unchanged.",
    )
    metrics_token: OptionalSecret = Field(
        None,
        description="What a program that reads `/metrics` gives as bearer token; without one, only an admin who is "
        "logged in can.",
    )
    socket: SocketPath = Field(
        Path("/run/crmsync/control.sock"), description="Where the commands talk to the running service."
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="What is logged.")

    @property
    def address(self) -> tuple[str, int] | None:
        """None: nobody listens."""
        return None if self.listen == OFF else split_listen(self.listen)


class Config(Table):
    """Everything that the file says, checked; made by ``load.load``."""

    state: State = Field(State(), description="Where the service keeps what it knows.")
    schedule: Schedule = Field(Schedule(), description="How often, how patiently.")
    service: Service = Field(Service(), description="The service itself.")
    login: Logins = Field(Logins(), description="How people log in to the status page, beside links.")
    alerts: Alerts = Field(Alerts(), description="Who is told when something needs a person.")
    crm: dict[Name, Crm] = Field(default_factory=dict, description="The CRMs, by a name of your choice.")
    telephony: dict[Name, Telephony] = Field(
        default_factory=dict, description="The telephone systems, by a name of your choice."
    )
    softphone: Softphone = Field(Softphone(), description="The softphone in the browser.")
    account: dict[Name, Account] = Field(
        default_factory=dict, validate_default=True, description="The people, by a name of your choice."
    )

    @field_validator("crm")
    @classmethod
    def _replicas_apart(cls, crm: dict[str, Crm], info: ValidationInfo) -> dict[str, Crm]:
        if isinstance(state := info.data.get("state"), State):
            replicas = {n: c.replica_settings.place(n, state.folder) for n, c in crm.items() if c.replica}
            apart({"the state": state.url, **{f"crm.{name}": url for name, url in replicas.items()}})
        return crm

    exchange: Exchange = Field(
        Exchange(), validate_default=True, description="Where a CRM's scheduler asks for an exchange."
    )

    @field_validator("exchange")
    @classmethod
    def _somebody_says_when(cls, exchange: Exchange, info: ValidationInfo) -> Exchange:
        schedule, accounts = info.data.get("schedule"), info.data.get("account")
        if schedule is not None and schedule.authority == "crm":
            if exchange.address is None:
                raise Expected(
                    'listen = "ADDRESS:PORT", where schedule.authority = "crm"',
                    found="nowhere to ask for an exchange",
                )
            if not exchange.credential:
                raise Expected(
                    'an [exchange.credential.NAME], where schedule.authority = "crm"',
                    found="nobody who may ask",
                )
        for name, credential in exchange.credential.items():
            strange = [a for a in credential.accounts if a != EVERYBODY and a not in (accounts or {a: None})]
            if strange:
                raise Expected(
                    f"names of [account.NAME] tables in credential.{name}.accounts", found=strange[0]
                )
        return exchange

    @field_validator("account")
    @classmethod
    def _someone(cls, account: dict[str, Account]) -> dict[str, Account]:
        if not account:
            raise Expected("at least one [account.NAME] table", found="none")
        return account

    @field_validator("account")
    @classmethod
    def _telephones(cls, account: dict[str, Account], info: ValidationInfo) -> dict[str, Account]:
        known = info.data.get("telephony", {})
        for name, one in account.items():
            if one.telephone is not None and one.telephone not in known:
                raise Expected(
                    f"account.{name}.telephone to be the name of a [telephony.NAME] table",
                    options=list(known),
                )
            if one.telephone and known[one.telephone].type != "baresip" and one.extension is None:
                raise Expected(
                    f"account.{name}.extension, which an exchange needs to tell whose calls they are"
                )
        return account

    @property
    def call_log(self) -> Path:
        """Where the database of the calls is, whether it was configured or not."""
        return self.softphone.log or self.state.key_path.with_name("calls.db")

    def secrets(self) -> Iterator[tuple[str, Secret]]:
        """Every secret with the path of its table and name: ``crm.main.password``."""
        yield from ((f"service.{key}", secret) for key, secret in self.service.given_secrets())
        if self.login.oidc is not None:
            yield from ((f"login.oidc.{key}", secret) for key, secret in self.login.oidc.given_secrets())
        for name, credential in self.exchange.credential.items():
            path = f"exchange.credential.{name}"
            yield from ((f"{path}.{key}", secret) for key, secret in credential.given_secrets())
        for way in ("mail", "webhook"):
            if table := getattr(self.alerts, way):
                yield from ((f"alerts.{way}.{key}", secret) for key, secret in table.given_secrets())
        for name, switch in self.telephony.items():
            yield from ((f"telephony.{name}.{key}", secret) for key, secret in switch.given_secrets())
        for name, crm in self.crm.items():
            yield from ((f"crm.{name}.{key}", secret) for key, secret in crm.given_secrets())
        for name, account in self.account.items():
            for number, source in enumerate(account.source):
                path = f"account.{name}.source[{number}]"
                yield from ((f"{path}.{key}", secret) for key, secret in source.given_secrets())

    def warnings(self) -> list[str]:
        """What works but is unwise, a sentence each; looks at the files now."""
        warnings = [f"{path}: {warning}" for path, secret in self.secrets() if (warning := secret.warning())]
        return [*warnings, *self.exchange.warnings()]
