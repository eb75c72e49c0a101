"""The same story with calls: each stands in the log, in the CRM, and in a task list.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from tests.daemon.machine.calls_house import LOG, LOG_ACCOUNT, CallsHouse, CallsLedger
from tests.daemon.machine.few_columns import with_columns
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.test_machine import Story

COLUMNS = ("description", "priority", "disposition", "number", "due")
RULED = ("description", "priority")


class CallsStory(with_columns(Story, COLUMNS)):
    ledger_of = CallsLedger

    def build(self, quirks: set[str]) -> Premises:
        return CallsHouse(Path(self.folder.name))

    @initialize()
    def begin(self) -> None:
        self._begin(set(), False)

    @rule(column=st.sampled_from(RULED), direction=st.sampled_from(Direction), policy=st.sampled_from(Policy))
    def rule_a_column(self, column: str, direction: Direction, policy: Policy) -> None:
        self.ledger.kept_apart(column)
        self.house.rules[Kind.TASK][column] = Rule(direction, policy)
        self.ledger.ruled_anew(column)
        self.house.restart()

    @rule(who=st.sampled_from(((), (), ("alice",), (LOG_ACCOUNT,))), settle=st.sampled_from((0, 0, 60)))
    def sync(self, who: tuple[str, ...], settle: int) -> None:
        names = tuple(n for n in who if n in self.house.seen)
        self._run(lambda: self.house.engine.sync(names, settle=timedelta(seconds=settle)))

    def _person(self, server: str, name: str, mail: bool, columns: Sequence[str]) -> Columns:
        """No two calls are alike: each has a call's name to itself."""
        call = {"activity": "phone_call", "status": "completed"} if server == LOG else {}
        return {"subject": self.of_its_own(name), **call, **self._values(server, columns, "new")}

    def _value(self, column: str, kind: str) -> Value:
        found = super()._value(column, kind)
        return date(2026, 1, 1) + timedelta(days=self.serial) if column == "due" and kind == "new" else found


settings.register_profile("calls machine", parent=settings.get_profile("machine"), max_examples=4)
profile = os.environ.get("CRMSYNC_MACHINE", "machine")
TestCalls = CallsStory.TestCase
TestCalls.settings = settings.get_profile("calls machine" if profile == "machine" else profile)
