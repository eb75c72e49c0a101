"""What a grant lets through, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.contract import Columns, Kind, Side
from crmsync.daemon.plan.grant import ALL, NOTHING, Grant

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
TO_CRM = Grant(to=frozenset({Side.CRM}))
TO_ECS = Grant(to=frozenset({Side.ECS}))
CONTACTS = Grant(kinds=frozenset({Kind.CONTACT}))
NAMES = Grant(columns={Kind.CONTACT: frozenset({"first_name", "last_name"})})
STARTS = Grant(columns={Kind.APPOINTMENT: frozenset({"subject", "start"})})
NAME_AND_MAIL: Columns = {"first_name": "Ada", "email": "ada@example.com"}


@pytest.mark.parametrize(
    ("grant", "target", "kind", "sends"),
    [
        (ALL, Side.CRM, Kind.CONTACT, True),
        (ALL, Side.ECS, Kind.EMAIL, True),
        (NOTHING, Side.CRM, Kind.CONTACT, False),
        (NOTHING, Side.ECS, Kind.CONTACT, False),
        (TO_CRM, Side.CRM, Kind.TASK, True),
        (TO_CRM, Side.ECS, Kind.TASK, False),
        (TO_ECS, Side.CRM, Kind.TASK, False),
        (TO_ECS, Side.ECS, Kind.TASK, True),
        (CONTACTS, Side.CRM, Kind.CONTACT, True),
        (CONTACTS, Side.CRM, Kind.APPOINTMENT, False),
    ],
)
def test_which_side_may_be_written(grant: Grant, target: Side, kind: Kind, sends: bool) -> None:
    assert grant.sends(target, kind) is sends


@pytest.mark.parametrize(
    ("grant", "kind", "touches"),
    [
        (ALL, Kind.CONTACT, True),
        (NOTHING, Kind.CONTACT, False),
        (TO_CRM, Kind.CONTACT, True),  # the link stamp follows what was made in the CRM
        (CONTACTS, Kind.CONTACT, True),
        (CONTACTS, Kind.TASK, False),
        (Grant(kinds=frozenset()), Kind.TASK, False),
    ],
)
def test_whether_marks_may_be_set(grant: Grant, kind: Kind, touches: bool) -> None:
    assert grant.touches(kind) is touches


@pytest.mark.parametrize(
    ("grant", "target", "kind", "columns", "part"),
    [
        (ALL, Side.CRM, Kind.CONTACT, NAME_AND_MAIL, {"first_name", "email"}),
        (NAMES, Side.CRM, Kind.CONTACT, NAME_AND_MAIL, {"first_name"}),
        (NAMES, Side.CRM, Kind.APPOINTMENT, {"subject": "Lunch"}, {"subject"}),  # no word about this kind
        (TO_ECS, Side.CRM, Kind.CONTACT, NAME_AND_MAIL, set()),
        # start, end, all-day and zone are one: without the others, the start does not go either
        (STARTS, Side.ECS, Kind.APPOINTMENT, {"subject": "Lunch", "start": NOON, "end": NOON}, {"subject"}),
        (STARTS, Side.ECS, Kind.APPOINTMENT, {"start": NOON}, {"start"}),
    ],
)
def test_which_columns_go(grant: Grant, target: Side, kind: Kind, columns: Columns, part: set[str]) -> None:
    assert set(grant.part(target, kind, columns)) == part
    assert grant.whole(target, kind, columns) is (part == set(columns))


def test_what_is_older_than_asked_for_is_not_meant() -> None:
    grant = Grant(since=NOON)
    assert grant.concerns(NOON)
    assert grant.concerns(NOON + timedelta(seconds=1))
    assert not grant.concerns(NOON - timedelta(seconds=1))
    assert ALL.concerns(NOON - timedelta(days=9999))


@pytest.mark.parametrize(
    ("grant", "nothing"), [(ALL, False), (NOTHING, True), (TO_CRM, False), (Grant(kinds=frozenset()), True)]
)
def test_nothing_is_nothing_at_all(grant: Grant, nothing: bool) -> None:
    assert grant.nothing is nothing
