"""The organisation that an embedded CRM stands for: its users, its API clients, and filling the database.

Users and profiles are rows like any other; passwords stand apart, as scrypt hashes. Seeding again changes
passwords and profiles to what is configured and adds what is missing; it never removes a user.
"""

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from crmsync.state.replica import ids
from crmsync.state.replica.access import Caller
from crmsync.state.replica.database import Database
from crmsync.state.replica.faults import Rejected
from crmsync.state.replica.store import Store

__all__ = [
    "Client",
    "Org",
    "Person",
    "check_password",
    "hash_password",
    "is_password",
    "nobodys_hash",
    "seed",
]

PROFILES = ("System Administrator", "Integration", "Standard User")
EFFORT = 2**13  # scrypt's n: what it costs to try a password
_MEMORY_AND_LANES = (8, 1)  # its r and p
LONGEST_PASSWORD = 1024


@dataclass(frozen=True, slots=True)
class Person:
    """One user. `profile` is one of PROFILES; administrators and the integration user see every record."""

    username: str
    password: str = field(repr=False)
    last_name: str
    first_name: str = ""
    email: str = ""  # the username when empty
    profile: str = "Standard User"


@dataclass(frozen=True, slots=True)
class Client:
    """One API client (a "connected app"). `run_as` is the user of the client_credentials grant, by username.

    `public_key` (PEM, RSA) admits the JWT bearer grant for every active user.
    """

    id: str
    secret: str = field(repr=False)
    run_as: str | None = None
    public_key: str | None = None


@dataclass(frozen=True, slots=True)
class Org:
    """`number` makes the organisation's id; `sharing` overrides the default access per object name.

    `effort` goes into trying a password: less of it in tests, where nobody guesses.
    """

    name: str
    users: tuple[Person, ...]
    clients: tuple[Client, ...] = ()
    sharing: Mapping[str, str] = field(default_factory=dict)
    number: int = 1
    effort: int = EFFORT

    @property
    def id(self) -> str:
        return ids.new_id("00D", self.number)

    def client(self, client_id: str) -> Client | None:
        return next((c for c in self.clients if hmac.compare_digest(c.id.encode(), client_id.encode())), None)


def seed(store: Store, org: Org, *, salt: Callable[[int], bytes] = secrets.token_bytes) -> Mapping[str, str]:
    """Brings organisation, profiles and users into the database; returns user ids by username."""
    root = _root(store, org)
    profiles = _rows_by(store.database, "Profile", "Name")
    known = _rows_by(store.database, "User", "Username")
    user_ids = {}
    for person in org.users:
        values = _user_fields(person, profiles[person.profile])
        if person.username.casefold() in known:
            user_id = known[person.username.casefold()]
            outcome = store.update(root, [("User", user_id, values)])[0]
        else:
            outcome = store.create(root, [("User", values)])[0]
        if isinstance(outcome, Rejected):
            raise ValueError(f"user {person.username}: {outcome.faults[0].message}")
        user_ids[person.username] = outcome.id
        _set_password(store.database, outcome.id, hash_password(person.password, salt(16), org.effort))
    if "Pricebook2" in store.schema.objects:
        _price_book(store, root)
    if "BusinessHours" in store.schema.objects:
        _business_hours(store, root)
    return user_ids


def _price_book(store: Store, root: Caller) -> None:
    """Every organisation has the standard one."""
    table = store.database.tables["Pricebook2"]
    with store.database.read() as connection:
        if connection.execute(sa.select(table.c.Id).where(table.c.IsStandard.is_(True))).first():
            return
    outcome = store.create(root, [("Pricebook2", {"Name": "Standard Price Book", "IsActive": True})])[0]
    with store.database.write() as connection:
        connection.execute(table.update().where(table.c.Id == outcome.id).values(IsStandard=True))


def _business_hours(store: Store, root: Caller) -> None:
    """Every organisation has those of all days and nights."""
    table = store.database.tables["BusinessHours"]
    with store.database.read() as connection:
        if connection.execute(sa.select(table.c.Id).where(table.c.IsDefault.is_(True))).first():
            return
    midnight = {
        f.name: "00:00:00.000Z" for f in store.schema.objects["BusinessHours"].fields if f.type == "time"
    }
    store.create(
        root, [("BusinessHours", {"Name": "Default", "IsActive": True, "IsDefault": True, **midnight})]
    )


