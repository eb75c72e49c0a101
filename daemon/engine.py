"""The service without its shell: every operation that the command line, the control socket and the scheduler offer.

Each method returns plain data in the shape that ``--json`` prints. Safe to use from several threads; what touches an
account holds that account's lock, so that two never sync it at the same time.
"""

import random
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from crmsync.daemon.account import Account, Crm
from crmsync.daemon.alerts.bells import Bells, tried
from crmsync.daemon.calls import Failure
from crmsync.daemon.cycle import doubt
from crmsync.daemon.cycle.commons import Commons
from crmsync.daemon.cycle.context import BATCH, Context, RecordCache, Retries, one_helper
from crmsync.daemon.cycle.run import DISCOVERED, Report, Wish, noticed, sync
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.operations import (
    amend,
    asked,
    decide,
    explain,
    forget,
    links,
    overview,
    permission,
    probe,
    reconcile,
    repair,
    taking_back,
    undo,
)
from crmsync.daemon.operations.finding import Only, meant
from crmsync.daemon.operations.noting import Who
from crmsync.daemon.operations.parts import folded, persons, with_parts
from crmsync.daemon.plan.grant import ALL, Grant
from crmsync.daemon.replica.replicas import Replicas
from crmsync.daemon.telephony.keeping import Keeping
from crmsync.state.database import State
from crmsync.state.errors import Locked, StateError
from crmsync.state.model import What
from crmsync.state.pulse import KEPT
from crmsync.state.witness import Witness

Progress = Callable[[str, str, int], None]  # account, what, how many more


class NoSuchAccount(Exception):
    """The sentence for the operator."""


def no_progress(account: str, what: str, count: int) -> None:
    """Nobody is watching."""


