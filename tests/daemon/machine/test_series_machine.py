"""The same story with whole series: their rules and exceptions are edited on both sides.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule, run_state_machine_as_test

from crmsync.connectors.contract import Columns, Kind, Value
from crmsync.daemon.plan.terms import Direction, Policy, Rule
from tests.daemon.machine.http_house import HABITS
from tests.daemon.machine.premises import PEOPLE, Premises
from tests.daemon.machine.series_house import Calendars, SeriesHouse, calendars
from tests.daemon.machine.test_http_machine import HttpStory
from tests.daemon.machine.test_machine import NAMES, boxes, pick, servers, values

COLUMNS = ("description", "recurrence", "exceptions")
few_columns = st.lists(st.sampled_from(COLUMNS), min_size=1, max_size=3, unique=True)
BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)  # a Tuesday
WEEKS = 10  # a series has at least so many; in the first half dates may differ, in the second they may be off


class SeriesStory(HttpStory):
    hosts: Calendars  # type: ignore[assignment]

    def build(self, quirks: set[str]) -> Premises:
        return SeriesHouse(self.hosts, Path(self.folder.name), quirks)

    @initialize(quirks=st.sets(st.sampled_from(sorted(HABITS)), max_size=3))
    def begin(self, quirks: set[str]) -> None:
        self.names: set[str] = set()
        self._begin(quirks, False)

    @rule(box=boxes, name=st.sampled_from(NAMES), tagged=st.booleans(), columns=few_columns)
    def make_a_card(
        self, box: str, name: str, tagged: bool, mail: bool = False, columns: Sequence[str] = ()
    ) -> None:
        super().make_a_card(box, name, tagged, mail, columns)

    @rule(owner=st.sampled_from((*PEOPLE, "")), name=st.sampled_from(NAMES), columns=few_columns)
    def make_a_record(self, owner: str, name: str, mail: bool = False, columns: Sequence[str] = ()) -> None:
        super().make_a_record(owner, name, mail, columns)

    @rule(server=servers, number=pick, columns=few_columns, kind=values)
    def edit(self, server: str, number: int, columns: Sequence[str], kind: str) -> None:
        super().edit(server, number, columns, kind)

    @rule(name=st.sampled_from(NAMES), column=st.sampled_from(COLUMNS), crm_first=st.booleans())
    def edit_everywhere(self, name: str, column: str, crm_first: bool) -> None:
        super().edit_everywhere(name, column, crm_first)

    @rule(server=servers, number=pick, columns=few_columns, skip=st.integers(0, 20))
    def edit_in_the_middle(self, server: str, number: int, columns: Sequence[str], skip: int) -> None:
        super().edit_in_the_middle(server, number, columns, skip)

    @rule(direction=st.sampled_from(Direction), policy=st.sampled_from(Policy))
    def rule_a_column(self, direction: Direction, policy: Policy) -> None:
        self.house.rules[Kind.APPOINTMENT]["description"] = Rule(direction, policy)
        self.ledger.ruled_anew("description")
        self.house.restart()

    def _edit(self, server: str, item: str, columns: Sequence[str], kind: str) -> None:
        """Of what does not repeat, no date differs."""
        wanted = dict(self._values(server, columns, kind))
        now = self.house.servers[server].read(item).columns
        if wanted.get("recurrence", now["recurrence"]) is None:
            if wanted.get("exceptions"):
                wanted["recurrence"] = self._value("recurrence", "new")
            elif now["exceptions"] or "exceptions" in wanted:
                wanted["exceptions"] = None
        self.ledger.edit(server, item, wanted)

    def _person(self, server: str, name: str, mail: bool, columns: Sequence[str]) -> Columns:
        self.serial += 1
        name = f"{name} {self.serial}" if name in self.names else name
        self.names.add(name)
        some = self._values(server, [*columns, "recurrence"] if "exceptions" in columns else columns, "new")
        times = {"start": BEGIN, "end": BEGIN + timedelta(hours=1), "all_day": False}
        return {"subject": name, **times, **some}

    def _value(self, column: str, kind: str) -> Value:
        if kind != "new" or column == "description":
            return super()._value(column, kind)
        self.serial += 1
        if column == "recurrence":
            rule = f"RRULE:FREQ=WEEKLY;COUNT={WEEKS + self.serial}"
            return f"{rule}\nEXDATE:{_day(6 + self.serial % 4)}" if self.serial % 3 else rule
        differing = sorted({1 + self.serial % 5, 1 + self.serial // 5 % 5})
        return "\n".join(_line(day, f"{self.serial:03} on this day only") for day in differing)


def _day(week: int) -> str:
    return f"{BEGIN + timedelta(weeks=week):%Y%m%d}"


def _line(week: int, description: str) -> str:
    return json.dumps({"date": _day(week), "description": description})


@contextmanager
def over_calendars() -> Iterator[type[SeriesStory]]:
    with calendars() as running:
        SeriesStory.hosts = running
        yield SeriesStory


settings.register_profile(
    "series machine", parent=settings.get_profile("machine"), max_examples=6, stateful_step_count=20
)


@pytest.mark.server
def test_story_of_series() -> None:
    nightly = os.environ.get("CRMSYNC_MACHINE") == "nightly"
    with over_calendars() as story:
        profile = settings.get_profile("nightly" if nightly else "series machine")
        run_state_machine_as_test(story, settings=profile)
