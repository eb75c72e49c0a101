"""Whose replica it is, and the password with which that person logged in to the upstream last: its hash alone."""

import secrets
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from crmsync.state.replica.ids import new_id
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.org import hash_password, is_password, nobodys_hash

__all__ = ["NOBODY", "Identity", "forget_password", "identity", "knows", "remember", "untried"]


@dataclass(frozen=True, slots=True)
class Identity:
    """As the upstream told it at the last login; ids with 18 characters, texts may be empty."""

    organisation: str
    user: str
    username: str = ""
    organisation_name: str = ""
    name: str = ""
    email: str = ""
    profile: str = ""
    language: str = "en_US"
    locale: str = "en_US"
    time_zone: str = "UTC"

    def row(self) -> Mapping[str, Any]:
        """As a record of User, where the replica has none."""
        return {
            "Id": self.user,
            "Username": self.username,
            "Name": self.name or self.username,
            "FirstName": None,
            "LastName": self.name or self.username,
            "Alias": self.username.partition("@")[0][:8],
            "Email": self.email or self.username,
            "ProfileId": self.profile or None,
            "LanguageLocaleKey": self.language,
            "LocaleSidKey": self.locale,
            "TimeZoneSidKey": self.time_zone,
            "IsActive": True,
        }


NOBODY = Identity(new_id("00D", 0), "")  # before the first login


def identity(work: Work) -> Identity:
    login, told = work.property("login"), work.property("identity")
    if told is not None and (login is None or login == [told["organisation"], told["user"]]):
        return Identity(**told)
    return Identity(*login) if login else NOBODY


def remember(work: Work, who: Identity, password: str) -> None:
    """This password has just worked upstream. What stands here can only be tried, not read."""
    work.set_property("identity", asdict(who))
    work.set_property("password", hash_password(password, secrets.token_bytes(16)))


def forget_password(work: Work) -> None:
    work.set_property("password", "")


def knows(work: Work, password: str) -> bool:
    """Whether it is the one that worked last. Takes as long where none is known."""
    hashed = work.property("password")
    same = is_password(hashed or nobodys_hash(), password)
    return bool(hashed) and same


def untried(work: Work) -> bool:
    """Somebody fills the replica, and nobody has logged in to it yet."""
    return work.property("password") is None and work.property("login") is not None
