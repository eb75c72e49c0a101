"""The replica of a CRM: where it stands, what of the CRM stands in it, and how it is kept in step."""

import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, Field, ValidationInfo, field_validator

from crmsync.config.problems import Expected
from crmsync.config.table import Table
from crmsync.config.values import OFF, DatabaseUrl, Duration, Listen, split_listen

OBJECTS = ("Account", "Contact", "Event", "Lead", "Opportunity", "Task", "User")
ALWAYS = ("Id", "SystemModstamp", "IsDeleted")  # without them nothing can be kept in step


def _api_name(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z]\w{0,79}", value, re.ASCII):
        raise Expected('the API name of an object or field such as "Contact" or "Project__c"')
    return value


def _some(value: tuple[str, ...]) -> tuple[str, ...]:
    if not value:
        raise Expected("at least one entry")
    return value


ApiName = Annotated[str, AfterValidator(_api_name)]
ApiNames = Annotated[tuple[ApiName, ...], AfterValidator(_some)]


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
        description="API names of the objects that stand in it.",
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
    def address(self) -> tuple[str, int] | None:
        """None: nobody listens."""
        return None if self.listen == OFF else split_listen(self.listen)

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
