"""The same story where the CRM may have the say: then nothing is written before it asks for it, and what it did not ask
for is there when it does.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from crmsync.connectors.contract import Kind, Side
from crmsync.daemon.plan.grant import ALL, NOTHING, Grant
from tests.daemon.machine.house import House
from tests.daemon.machine.landscape import QUIRKS
from tests.daemon.machine.premises import PEOPLE, Premises
from tests.daemon.machine.test_machine import COLUMNS, Story, few_columns, pick, servers
from tests.daemon.machine.trouble import Point

TO_CRM, TO_ECS = (Grant(to=frozenset({side})) for side in (Side.CRM, Side.ECS))
KINDS = st.sampled_from((frozenset(Kind), frozenset({Kind.CONTACT}), frozenset({Kind.TASK})))
SOME = st.frozensets(st.sampled_from(("first_name", "last_name", "email", *COLUMNS)), min_size=1)
AGO = st.sampled_from((None, None, None, 1, 60, 4000))  # seconds
sides = st.sampled_from((frozenset(Side), frozenset({Side.CRM}), frozenset({Side.ECS}), frozenset()))
people = st.sampled_from((PEOPLE, PEOPLE, ("alice",), ("bob",)))


class AskedHouse(House):
    """At rest, the CRM asks for everything; in two halves, if it likes that better."""

    halves: Sequence[Grant] = (ALL,)

    def settle(self) -> Mapping[str, Any]:
        looked = super().settle()
        reports = [looked, *(self.engine.sync(grant=grant) for grant in self.halves)]
        return {
            "writes": sum(r["writes"] for r in reports),
            "errors": [error for r in reports for error in r["errors"]],
        }


class GrantedStory(Story):
    house: AskedHouse
    grant: Grant | None = None  # of the run that goes on; None: what the service does by itself

    def build(self, quirks: set[str]) -> Premises:
        return AskedHouse(Path(self.folder.name), quirks, shared=True)

    @initialize(
        quirks=st.sets(st.sampled_from(sorted(QUIRKS)), max_size=4),
        mail=st.booleans(),
        crm_says=st.booleans(),
        halves=st.sampled_from(((ALL,), (TO_CRM, TO_ECS), (TO_ECS, TO_CRM))),
    )
    def begin(self, quirks: set[str], mail: bool, crm_says: bool, halves: Sequence[Grant]) -> None:
        self._begin(quirks, mail)
        self.house.halves = halves
        self.say_who_says(crm_says)

    @rule(crm_says=st.sampled_from((True, True, False)))
    def say_who_says(self, crm_says: bool) -> None:
        """`[schedule] authority`."""
        self.house.by_itself = NOTHING if crm_says else ALL
        self.may_undo = not crm_says  # the CRM cannot ask for one
        self.house.restart()

    @rule(who=people, to=sides, kinds=KINDS, columns=st.none() | SOME, ago=AGO)
    def exchange(
        self,
        who: Sequence[str],
        to: frozenset[Side],
        kinds: frozenset[Kind],
        columns: frozenset[str] | None,
        ago: int | None,
    ) -> None:
        self._exchange(self._grant(to, kinds, columns, ago), who)

    @rule(
        to=sides,
        what=st.sampled_from(("create", "update", "delete", "commit")),
        after=st.booleans(),
        skip=pick,
    )
    def die_in_an_exchange(self, to: frozenset[Side], what: str, after: bool, skip: int) -> None:
        self.house.fate.kill(at=lambda p: p.what == what and p.after is after, skip=skip)
        self._exchange(Grant(to=to))

    @rule(to=sides, server=servers, number=pick, columns=few_columns, skip=st.integers(0, 20))
    @precondition(lambda self: not self.careless)
    def edit_in_an_exchange(
        self, to: frozenset[Side], server: str, number: int, columns: Sequence[str], skip: int
    ) -> None:
        def act(_: Point) -> None:
            if item := self._some(server, number):
                self._edit(server, item, columns, "new")

        self.house.fate.plan(act, at=lambda p: p.where != "state", skip=skip)
        self._exchange(Grant(to=to))

    def _exchange(self, grant: Grant, who: Sequence[str] = ()) -> None:
        self.grant = grant
        try:
            self._run(lambda: self.house.engine.sync(who, grant=grant))
        finally:
            self.grant = None

    def _grant(
        self, to: frozenset[Side], kinds: frozenset[Kind], columns: frozenset[str] | None, ago: int | None
    ) -> Grant:
        """The name is among the columns: the book-keeping knows people by it, also those that are made."""
        return Grant(
            to=to,
            kinds=kinds,
            columns={} if columns is None else {Kind.CONTACT: columns | {self.house.named}},
            since=None if ago is None else self.house.clock() - timedelta(seconds=ago),
        )

    def _run(self, what: Callable[[], object]) -> None:
        passed = len(self.house.fate.passed)
        noted = len(self.chronicle.writes)
        super()._run(what)
        grant = self.grant or self.house.by_itself
        with self._watched():
            touched = [p for p in self.house.fate.passed[passed:] if p.writes and p.where != "state"]
            silent = not grant.to or Kind.CONTACT not in grant.kinds
            assert not (silent and touched), touched
            unasked = [w.key for w in self.chronicle.writes[noted:] if not _asked_for(grant, *w.key)]
            assert not unasked, (grant, unasked)


def _asked_for(grant: Grant, server: str, action: str, item: str, column: str) -> bool:
    side = Side.CRM if server == "crm" else Side.ECS
    named = grant.columns.get(Kind.CONTACT)
    return side in grant.to and (not column or named is None or column in named)


settings.register_profile("granted machine", parent=settings.get_profile("machine"), max_examples=4)
profile = os.environ.get("CRMSYNC_MACHINE", "machine")
TestGranted = GrantedStory.TestCase
TestGranted.settings = settings.get_profile("granted machine" if profile == "machine" else profile)