@dataclass(slots=True)
class Engine:
    state: State
    signer: Signer
    accounts: Mapping[str, Account]
    replicas: Replicas = field(default_factory=Replicas)
    calls: Keeping | None = None
    witness: Witness | None = None  # of how far the state has come
    retries: Retries = field(default_factory=Retries)
    batch: int = BATCH
    helper: Callable[[], Executor] = one_helper
    history: timedelta = timedelta(days=90)
    stale_after: timedelta = timedelta(minutes=10)  # without a success an account's light turns to stale
    by_itself: Grant = ALL  # what is exchanged without anybody's word
    bells: Bells = field(default_factory=Bells)  # how people are told what needs them
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    jitter: Callable[[], float] = random.random
    _busy: set[str] = field(default_factory=set)
    _successes: dict[str, datetime] = field(default_factory=dict)
    _noted: dict[str, datetime] = field(default_factory=dict)
    _commons: Commons = field(default_factory=Commons)
    _guard: threading.Lock = field(default_factory=threading.Lock)

    # ── Syncing ──────────────────────────────────────────────────────────────────────────────────────────────

    def sync(
        self,
        names: Sequence[str] = (),
        *,
        dry_run: bool = False,
        full: bool = False,
        settle: timedelta = timedelta(0),
        keep_idle: bool = True,
        poll_every: timedelta = timedelta(0),
        grant: Grant | None = None,
        progress: Progress = no_progress,
    ) -> dict[str, Any]:
        """Sync these accounts, or all, one after the other, until nothing changes. ``grant``: what may be exchanged;
        None: what the service may exchange by itself."""
        total, defects = Report(), list[Exception]()
        # whoever asks by hand may just have made a collection, and will not come again in a minute
        by_hand = not poll_every
        discovered = timedelta(0) if by_hand else DISCOVERED
        wish = Wish(settle, full, keep_idle, poll_every, discovered=discovered, patient=not by_hand)
        for account in self.chosen(names):
            try:
                report = self.sync_one(account, wish, dry_run=dry_run, grant=grant, progress=progress)
            except Exception as error:  # noqa: BLE001 - the other accounts go on; it is raised when they are through
                defects.append(error)
                continue
            total.cycles += report.cycles
            total.writes += report.writes
            total.errors += report.errors
            total.plan += report.plan
            total.notices += report.notices
        if defects:
            raise defects[0]
        answer: dict[str, Any] = {"cycles": total.cycles, "writes": total.writes, "errors": total.errors}
        answer["notices"] = total.notices
        if grant is None and by_hand and not dry_run and self.by_itself.nothing:
            standing = self.status(names)["accounts"]
            answer["notices"] += permission.notices(standing)
        answer = {**answer, "plan": total.plan} if dry_run else answer
        return {n: rows if n == "writes" else persons(rows, self.accounts) for n, rows in answer.items()}

    def sync_one(
        self,
        account: Account,
        wish: Wish,
        *,
        dry_run: bool = False,
        grant: Grant | None = None,
        progress: Progress = no_progress,
    ) -> Report:
        grant = grant or (ALL if dry_run else self.by_itself)  # what would be done if the CRM had its way
        try:
            with self.state.lock(account.name), self._at_work(account.name):
                if dry_run:
                    # in the order of a cycle, which writes while it polls: the other way round both would wait for ever
                    with account.crm.lock, self.state.rehearsal() as rehearsed:
                        return self._synced(account, rehearsed, progress, wish, grant, dry=True)
                report = self._synced(account, self.state, progress, wish, grant)
        except Locked as error:
            return Report(errors=[_error(account.name, "busy", str(error), retry=True)])
        except StateError as error:
            return Report(errors=[_error(account.name, "state_failed", str(error), retry=True)])
        if not report.errors:
            self._successes[account.name] = self.now()
        return report

    def _synced(
        self,
        account: Account,
        state: State,
        progress: Progress,
        wish: Wish,
        grant: Grant,
        *,
        dry: bool = False,
    ) -> Report:
        repair.demand_key(state, self.signer)
        found = self._compared(account, state)
        make = self._maker(account, state, progress, grant, dry=dry)
        report = sync(make, self._bound(account), wish)
        if found is not None:
            report.notices.insert(0, noticed(account.name, found.sentence))
            if not dry:
                self._testify(account)
        return report

    def _compared(self, account: Account, state: State) -> doubt.Doubt | None:
        """Before anything is recorded: a cycle that begins would hide from the witness that some were lost."""
        return (
            doubt.compare(state, self.witness, account.name, self.now()) if self.witness is not None else None
        )

    def _testify(self, account: Account) -> None:
        """As soon as a cycle is on record, before it writes anywhere: it may be the last that reaches the disk."""
        if self.witness is not None:
            doubt.testify(self.state, self.witness, account.name)

    def reconcile(self, names: Sequence[str] = (), *, progress: Progress = no_progress) -> dict[str, Any]:
        """Compare completely what is there with what is linked, then sync. Same answer as ``sync``."""
        errors: list[dict[str, Any]] = []
        for account in self.chosen(names):
            cx = self.context(account, progress=progress)
            repair.demand_key(self.state, self.signer)
            with self.state.lock(account.name):
                reconcile.reconcile(cx)
            errors += cx.errors
        answer = self.sync(names, progress=progress)
        return {**answer, "errors": errors + [e for e in answer["errors"] if e not in errors]}

    # ── Looking ──────────────────────────────────────────────────────────────────────────────────────────────

    def status(self, names: Sequence[str] = ()) -> dict[str, Any]:
        with self._guard:
            busy = frozenset(self._busy)
        wanted = self.chosen(with_parts(self.accounts, names))
        answer = overview.status(self.state, wanted, self.now(), busy, self.stale_after, self._successes)
        answer["accounts"] = folded(answer["accounts"], self.accounts)
        if not repair.key_fits(self.state, self.signer):
            for account in answer["accounts"]:
                account["light"] = "failing"
                account["notices"].insert(0, f"{repair.OTHER_KEY} ({repair.RESTORE_KEY})")
        answer["replicas"] = self.replicas.standing([a.crm.name for a in wanted] if names else ())
        if self.by_itself.nothing:
            for account in answer["accounts"]:
                account["waits_for_crm"] = account["pending"]
                if account["pending"]:
                    account["notices"].append(permission.waits(account["pending"]))
        return answer

    def pulse(self, names: Sequence[str] = (), *, days: int = 1) -> list[dict[str, Any]]:
        """What moved in each hour of the last days, of these accounts (none given: all) together."""
        wanted = self.chosen(with_parts(self.accounts, names))
        chosen = [a.name for a in wanted] if names else None
        return overview.pulse(self.state, chosen, self.now() - timedelta(days=min(max(days, 1), KEPT.days)))

    def visits(self, *, limit: int = 500) -> list[dict[str, Any]]:
        """The audit log of the pages, the newest first."""
        return overview.visits(self.state, min(max(limit, 0), 10_000))

    def queue(
        self, names: Sequence[str] = (), *, troubled: bool = False, limit: int = 100_000
    ) -> list[dict[str, Any]]:
        wanted = self.chosen(with_parts(self.accounts, names))
        return persons(overview.queue(self.state, wanted, troubled=troubled, limit=limit), self.accounts)

    def conflicts(
        self, names: Sequence[str] = (), *, undecided: bool = False, limit: int | None = None
    ) -> list[dict[str, Any]]:
        """``limit``: of those that are undecided."""
        only, limit = self._only(names), _bounded(limit)
        return persons(overview.conflicts(self.state, only, undecided=undecided, limit=limit), self.accounts)

    def deletions(self, names: Sequence[str] = (), *, limit: int | None = None) -> list[dict[str, Any]]:
        only, limit = self._only(names), _bounded(limit)
        return persons(overview.held(self.state, What.DELETE, only, limit), self.accounts)

    def matches(
        self, names: Sequence[str] = (), *, item: str = "", limit: int | None = None
    ) -> list[dict[str, Any]]:
        """``item``: only what may be about this one."""
        only, limit = self._only(names), _bounded(limit)
        return persons(overview.held(self.state, What.MATCH, only, limit, item), self.accounts)

    def rejected(self, names: Sequence[str] = (), *, limit: int | None = None) -> list[dict[str, Any]]:
        only, limit = self._only(names), _bounded(limit)
        return persons(overview.rejected(self.state, only, limit), self.accounts)

    def undecided(self, names: Sequence[str] = ()) -> dict[str, Any]:
        """How many of each list wait, or are decided; ``mark``: another one when other deletions are held."""
        return overview.undecided(self.state, self._only(names))

    def explain(self, item: str, names: Sequence[str] = ()) -> dict[str, Any]:
        contexts = self._contexts(names)
        found = meant(self.state, contexts, item)
        known = explain.explain(self.state, contexts, found, self._only(names))
        (known,) = persons([known], self.accounts)
        return {**known, "decisions": persons(known["decisions"], self.accounts)}

    def item_history(self, item: str, names: Sequence[str] = ()) -> list[dict[str, Any]]:
        return persons(
            explain.history(self.state, self._meant(item, names), self._only(names)), self.accounts
        )

    def check(self, *, repair: bool = False) -> dict[str, Any]:
        """Reach every server, log in, list collections and capabilities: ``{"checks": [{"name", "ok", "message",
        "hint"}]}``."""
        return self._checked(write=False, repair=repair)

    def check_write(self, *, repair: bool = False) -> dict[str, Any]:
        """The same, and make an item everywhere, which is taken away again."""
        return self._checked(write=True, repair=repair)

    # ── Deciding ─────────────────────────────────────────────────────────────────────────────────────────────

    # ``names``: only these accounts are looked at and touched; none given: all of them. ``by``: who says so, for the
    # history; empty: not noted.

    def retry(self, items: Sequence[str] = (), names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return decide.retry(self.state, [self._meant(i, names) for i in items], self._who(names, by))

    def resolve(
        self,
        item: str,
        column: str,
        *,
        keep: str = "",
        value: str | None = None,
        names: Sequence[str] = (),
        by: str = "",
    ) -> dict[str, Any]:
        """``keep``: ecs or crm; else ``value``, as text. The next sync carries it out."""
        item = self._meant(item, names)
        return decide.resolve(self.state, item, column, keep=keep, value=value, who=self._who(names, by))

    def decide_deletions(
        self, *, approve: bool, items: Sequence[str] = (), names: Sequence[str] = (), by: str = ""
    ) -> dict[str, Any]:
        found = [self._meant(i, names) for i in items]
        return decide.deletions(self.state, approve=approve, items=found, who=self._who(names, by))

    def look_again(self, item: str, names: Sequence[str] = ()) -> dict[str, Any]:
        """``{"accounts": [those whose next sync will look at it]}``"""
        return decide.look_again(self.state, self._meant(item, names), self._who(names, ""))

    def match_link(
        self, item: str, record: str, names: Sequence[str] = (), *, by: str = ""
    ) -> dict[str, Any]:
        contexts = self._contexts(names)
        one, other = [meant(self.state, contexts, i) for i in (item, record)]
        return links.link(self.state, contexts, one, other, self._who(names, by))

    def match_create(self, item: str, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return decide.match(self.state, self._meant(item, names), create=True, who=self._who(names, by))

    def match_ignore(self, item: str, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return decide.match(self.state, self._meant(item, names), create=False, who=self._who(names, by))

    def reject_retry(self, item: str, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return self.retry([item], names, by=by)

    def reject_abandon(self, item: str, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return decide.abandon(self.state, self._meant(item, names), self._who(names, by))

    def decided(self, names: Sequence[str] = (), *, limit: int | None = None) -> list[dict[str, Any]]:
        only, limit = self._only(names), _bounded(limit)
        return persons(taking_back.decided(self.state, only, limit), self.accounts)

    def take_back(self, item: str, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        return taking_back.take_back(self.state, item, self._who(names, by))

    def reject_columns(self, item: str, names: Sequence[str] = ()) -> dict[str, Any]:
        """What of a refused item may be edited: ``{"item", "version", "columns": [{"column", "value"}]}``."""
        contexts = self._contexts(names)
        return amend.shown(self.state, contexts, meant(self.state, contexts, item), self._who(names, ""))

    def reject_edit(
        self,
        item: str,
        version: str,
        columns: Sequence[str],
        values: Sequence[str],
        names: Sequence[str] = (),
        *,
        by: str = "",
    ) -> dict[str, Any]:
        contexts, changes = self._contexts(names), dict(zip(columns, values, strict=False))
        item = meant(self.state, contexts, item)
        return amend.amend(self.state, contexts, item, version, changes, self._who(names, by))

    def link(self, item: str, record: str, *, by: str = "") -> dict[str, Any]:
        return self.match_link(item, record, by=by)

    def unlink(self, item: str, *, by: str = "") -> dict[str, Any]:
        contexts = self._contexts()
        return links.unlink(self.state, contexts, meant(self.state, contexts, item), self._who((), by))

    def undo(self, cycle: int, names: Sequence[str] = (), *, by: str = "") -> dict[str, Any]:
        """Put a cycle's writes back: ``{"cycle", "undone", "kept", "errors"}``. Raises Failure where it is not for us
        to say when is written."""
        if self.by_itself.nothing:
            raise Failure(permission.CODE, permission.UNDO)
        repair.demand_key(self.state, self.signer)
        return undo.undo(self.state, self._contexts(names), cycle, by)

    def forget(self, address: str, *, everywhere: bool = False) -> dict[str, Any]:
        repair.demand_key(self.state, self.signer)
        answer = forget.forget(
            self.state, self._contexts(), self.signer, address, everywhere=everywhere, calls=self.calls
        )
        self.replicas.forget(address.strip())
        return answer

    # ── What a CRM has asked for ─────────────────────────────────────────────────────────────────────────────

    def exchange_jobs(self, limit: int = 50) -> list[dict[str, Any]]:
        return asked.jobs(self.state, limit)

    def failing_exchanges(self) -> list[dict[str, str]]:
        return asked.failing(self.state)

    def exchange_audit(self, limit: int = 50) -> list[dict[str, Any]]:
        return asked.audit(self.state, limit)

    def tidy(self) -> int:
        """Forget history that is older than configured; how many lines that were."""
        before = self.now() - self.history
        with self.state.transaction() as tx:
            tx.pulse.prune(self.now() - KEPT)
            tx.visits.prune(before)
            gone = tx.history.prune(before)
        if self.calls is not None:
            self.calls.tidy(self.state, self.signer)
        return gone + self.replicas.tidy(before)

    # ── Parts ────────────────────────────────────────────────────────────────────────────────────────────────

    def chosen(self, names: Sequence[str]) -> list[Account]:
        unknown = [n for n in names if n not in self.accounts]
        if unknown:
            known = ", ".join(sorted(n for n, a in self.accounts.items() if not a.part_of)) or "none"
            raise NoSuchAccount(f"there is no account “{unknown[0]}” (there is: {known})")
        return [a for n, a in self.accounts.items() if not names or n in names]

    def context(self, account: Account, *, progress: Progress = no_progress) -> Context:
        cx = self._maker(account, self.state, progress, ALL)()
        cx.begins = lambda: self._compared(account, self.state)
        return cx

    def note_successes(self) -> None:
        """Idle cycles leave no row behind, so when they last went well is noted apart, from time to time. Raises
        StateError."""
        news = {n: at for n, at in dict(self._successes).items() if self._noted.get(n) != at}
        if news:
            with self.state.transaction() as tx:
                for name, at in news.items():
                    tx.meta.put(f"success/{name}", at.isoformat())
            self._noted |= news

    def close(self) -> None:
        crms: dict[str, Crm] = {a.crm.name: a.crm for a in self.accounts.values()}
        for crm in crms.values():
            crm.source.close()
        for account in self.accounts.values():
            for mailbox in account.mailboxes:
                mailbox.source.close()
        self.replicas.close()
        self.state.close()

    def _checked(self, *, write: bool, repair: bool) -> dict[str, Any]:
        answer = probe.check(self.state, self.signer, self._contexts(), write=write, repair=repair)
        alerts = tried(self.bells, self.now(), write=write)
        checks = [*answer["checks"], *self.replicas.check(), *alerts]
        return {**answer, "ok": all(c["ok"] for c in checks), "checks": checks}

    def _meant(self, item: str, names: Sequence[str] = ()) -> str:
        return meant(self.state, self._contexts(names), item)

    def _contexts(self, names: Sequence[str] = ()) -> list[Context]:
        return [self.context(a) for a in self.chosen(with_parts(self.accounts, names))]

    def _who(self, names: Sequence[str], by: str) -> Who:
        return Who(self.now(), self._only(names), by)

    def _only(self, names: Sequence[str]) -> Only:
        wanted = self.chosen(with_parts(self.accounts, names))
        return frozenset(a.name for a in wanted) if names else None

    def _maker(
        self, account: Account, state: State, progress: Progress, grant: Grant, *, dry: bool = False
    ) -> Callable[[], Context]:
        records, bound = RecordCache(), self._bound(account)
        return lambda: Context(
            account=account,
            state=state,
            signer=self.signer,
            now=self.now,
            jitter=self.jitter,
            records=records,
            retries=self.retries,
            batch=self.batch,
            helper=self.helper,
            bound=bound,
            commons=self._commons,
            dry=dry,
            grant=grant,
            progress=lambda what, count: progress(account.name, what, count),
            begun=(lambda: None) if dry else lambda: self._testify(account),
        )

    def _bound(self, account: Account) -> list[Account]:
        """All accounts of the same CRM login, the one in work first."""
        others = [a for a in self.accounts.values() if a.crm is account.crm and a is not account]
        return [account, *others]

    @contextmanager
    def _at_work(self, name: str) -> Iterator[None]:
        with self._guard:
            self._busy.add(name)
        try:
            yield
        finally:
            with self._guard:
                self._busy.discard(name)


def _error(account: str, code: str, message: str, *, retry: bool) -> dict[str, Any]:
    return {"account": account, "item": "", "code": code, "message": message, "retry": retry}


def _bounded(limit: int | None) -> int | None:
    return limit if limit is None else max(limit, 0)
