"""A long time offline: people work here, colleagues work in the CRM, and then both meet.

The script is random, from a seed. What must come of it is worked out from the script alone: a field that one side
wrote has that side's last value; one that both wrote has one of the two, and the other stands in the conflict log. A
row that is left alone after one side deleted it is gone; if the other side has touched it, the log or a person's list
says so.

`CRMSYNC_OUTAGE=500` makes the outages with kills and refusals as long as the plain one."""

import os
import random
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Done, Outcome, Refused
from crmsync.daemon.replica.context import Stage
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.local.temporary import is_temporary
from tests.daemon.replica.bench import OBJECTS, Bench, Killed, bench

LONG, SHORT = 500, int(os.environ.get("CRMSYNC_OUTAGE", "200"))
FREE: dict[str, tuple[str, ...]] = {  # fields that nobody but people writes
    "Account": ("Phone", "Fax", "Description", "BillingCity"),
    "Contact": ("Phone", "Title", "Description", "MailingCity"),
    "Lead": ("Phone", "Description"),
    "Opportunity": ("NextStep", "Description"),
    "Event": ("Location", "Description"),
    "Task": ("Subject", "Description"),
}
NEW: dict[str, dict[str, Any]] = {
    "Account": {"Name": "Account"},
    "Contact": {"LastName": "Contact"},
    "Lead": {"LastName": "Lead", "Company": "Acme"},
    "Opportunity": {"Name": "Deal", "StageName": "Prospecting", "CloseDate": "2026-06-30"},
    "Event": {"Subject": "Talk", "StartDateTime": "2026-04-01T09:00:00Z", "DurationInMinutes": 60},
    "Task": {"Subject": "Do it", "Status": "Not Started", "Priority": "Normal"},
}
REFERENCES: dict[str, tuple[tuple[str, str], ...]] = {
    "Account": (("ParentId", "Account"),),
    "Contact": (("AccountId", "Account"), ("ReportsToId", "Contact")),
    "Lead": (),
    "Opportunity": (("AccountId", "Account"),),
    "Event": (("WhoId", "Contact"),),
    "Task": (("WhatId", "Account"), ("WhoId", "Contact")),
}


