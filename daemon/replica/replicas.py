"""The operations on replicas, as the command line, the control socket and the pages ask for them: plain data, in the
shape that ``--json`` prints. Passes; what waits for a person; modes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.calls import Failure, explained
from crmsync.daemon.replica import standing, texts, upkeep
from crmsync.daemon.replica.context import Stage
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.texts import conversion_as, values_of
from crmsync.state.errors import Locked, StateError
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local import conversions, deciding, edits
from crmsync.state.replica.local.database import ForeignLogin
from crmsync.state.replica.local.deciding import Side
from crmsync.state.replica.local.rows import Work
from crmsync.state.replica.local.signing import signed
from crmsync.state.replica.values import encode_datetime

if TYPE_CHECKING:
    from crmsync.daemon.replica.crm import ReplicaCrm

__all__ = ["CONFIGURED", "Place", "Replicas"]

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Place:
    """Where the CRM's API is served from a replica; a port of None is none, 0 a free one."""

    host: str
    port: int | None = None
    tls_port: int | None = None
    proxy_port: int | None = None  # of programs that hard-code the CRM's names
    names: Sequence[str] = ()  # that the proxy answers for
    certificates: Path = Path()  # the folder of those that are made here


Progress = Callable[[str, str, int], None]  # crm, what, how many more
CONFIGURED = "configured"


def no_progress(crm: str, what: str, count: int) -> None:
    """Nobody is watching."""


