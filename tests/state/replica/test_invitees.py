"""Who is invited to an event."""

import pytest

from crmsync.state.replica.faults import Fault
from tests.state.replica.conftest import Bench


def test_an_invitation_waits_for_an_answer_and_goes_with_the_event(bench: Bench) -> None:
    ada = bench.create("Contact", LastName="Lovelace")
    event = bench.create(
        "Event", Subject="Budget", StartDateTime="2026-12-01T09:00:00.000Z", DurationInMinutes=30
    )
    invited = bench.create("EventRelation", EventId=event, RelationId=ada)
    row = bench.read(invited)
    assert (row["Status"], row["RespondedDate"]) == ("New", None)
    bench.update(invited, Status="Accepted")
    assert bench.read(invited)["RespondedDate"] is not None
    bench.delete(event)
    with pytest.raises(Fault):
        bench.read(invited)


def test_it_goes_with_the_person(bench: Bench) -> None:
    ada = bench.create("Contact", LastName="Lovelace")
    event = bench.create(
        "Event", Subject="Budget", StartDateTime="2026-12-01T09:00:00.000Z", DurationInMinutes=30
    )
    invited = bench.create("EventRelation", EventId=event, RelationId=ada)
    bench.delete(ada)
    with pytest.raises(Fault):
        bench.read(invited)
    assert bench.read(event)["Subject"] == "Budget"
