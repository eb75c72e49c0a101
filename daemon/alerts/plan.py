"""What is told, and when: from how the accounts stand and what was told before. No I/O."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

CALM = timedelta(hours=24)  # parked items that have not become more for so long do not grow any more
SETTLED = timedelta(minutes=10)  # a service that has just started has had no time for a sync
MOST = 100  # letters that wait to be sent; the oldest is given up first
PATIENCE = timedelta(days=3)  # so long one is tried
REFUSED = "login_refused"  # the code of a login that a person has to put right


@dataclass(frozen=True, slots=True)
class Limits:
    silence: timedelta = timedelta(hours=1)
    expiry: timedelta = timedelta(days=14)
    growth: int = 1


@dataclass(frozen=True, slots=True)
class Level:
    """Parked items of an account."""

    base: int = 0  # where the growth is counted from
    peak: int = 0
    at: str = ""  # when the peak was reached; empty: nothing grows


@dataclass(frozen=True, slots=True)
class Letter:
    id: str
    at: str
    began: tuple[str, ...]  # sentences
    ended: tuple[str, ...]
    to: tuple[str, ...]  # the ways that it has not gone yet


@dataclass(frozen=True, slots=True)
class Memory:
    open: Mapping[str, str] = field(default_factory=dict)  # what -> the sentence that began it
    levels: Mapping[str, Level] = field(default_factory=dict)  # by account
    letters: tuple[Letter, ...] = ()

    def document(self) -> dict[str, Any]:
        """As JSON."""
        levels = {name: [level.base, level.peak, level.at] for name, level in self.levels.items()}
        letters = [
            {"id": o.id, "at": o.at, "began": list(o.began), "ended": list(o.ended), "to": list(o.to)}
            for o in self.letters
        ]
        return {"open": dict(self.open), "levels": levels, "letters": letters}

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Memory":
        levels = {name: Level(*values) for name, values in document.get("levels", {}).items()}
        letters = tuple(
            Letter(o["id"], o["at"], tuple(o["began"]), tuple(o["ended"]), tuple(o["to"]))
            for o in document.get("letters", ())
        )
        return cls(document.get("open", {}), levels, letters)


def look(
    memory: Memory,
    accounts: Sequence[Mapping[str, Any]],
    limits: Limits,
    now: datetime,
    *,
    since: datetime,
    ways: Sequence[str],
    id: str,
    exchanges: Sequence[Mapping[str, str]] = (),
    replicas: Sequence[Mapping[str, Any]] = (),
) -> Memory:
    """``accounts``, ``replicas``: as ``status`` has them; ``exchanges``: what CRMs asked for, and did not come through;
    ``since``: when the service started; ``ways``: to tell people; ``id``: of the letter, should there be something to
    tell."""
    levels = {
        a["name"]: _level(memory.levels.get(a["name"], Level()), a["parked"], limits, now) for a in accounts
    }
    found = {
        **dict(_found(accounts, levels, limits, now, since)),
        **_of_exchanges(exchanges),
        **{
            what: sentence
            for one in replicas
            for what, sentence in _of_replica(one, limits, now, since)
            if what in memory.open or one["light"] != "syncing"  # the first pass may take hours
        },
    }
    began = [found[what] for what in found if what not in memory.open]
    ended = [sentence for what, sentence in memory.open.items() if what not in found]
    letters = memory.letters
    if began or ended:
        letters = (*letters, Letter(id, now.isoformat(), tuple(began), tuple(ended), tuple(ways)))
    # the sentence that began it is the one that is said to have ended
    told = {what: memory.open.get(what, sentence) for what, sentence in found.items()}
    return Memory(told, {n: v for n, v in levels.items() if v != Level()}, _kept(letters, ways, now))


def sent(memory: Memory, id: str, way: str) -> Memory:
    letters = (replace(o, to=tuple(w for w in o.to if w != way)) if o.id == id else o for o in memory.letters)
    return replace(memory, letters=tuple(o for o in letters if o.to))


def _kept(letters: Iterable[Letter], ways: Sequence[str], now: datetime) -> tuple[Letter, ...]:
    """Without what cannot be sent (any more)."""
    fresh = [
        replace(o, to=tuple(w for w in o.to if w in ways))
        for o in letters
        if now - datetime.fromisoformat(o.at) < PATIENCE
    ]
    return tuple(o for o in fresh if o.to)[-MOST:]


def _level(level: Level, parked: int, limits: Limits, now: datetime) -> Level:
    if not level.at:
        if parked >= level.base + limits.growth:
            return Level(level.base, parked, now.isoformat())
        return Level(min(level.base, parked), 0, "")
    if parked > level.peak:
        return Level(level.base, parked, now.isoformat())
    if parked <= level.base or now - datetime.fromisoformat(level.at) >= CALM:
        return Level(parked, 0, "")
    return level


def _found(
    accounts: Sequence[Mapping[str, Any]],
    levels: Mapping[str, Level],
    limits: Limits,
    now: datetime,
    since: datetime,
) -> Iterator[tuple[str, str]]:
    """What needs a person now, and in which words."""
    for account in accounts:
        name = account["name"]
        yield from _of_logins(account, limits, now)
        refused = [str(e["message"]) for e in account.get("errors", ()) if e.get("code") == REFUSED]
        if refused:
            yield f"refused/{name}", f"{name}: a login is refused: {refused[0]}"
        last = account["last_success"]
        if _silent(last, limits.silence, now, since):
            yield f"silence/{name}", f"{name}: no sync has come through since {last or 'the service started'}"
        if held := account.get("deletions", 0):
            yield f"deletions/{name}", f"{name}: {held} deletions wait for a decision"
        if levels[name].at:
            yield f"parked/{name}", f"{name}: {account['parked']} items are parked, and become more"


def _silent(last: str | None, patience: timedelta, now: datetime, since: datetime) -> bool:
    quiet = now - (since if last is None else datetime.fromisoformat(last))
    return quiet >= patience and now - since >= min(patience, SETTLED)


def _of_replica(
    one: Mapping[str, Any], limits: Limits, now: datetime, since: datetime
) -> Iterator[tuple[str, str]]:
    """That somebody wants it to work offline is no news, nor that its passes wait for the CRM's word."""
    if one["mode"] == "offline" or one["waits_for_crm"]:
        return
    name, last, error = f"crm.{one['name']}", one["last_success"], one["error"] or {}
    if error.get("code") == REFUSED:
        yield f"refused/{name}", f"the replica of {name}: its login is refused: {error['message']}"
    if _silent(last, max(limits.silence, timedelta(seconds=3 * one["interval"])), now, since):
        why = f": {error['message']}" if error else ""
        yield (
            f"silence/{name}",
            f"the replica of {name}: no pass has come through since {last or 'the service started'}{why}",
        )


def _of_exchanges(exchanges: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Where a CRM says when is exchanged, cycles that only look come through, whatever becomes of what it asks for; and
    that it asks for nothing is its own affair."""
    return {
        f"exchange/{one['credential']}": f"the last exchange that {one['credential']} asked for "
        f"{_BECAME[one['state']]}: {one['message']}"
        for one in exchanges
    }


_BECAME = {"failed": "has failed", "expired": "was not begun in time"}


def _of_logins(account: Mapping[str, Any], limits: Limits, now: datetime) -> Iterator[tuple[str, str]]:
    """A login that several accounts share is told of once: it has one name."""
    for login in account.get("logins", ()):
        if login.get("expires"):
            left = date.fromisoformat(login["expires"]) - now.date()
            if left <= limits.expiry:
                when = "has expired" if left <= timedelta(0) else "expires"
                yield f"expires/{login['name']}", f"the login of {login['name']} {when} on {login['expires']}"