@dataclass
class Script:
    """What both sides do. Ids are those of the time; `bench.replica` resolves them."""

    bench: Bench
    chance: random.Random
    here: dict[tuple[str, str], Any] = field(default_factory=dict)  # (id, field) -> last value written here
    there: dict[tuple[str, str], Any] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    operations: int = 0
    converted: int = 0

    def begin(self) -> None:
        accounts = [self.bench.there_create("Account", Name=f"A{i}") for i in range(15)]
        for i, account in enumerate(accounts):
            contact = self.bench.there_create("Contact", LastName=f"C{i}", AccountId=account)
            self.bench.there_create("Opportunity", **{**NEW["Opportunity"], "AccountId": account})
            self.bench.there_create("Event", **{**NEW["Event"], "WhoId": contact})
            self.bench.there_create("Task", **{**NEW["Task"], "WhatId": account})
            lead = self.bench.there_create("Lead", **NEW["Lead"])
            self.bench.there_create("Task", **{**NEW["Task"], "WhoId": lead})
        self.bench.run()

    def offline(self, operations: int) -> None:
        steps = [self._create_here] * 3 + [self._update_here] * 4 + [self._delete_here, self._convert_here]
        others = [self._create_there, *[self._update_there] * 3, self._delete_there, self._convert_there]
        while self.operations < operations:
            self.bench.clock.advance(seconds=self.chance.randint(1, 5))
            try:
                self.chance.choice(steps)()
                self.operations += 1
            except Fault as fault:  # as a person would be told
                if fault.code not in ("DELETE_FAILED", "CANNOT_UPDATE_CONVERTED_LEAD"):
                    raise
            if self.chance.random() < 0.3:
                self.chance.choice(others)()

    def _text(self) -> str:
        return f"text {next(self.numbers)}"

    def _pick(self, name: str, rows: dict[str, Any]) -> str | None:
        return self.chance.choice(sorted(rows)) if rows else None

    def _create_here(self) -> None:
        name = self.chance.choice(OBJECTS)
        values = {**NEW[name], self.chance.choice(FREE[name]): self._text()}
        for reference, target in REFERENCES[name]:
            if self.chance.random() < 0.6:
                values[reference] = self._pick(target, self.bench.here(target))
        made = self.bench.replica.create(name, values)
        self.here |= {(made, n): values[n] for n in FREE[name] if n in values}

    def _update_here(self) -> None:
        name = self.chance.choice(OBJECTS)
        if record := self._pick(name, self.bench.here(name)):
            column, value = self.chance.choice(FREE[name]), self._text()
            values: dict[str, Any] = {column: value}
            if REFERENCES[name] and self.chance.random() < 0.3:
                reference, target = self.chance.choice(REFERENCES[name])
                values[reference] = self._pick(target, self.bench.here(target))
                if values[reference] == record:
                    del values[reference]
            self.bench.replica.update(record, values)
            self.here[record, column] = value

    def _delete_here(self) -> None:
        name = self.chance.choice(OBJECTS)
        if record := self._pick(name, self.bench.here(name)):
            self.bench.replica.delete(record)

    def _convert_here(self) -> None:
        lead = self._pick("Lead", self._open_leads(self.bench.here("Lead")))
        if lead is None:
            return
        options: dict[str, Any] = {"create_opportunity": self.chance.random() < 0.6}
        if self.chance.random() < 0.3:
            options["account"] = self._pick("Account", self.bench.here("Account"))
        self.bench.convert(lead, **options)
        self.converted += 1

    def _convert_there(self) -> None:
        if lead := self._pick("Lead", self._open_leads(self.bench.there("Lead"))):
            self.bench.there_convert(lead)

    def _open_leads(self, rows: dict[str, Any]) -> dict[str, Any]:
        return {i: row for i, row in rows.items() if not row["IsConverted"]}

    def _create_there(self) -> None:
        name = self.chance.choice(OBJECTS)
        values = {**NEW[name]}
        for reference, target in REFERENCES[name]:
            if self.chance.random() < 0.6:
                values[reference] = self._pick(target, self.bench.there(target))
        self.bench.there_create(name, **values)

    def _update_there(self) -> None:
        name = self.chance.choice(OBJECTS)
        if record := self._pick(name, self.bench.there(name)):
            column, value = self.chance.choice(FREE[name]), self._text()
            self.bench.there_update(record, **{column: value})
            self.there[record, column] = value

    def _delete_there(self) -> None:
        name = self.chance.choice(("Contact", "Event", "Lead", "Opportunity", "Task", "Account"))
        if record := self._pick(name, self.bench.there(name)):
            self.bench.there_delete(record)

    # ── What must have come of it ────────────────────────────────────────────────────────────────────────────

    def check(self) -> None:
        self.bench.assert_equal()
        self.bench.assert_nothing_temporary()
        assert self.bench.work() == {}
        assert [c for c in self.bench.conflicts() if c["winner"] == "held" and not c["resolved"]] == []
        rows = {record: row for name in OBJECTS for record, row in self.bench.here(name).items()}
        for record, column in self.here.keys() | self.there.keys():
            current = self._current(record)
            if current in rows:
                self._check_value(record, current, column, rows[current][column])

    def _check_value(self, record: str, current: str, column: str, value: Any) -> None:
        ours, theirs = self.here.get((record, column)), self.there.get((record, column))
        if ours is None or theirs is None:
            said = [v for v in (ours, theirs) if v is not None]
            assert [value] == said or self._in_log(current, column, ours), (current, column, value, said)
            return
        assert value in (ours, theirs), (current, column)
        loser = ours if value == theirs else theirs
        assert self._in_log(current, column, loser), (current, column, loser)

    def _current(self, record: str) -> str:
        with self.bench.database.read() as work:
            return work.resolve(record)

    def _in_log(self, record: str, column: str, value: Any) -> bool:
        """As the value of the side that did not win, or of a row that was deleted on the other side."""
        return any(
            value in (entry["local"].get(column), entry["server"].get(column))
            for entry in self.bench.conflicts()
            if entry["Id"] == record
        )

    def settle_everything(self) -> None:
        """A person goes through the list and gives up what the CRM does not take."""
        for _ in range(20):
            for each in self.bench.replica.waiting():
                self._give_up(each.id)
            self.bench.run()
            if not self.bench.replica.waiting():
                return
        raise AssertionError(self.bench.replica.waiting())

    def _give_up(self, record: str) -> None:
        try:
            self.bench.replica.abandon(record)
        except Fault as fault:
            if fault.code == "DELETE_FAILED":  # what needs it is named, and has to be given up first
                self._give_up(fault.message.split()[0])
                self._give_up(record)
            elif fault.code != "NOT_FOUND":
                raise


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Script]:
    with bench(tmp_path) as made:
        script = Script(made, random.Random(getattr(request, "param", 1)))
        script.begin()
        yield script