def _root(store: Store, org: Org) -> Caller:
    """The first user's id signs the records that exist before any user does."""
    root = Caller(ids.new_id("005", 1), all_records=True)
    stamps = {
        "CreatedDate": store.now(), "CreatedById": root.user_id, "LastModifiedDate": store.now(),
        "LastModifiedById": root.user_id, "SystemModstamp": store.now(),
    }  # fmt: skip
    with store.database.write() as connection:
        if connection.execute(sa.select(store.database.tables["Organization"].c.Id)).first():
            return root
        organization = {**_defaults(store, "Organization"), **stamps, "Id": org.id, "Name": org.name}
        connection.execute(store.database.tables["Organization"].insert(), [organization])
        numbers = store.database.take_numbers(connection, "Profile", len(PROFILES))
        rows = [
            {
                **_defaults(store, "Profile"),
                **stamps,
                "Id": ids.new_id("00e", n),
                "Name": name,
                "Name__key": name.casefold(),
            }
            for n, name in zip(numbers, PROFILES, strict=True)
        ]
        connection.execute(store.database.tables["Profile"].insert(), rows)
    return root


def _defaults(store: Store, name: str) -> dict[str, Any]:
    stored = store.schema.objects[name].stored
    return {f.name: False if f.type == "boolean" and f.default is None else f.default for f in stored}


def _user_fields(person: Person, profile_id: str) -> dict[str, Any]:
    return {
        "Username": person.username,
        "Email": person.email or person.username,
        "LastName": person.last_name,
        "FirstName": person.first_name,
        "Alias": person.username.partition("@")[0][:8],
        "ProfileId": profile_id,
    }


def _rows_by(database: Database, name: str, column: str) -> dict[str, str]:
    table = database.tables[name]
    with database.read() as connection:
        rows = connection.execute(sa.select(table.c[column], table.c.Id)).all()
    fold_it = column == "Username"
    return {(row[0].casefold() if fold_it else row[0]): row[1] for row in rows}


def _set_password(database: Database, user_id: str, hashed: str) -> None:
    with database.write() as connection:
        connection.execute(sa.delete(database.logins).where(database.logins.c.user_id == user_id))
        connection.execute(database.logins.insert().values(user_id=user_id, password=hashed))


def hash_password(password: str, salt: bytes, effort: int = EFFORT) -> str:
    """`scrypt$n$r$p$salt$hash`, the last two in base64."""
    digest = _digest(password.encode("utf-8", "surrogatepass"), salt, effort, *_MEMORY_AND_LANES)
    return _told(salt, digest, effort)


def nobodys_hash(effort: int = EFFORT) -> str:
    """Of no password: to try one on it takes as long as on another."""
    return _told(bytes(16), bytes(64), effort)


def _told(salt: bytes, digest: bytes, effort: int) -> str:
    shown = (base64.b64encode(part).decode() for part in (salt, digest))
    return "$".join(["scrypt", str(effort), *map(str, _MEMORY_AND_LANES), *shown])


def _digest(password: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password, salt=salt, n=n, r=r, p=p)


def check_password(store: Store, username: str, password: str, effort: int = EFFORT) -> str | None:
    """The id of the active user whose password this is, else None; takes as long for an unknown user."""
    table, logins = store.database.tables["User"], store.database.logins
    query = (
        sa.select(table.c.Id, logins.c.password)
        .join(logins, logins.c.user_id == table.c.Id)
        .where(table.c.Username__key == username.casefold(), table.c.IsActive.is_(True))
    )
    with store.database.read() as connection:
        found = connection.execute(query).first() if username.isprintable() else None
    same = is_password(found[1] if found else nobodys_hash(effort), password)
    return found[0] if found and same else None


def is_password(hashed: str, password: str) -> bool:
    """Whether this is the password of such a hash."""
    _, n, r, p, salt, digest = hashed.split("$")
    given = password[:LONGEST_PASSWORD].encode("utf-8", "surrogatepass")
    actual = _digest(given, base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(actual, base64.b64decode(digest))