@dataclass(frozen=True, slots=True)
class Replicas:
    """One for each CRM of the configuration that has a replica. Raises Failure for what was asked wrongly."""

    keepers: Mapping[str, Keeper] = field(default_factory=dict)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    services: Mapping[str, Callable[[], "ReplicaCrm"]] = field(
        default_factory=dict
    )  # to serve as the CRM's API
    places: Mapping[str, Place] = field(default_factory=dict)  # where, of those that are to be served
    forbidden: str = ""  # why a pass is not ours to begin, as a sentence

    def close(self) -> None:
        for keeper in self.keepers.values():
            keeper.close()

    # ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────

    def check(self) -> list[dict[str, Any]]:
        return [upkeep.check(keeper) for keeper in self.keepers.values()]

    def tidy(self, before: datetime) -> int:
        return sum(self._tidied(keeper, before) for keeper in self.keepers.values())

    def _tidied(self, keeper: Keeper, before: datetime) -> int:
        """One that cannot be opened keeps no other one's old lines."""
        try:
            return upkeep.prune(keeper, before)
        except (StateError, sa.exc.DBAPIError) as error:
            log.error(
                "old conflicts of the replica of crm.%s could not be removed, and are tomorrow: %s",
                keeper.name,
                explained(error) or error,
                extra={"action": "replica.untidy"},
            )
            return 0

    def forget(self, address: str) -> int:
        return sum(upkeep.erase(keeper, address) for keeper in self.keepers.values())

    # ── Looking ──────────────────────────────────────────────────────────────────────────────────────────────

    def replica_status(self, crms: Sequence[str] = ()) -> dict[str, Any]:
        return {"replicas": self.standing(crms)}

    def standing(self, crms: Sequence[str] = ()) -> list[dict[str, Any]]:
        more = {"waits_for_crm": bool(self.forbidden)}  # whose scheduler says when there is a pass
        return [standing.of(k, self.now()) | more for n, k in self.keepers.items() if not crms or n in crms]

    def replica_conflicts(self, crms: Sequence[str] = (), *, undecided: bool = False) -> list[dict[str, Any]]:
        """The conflict log, the latest last."""
        found = []
        for keeper in self.chosen(crms):
            with keeper.database.read() as work:
                log_ = work.open_conflicts() if undecided else work.where(work.shared.conflicts)
            found += [_conflict(keeper.name, row) for row in log_]
        return found

    def replica_rejected(self, crms: Sequence[str] = ()) -> list[dict[str, Any]]:
        """What the CRM has refused."""
        found = []
        for keeper in self.chosen(crms):
            with keeper.database.read() as work:
                found += [_waiting(keeper.name, w) for w in deciding.waiting(work) if w.state == "rejected"]
        return found

    # ── Passes ───────────────────────────────────────────────────────────────────────────────────────────────

    def replica_sync(self, crms: Sequence[str] = (), *, progress: Progress = no_progress) -> dict[str, Any]:
        """``{"replicas": [what was done], "errors": [{"replica", "code", "message", "retry"}]}``; one that fails keeps
        none of the others from it."""
        if self.forbidden:
            raise Failure("not_granted", self.forbidden)
        done: list[dict[str, Any]] = []
        errors: list[dict[str, Any]] = []
        for keeper in self.chosen(crms):
            found = self.sync_one(keeper, progress)
            (errors if "code" in found else done).append(found)
        return {"replicas": done, "errors": errors}

    def sync_one(self, keeper: Keeper, progress: Progress = no_progress) -> dict[str, Any]:
        def watch(stage: Stage, what: str) -> None:
            progress(keeper.name, f"{stage.value} {what}".strip(), 1)

        try:
            tally = keeper.sync(watch)
        except ConnectorError as error:
            found = _error(keeper, error.code, str(error), retry=error.retry)
            return {**found, "retry_after": error.retry_after} if error.retry_after else found
        except ForeignLogin as error:
            return _error(keeper, "foreign_login", str(error), retry=False)
        except Failure as error:
            return _error(keeper, error.code, error.message, retry=False)
        except StateError as error:
            code = "busy" if isinstance(error, Locked) else "state_failed"
            return _error(keeper, code, f"crm.{keeper.name}: {error}", retry=True)
        now = standing.of(keeper, self.now())
        open_ = {name: now[name] for name in ("waiting", "conflicts")}
        return {"name": keeper.name, **asdict(tally), **open_, "still_rejected": now["rejected"]}

    # ── Deciding. All of it is carried out by the next pass. ─────────────────────────────────────────────────

    def replica_resolve(
        self,
        item: str,
        *,
        keep: str = "",
        values: Sequence[str] = (),
        fields: Sequence[str] = (),
        crm: str = "",
        by: str = "",
    ) -> dict[str, Any]:
        """``keep``: local or server; else ``values``, as FIELD=VALUE. ``fields``: of several, only these."""
        if (keep in ("local", "server")) == bool(values):
            raise Failure(
                "usage", "a conflict ends with what is kept (local or server), or with other values"
            )

        def choose(work: Work, at: datetime) -> str:
            choice = Side(keep) if keep else values_of(work, item, values)
            deciding.choose(work, item, choice, at, fields=tuple(fields))
            return edits.current_id(work, item)

        return self._decided(item, crm, choose, by)

    def replica_fields(self, item: str, *, crm: str = "") -> dict[str, Any]:
        """What was refused, field by field, for whoever wants to send other values."""
        keeper = self.holding(item, crm)
        with keeper.database.read() as work:
            return {"item": item, "crm": keeper.name, **texts.fields_of(work, item)}

    def replica_retry(
        self, item: str, *, values: Sequence[str] = (), crm: str = "", by: str = ""
    ) -> dict[str, Any]:
        """What the CRM refused is sent again, with other ``values`` (FIELD=VALUE)."""

        def again(work: Work, at: datetime) -> str:
            entry = deciding.standing(work, item)
            if entry is None or entry["state"] != "rejected":
                raise Fault("NOT_FOUND", f"{item}: the CRM has refused nothing of it")
            if values:
                _changed(work, item, entry, values, at)
            entry = deciding.standing(work, item)
            if entry is not None and entry["state"] == "rejected":
                deciding.retry(work, item)
            return edits.current_id(work, item)

        return self._decided(item, crm, again, by)

    def replica_abandon(self, item: str, *, crm: str = "", by: str = "") -> dict[str, Any]:
        """The local change is given up; its values stand in the conflict log."""

        def abandon(work: Work, at: datetime) -> str:
            deciding.abandon(work, item, at)
            return item

        return self._decided(item, crm, abandon, by)

    def replica_mode(self, mode: str = "", *, crm: str = "") -> dict[str, Any]:
        """``{"replicas": [{"name", "mode", "acting"}]}``, after it was chosen, if one is given."""
        keepers = self.chosen([crm] if crm else [])
        if mode:
            known = [*Mode, CONFIGURED]
            if mode not in known:
                raise Failure("usage", f"there is no mode “{mode[:40]}” (there is: {', '.join(known)})")
            for keeper in keepers:
                keeper.choose_mode(None if mode == CONFIGURED else Mode(mode))
                log.info(
                    "the mode of the replica of crm.%s is %s now",
                    keeper.name,
                    keeper.mode().value,
                    extra={"action": "replica.mode"},
                )
        return {
            "replicas": [
                {"name": k.name, "mode": k.mode().value, "acting": k.acting().value} for k in keepers
            ]
        }

    # ── Which ────────────────────────────────────────────────────────────────────────────────────────────────

    def chosen(self, crms: Sequence[str] = ()) -> list[Keeper]:
        if not self.keepers:
            raise Failure(
                "config",
                "no CRM of this configuration has a replica: replica = true in its [crm.NAME] makes one",
            )
        if unknown := [name for name in crms if name not in self.keepers]:
            known = ", ".join(self.keepers)
            raise Failure("usage", f"crm “{unknown[0][:40]}” has no replica (one has: {known})")
        return [keeper for name, keeper in self.keepers.items() if not crms or name in crms]

    def _decided(
        self, item: str, crm: str, do: Callable[[Work, datetime], str], by: str = ""
    ) -> dict[str, Any]:
        """`by`: who says so, for the log."""
        keeper = self.holding(item, crm)

        def decide(work: Work, at: datetime) -> str:
            with signed(work, edits.current_id(work, item), by):
                return do(work, at)

        try:
            return {"item": keeper.here(decide), "crm": keeper.name}
        except Fault as fault:
            raise Failure("usage", fault.message) from fault

    def holding(self, item: str, crm: str) -> Keeper:
        """The replica in which something of this record waits."""
        keepers = self.chosen([crm] if crm else [])
        for keeper in keepers:
            with keeper.database.read() as work:
                if deciding.standing(work, item) is not None:
                    return keeper
        raise Failure("usage", f"{item[:40]}: nothing of a record of that id waits to be sent")