def test_both_agree_afterwards(script: Script):
    script.offline(LONG)
    assert script.converted > 20
    script.bench.run()
    script.settle_everything()
    script.check()


def test_a_kill_at_every_stage_boundary_changes_nothing(script: Script):
    script.offline(SHORT)
    for stage in [s for s in Stage if s is not Stage.SESSION]:
        script.bench.kill = lambda at, what, stage=stage: at is stage
        with pytest.raises(Killed):
            script.bench.run()
        script.bench.reopen()
    script.bench.kill = lambda at, what: False
    script.bench.run()
    script.settle_everything()
    script.check()


def test_so_does_a_real_one(script: Script):
    """kill -9, of a process that runs the pass: a sample of the boundaries, the writing ones."""
    script.offline(SHORT // 2)
    for stage in (Stage.LOCAL_DELETES, Stage.UPDATES, Stage.FINISH):
        script.bench.clock.advance(minutes=2)
        assert _child(script.bench, stage) == -signal.SIGKILL
    script.bench.run()
    script.settle_everything()
    script.check()


def _child(bench: Bench, stage: Stage) -> int:
    arguments = [bench.crm.url, bench.crm.client_id, bench.crm.client_secret, str(bench.file), stage]
    command = [sys.executable, "-m", "tests.daemon.replica.child", *arguments]
    return subprocess.run(command, cwd=Path(__file__).parents[3], check=False, timeout=60).returncode


def test_of_no_write_the_answer_is_ever_heard(script: Script):
    """Each is carried out, and then the process is gone. Nothing is made twice."""
    script.offline(60)
    known = {name: script.bench.there(name).keys() for name in OBJECTS}
    mine = {name: sum(map(is_temporary, script.bench.here(name))) for name in OBJECTS}
    lost = 0
    while _killed(script.bench):
        lost += 1
        assert lost < 200
        script.bench.reopen()
    assert lost > 20
    script.settle_everything()
    script.check()
    for name in OBJECTS:
        assert len(script.bench.there(name).keys() - known[name]) <= mine[name]


def _killed(bench: Bench) -> bool:
    """Whether something was written, which ended the process. What is refused would be sent again for ever."""

    def strike(verb: str, name: str, outcomes: list[Outcome]) -> None:
        if any(isinstance(outcome, Done) for outcome in outcomes):
            raise Killed

    bench.between.after = strike
    try:
        bench.run()
    except Killed:
        return True
    finally:
        bench.between.after = lambda *_: None
    return False


def test_an_upstream_that_refuses_a_tenth_of_the_writes(script: Script):
    chance = random.Random(7)

    def refuse(verb: str, name: str, row: Any) -> Refused | None:
        return Refused("", "rule", "is refused by a trigger in the CRM") if chance.random() < 0.1 else None

    script.bench.between.refuse = refuse
    script.offline(SHORT)
    script.bench.run()
    refused = [w for w in script.bench.replica.waiting() if w.state == "rejected"]
    assert refused
    for each in refused[::2]:
        script.bench.replica.retry(each.id)
    script.bench.run()
    script.bench.between.refuse = lambda *_: None
    for each in script.bench.replica.waiting():
        if each.state == "rejected":
            script.bench.replica.retry(each.id)
    script.bench.run()
    script.settle_everything()
    script.check()
