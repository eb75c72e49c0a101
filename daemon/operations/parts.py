"""Accounts that belong to another one, seen as that one. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from crmsync.daemon.account import Account

# The worst first: the light of all together is the first that one of them shows.
_LIGHTS = ("failing", "decision", "offline", "stale", "syncing", "waiting", "in_step")


def with_parts(accounts: Mapping[str, Account], names: Sequence[str]) -> list[str]:
    """``names`` and whatever belongs to one of them, which comes first."""
    return (
        [*(n for n, a in accounts.items() if a.part_of in names and n not in names), *names] if names else []
    )


def persons(rows: Sequence[Mapping[str, Any]], accounts: Mapping[str, Account]) -> list[dict[str, Any]]:
    """The rows with the account that a person has, and asks by, rather than the part of it."""
    owners = {name: account.part_of for name, account in accounts.items() if account.part_of}
    return [
        {**row, "account": owners[row["account"]]} if row.get("account") in owners else dict(row)
        for row in rows
    ]


def folded(rows: Sequence[Mapping[str, Any]], accounts: Mapping[str, Account]) -> list[dict[str, Any]]:
    """As ``status`` has them, one row for each person."""
    whole = {row["name"]: dict(row) for row in rows if not accounts[row["name"]].part_of}
    for row in rows:
        person = whole.get(accounts[row["name"]].part_of)
        if person is None:
            continue
        for count in ("pending", "parked", "held", "conflicts", "deletions"):
            person[count] = person.get(count, 0) + row.get(count, 0)
        person["light"] = min(person["light"], row["light"], key=_LIGHTS.index)
        for more in ("errors", "notices"):
            if more in person or more in row:
                person[more] = [*person.get(more, ()), *row.get(more, ())]
    return list(whole.values())