def _changed(work: Work, item: str, entry: Mapping[str, Any], values: Sequence[str], at: datetime) -> None:
    """What was refused, with other values; of a conversion also with other options."""
    if "root" in entry:
        raise Fault("INVALID_FIELD", f"{item}: a delete has no values; retry it as it is, or abandon it")
    rest: Sequence[str] = values
    if conversion := deciding.conversion_of(work, edits.current_id(work, item)):
        before = conversions.request(conversion)
        asked, rest = conversion_as(before, values)
        if asked != before:
            conversions.convert(work, asked, at)
    if rest:
        edits.update(work, item, values_of(work, item, rest), at)


def _error(keeper: Keeper, code: str, message: str, *, retry: bool) -> dict[str, Any]:
    return {"replica": keeper.name, "code": code, "message": message, "retry": retry}


def _conflict(crm: str, row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "item": row["Id"],
        "crm": crm,
        "object": row["object"],
        "fields": row["fields"],
        "base": row["base"],
        "local": row["local"],
        "server": row["server"],
        "winner": row["winner"],
        "resolved": row["resolved"],
        "at": encode_datetime(row["at"], "Z"),
    }


def _waiting(crm: str, waits: deciding.Waiting) -> dict[str, Any]:
    return {
        "item": waits.id,
        "crm": crm,
        "object": waits.object,
        "action": waits.action.value,
        "fields": list(waits.fields),
        "code": waits.code,
        "error": waits.reason,
    }
