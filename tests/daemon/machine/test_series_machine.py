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
from tests.daemon.machine.few_columns import with_columns
from tests.daemon.machine.http_house import HABITS
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.series_house import Calendars, SeriesHouse, calendars
from tests.daemon.machine.test_http_machine import HttpStory

COLUMNS = ("description", "recurrence", "exceptions")
BEGIN = datetime(2026, 12, 1, 9, tzinfo=UTC)  # a Tuesday
WEEKS = 10  # a series has at least so many; in the first half dates may differ, in the second they may be off


class SeriesStory(with_columns(HttpStory, COLUMNS)):
    hosts: Calendars  # type: ignore[assignment]

    def build(self, quirks: set[str]) -> Premises:
        return SeriesHouse(self.hosts, Path(self.folder.name), quirks)

    @initialize(quirks=st.sets(st.sampled_from(sorted(HABITS)), max_size=3))
    def begin(self, quirks: set[str]) -> None:
        self._begin(quirks, False)

    @rule(direction=st.sampled_from(Direction), policy=st.sampled_from(Policy))
    def rule_a_column(self, direction: Direction, policy: Policy) -> None:
        self.ledger.kept_apart("description")
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
        subject = self.of_its_own(name)
        some = self._values(server, [*columns, "recurrence"] if "exceptions" in columns else columns, "new")
        times = {"start": BEGIN, "end": BEGIN + timedelta(hours=1), "all_day": False}
        return {"subject": subject, **times, **some}

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
    "series machine", parent=settings.get_profile("machine"), max_examples=3, stateful_step_count=20
)


@pytest.mark.server
def test_story_of_series() -> None:
    nightly = os.environ.get("CRMSYNC_MACHINE") == "nightly"
    with over_calendars() as story:
        profile = settings.get_profile("nightly" if nightly else "series machine")
        run_state_machine_as_test(story, settings=profile)
