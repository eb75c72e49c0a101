"""The replica of a CRM: where it stands, what of the CRM stands in it, and how it is kept in step."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crmsync.config.hosts import SALESFORCE, valid_host
from crmsync.config.problems import Expected
from crmsync.config.table import Table
from crmsync.config.values import OFF, DatabaseUrl, Duration, Listen, split_listen

# Who is invited to events, and the names of files: read with what they belong to, so they come along where they can
COMPANIONS = ("Attachment", "EventRelation")
OBJECTS = ("Account", *COMPANIONS, "Contact", "Event", "Lead", "Opportunity", "Task", "User")
ALWAYS = ("Id", "SystemModstamp", "IsDeleted")  # without them nothing can be kept in step


def _api_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w{0,79}", value, re.ASCII):
        raise Expected('the API name of an object or field such as "Contact" or "Project__c"')
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise Expected("at least one entry")
    return value


def _host(value: str) -> str:
    name = value.lower()
    if not valid_host(name):
        raise Expected("a name such as login.example.com or *.example.com")
    return name


ApiName = Annotated[str, AfterValidator(_api_name)]
ApiNames = Annotated[tuple[ApiName, ...], AfterValidator(_some)]
HostNames = Annotated[tuple[Annotated[str, AfterValidator(_host)], ...], AfterValidator(_some)]


class ReplicaSettings(Table):
    """How the replica of this CRM is kept, where `replica = true`."""

    url: DatabaseUrl | None = Field(
        None,
        repr=False,
        description="The replica's database: `sqlite:////absolute/path`, which nothing else may use, or "
        "`postgresql+psycopg://user@host/database`, in which it has the schema `crmsync_replica_NAME` (the password is "
        "better kept in a `?passfile=`). Without it: `replica-NAME.db` beside the state.",
    )
    objects: ApiNames = Field(
        OBJECTS,
        description="API names of the objects that stand in it. Of `Attachment` only names and sizes; it and "
        "`EventRelation` are passed over where the login does not see them, and without them events wait for the CRM "
        "while that is away. So does mail, unless `EmailMessage` is added, which brings the texts of all mail along.",
    )
    fields: dict[ApiName, ApiNames] = Field(
        default_factory=dict,
        description='Of an object only these fields, as in `fields.Account = ["Name", "Phone"]`; what an object '
        "cannot do without comes besides. Objects that are not named here have all of theirs.",
    )
    listen: Listen = Field(
        OFF,
        description="Where the service answers as the CRM does, from the replica, for programs that were written for "
        "the CRM: a loopback address such as `127.0.0.1:8755`, or `off`.",
    )
    listen_tls: Listen = Field(
        OFF,
        description="The same with TLS, beside `listen` or instead of it. Its certificate is made on the spot, by an "
        "authority that is kept in `tls-NAME/ca.pem` beside the state, good for loopback (and `proxy_hosts`) alone.",
    )
    proxy: Listen = Field(
        OFF,
        description="For programs that hard-code the CRM's address: a port of 127.0.0.1 where a CONNECT proxy listens, "
        "which leads what is asked of `proxy_hosts` to `listen_tls`, and refuses everything else. They need "
        "`HTTPS_PROXY`, and to trust the authority of `listen_tls`.",
    )
    proxy_hosts: HostNames = Field(
        SALESFORCE,
        description="Names that the proxy answers for; `*.` stands for one label.",
    )
    interval: Duration = Field(timedelta(minutes=5), description="Between two passes that bring it in step.")
    policy: Literal["latest", "local", "server", "ask"] = Field(
        "latest",
        description="Who wins when a field was changed here and in the CRM: the later one, what stands here, what "
        "stands there, or a person.",
    )
    mode: Literal["auto", "online", "hybrid", "offline"] = Field(
        "auto",
        description="`auto`: as `hybrid`, and as `offline` by itself while the CRM cannot be reached. `hybrid`: read "
        "here, written through to the CRM. `online`: read there, too. `offline`: all of it here, sent later. In "
        "`hybrid` and `online` a change that cannot be sent is refused.",
    )

    @field_validator("listen_tls")
    @classmethod
    def _beside(cls, listen_tls: str, info: ValidationInfo) -> str:
        listen = info.data.get("listen", OFF)
        if OFF not in (listen, listen_tls) and split_listen(listen)[0] != split_listen(listen_tls)[0]:
            raise Expected("another port of the same address as listen", found="another address")
        return listen_tls

    @field_validator("proxy")
    @classmethod
    def _leads_there(cls, proxy: str, info: ValidationInfo) -> str:
        if proxy == OFF:
            return proxy
        if split_listen(proxy)[0] != "127.0.0.1":
            raise Expected('a port of this address, such as "127.0.0.1:8757"', found="another address")
        if info.data.get("listen_tls", OFF) == OFF:
            raise Expected("listen_tls as well, which it leads to", found="a proxy alone")
        return proxy

    @field_validator("fields")
    @classmethod
    def _of_objects(
        cls, fields: Mapping[str, Sequence[str]], info: ValidationInfo
    ) -> Mapping[str, Sequence[str]]:
        objects: tuple[str, ...] = info.data.get("objects", ())
        for name in fields:
            if objects and name not in objects:
                raise Expected(
                    f"fields of objects that stand in the replica: {', '.join(objects)}",
                    found=f"fields of {name}",
                    options=objects,
                )
        return fields

    @property
    def doors(self) -> tuple[str, int | None, int | None, int | None] | None:
        """Address, and ports of the plain one, the one with TLS and the proxy; None: nobody listens."""
        places = [
            None if each == OFF else split_listen(each) for each in (self.listen, self.listen_tls, self.proxy)
        ]
        host = next((place[0] for place in places if place), None)
        plain, tls, proxy = (place and place[1] for place in places)
        return None if host is None else (host, plain, tls, proxy)

    def place(self, name: str, folder: Path) -> str:
        """The database of the CRM of that name; `folder`: of the state."""
        return self.url or f"sqlite:///{folder.absolute() / f'replica-{name}.db'}"

    def file_or_url(self, name: str, folder: Path) -> Path | str:
        """The same: a file, or the URL of a database server."""
        url = self.place(name, folder)
        return file_of(url) if urlsplit(url).scheme == "sqlite" else url

    def wanted(self, name: str) -> frozenset[str] | None:
        """Fields of an object; None: all."""
        return frozenset((*ALWAYS, *self.fields[name])) if name in self.fields else None


def apart(places: Mapping[str, str]) -> None:
    """`places`: of every database, by whose it is. Each is somebody's alone."""
    owners: dict[Path, str] = {}
    for owner, url in places.items():
        if urlsplit(url).scheme != "sqlite":
            continue
        if (other := owners.setdefault(file_of(url).resolve(), owner)) != owner:
            raise Expected(
                "a database of its own for every replica, and for the state",
                found=f"one for {other} and {owner}",
            )


def file_of(url: str) -> Path:
    return Path(unquote(urlsplit(url).path[1:]))
