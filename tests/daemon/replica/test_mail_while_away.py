"""Mail, with the CRM away, where its object stands in the copy: its files, and who is on it, come with the CRM."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.replica import OBJECTS
from crmsync.connectors.contract import Attachment, Kind, Record
from crmsync.state.replica.local.temporary import is_temporary
from tests.daemon.replica.desk_world import DeskWorld
from tests.daemon.replica.test_sync_on_replica import Ticking, back, begun, clock, crm
from tests.servers.embedded_crm import EmbeddedCrm

__all__ = ["clock", "crm"]

pytestmark = pytest.mark.server

CONTENT = b"%PDF-1"


@pytest.fixture
def world(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking) -> Iterator[DeskWorld]:
    with begun(tmp_path, crm, clock, objects=(*OBJECTS, "EmailMessage")) as made:
        made.inbox = made.ecs.add("Inbox", Kind.EMAIL).id
        made.later()  # what the CRM holds of it for Alice, only the CRM can say
        yield made


class Filed:
    """The inbox: each message has a file."""

    def __init__(self, connector: Any) -> None:
        self._connector = connector

    def __getattr__(self, name: str) -> Any:
        return getattr(self._connector, name)

    def fetch(self, ids: Any) -> Iterator[Any]:
        for found in self._connector.fetch(ids):
            yield _filed(found) if isinstance(found, Record) else found

    def changes(self, *given: Any) -> Iterator[Any]:
        for page in self._connector.changes(*given):
            items = tuple(_filed(i) if isinstance(i, Record) else i for i in page.items)
            yield replace(page, items=items)


def _filed(record: Record) -> Record:
    file = Attachment("Offer.pdf", "application/pdf", len(CONTENT), lambda: CONTENT)
    return replace(record, attachments=(file,))


def with_files(world: DeskWorld) -> None:
    source: Any = world.mailbox.source
    opened = source.open
    source.open = lambda c: Filed(opened(c)) if Kind.EMAIL in c.kinds else opened(c)


def mail(world: DeskWorld, **more: Any) -> str:
    columns = {
        "subject": "Offer",
        "body_text": "Dear Ada",
        "from": "ada@example.com",
        "to": ("alice@example.com",),
        "sent_at": datetime(2026, 11, 21, 9, tzinfo=UTC),
        "message_id": "<1@example.com>",
        "direction": "incoming",
        **more,
    }
    return world.ecs.put(world.inbox, columns, tags=["CRM"])


def test_a_message_stands_in_the_copy_at_once(world: DeskWorld):
    ada = world.make_there(LastName="Ada", Email="ada@example.com")
    world.passed()
    world.line.cut = True
    with_files(world)
    mail(world)
    world.waits(world.later())
    (row,) = world.here("EmailMessage")
    assert (row["Subject"], row["FromAddress"], is_temporary(row["Id"])) == ("Offer", "ada@example.com", True)
    (waiting,) = world.engine.queue()
    assert waiting["error"].endswith("for the CRM itself: its files")
    back(world)
    (there,) = world.rows("EmailMessage")
    assert [r["Id"] for r in world.here("EmailMessage")] == [there["Id"]]
    assert [r["Name"] for r in world.rows("Attachment")] == ["Offer.pdf"]
    assert ada in {r["RelationId"] for r in world.rows("EmailMessageRelation")}
    world.quiet()


def test_it_says_what_it_is_about_as_far_as_the_copy_knows(world: DeskWorld):
    account = world.make_there("Account", Name="Engines")
    world.passed()
    world.line.cut = True
    mail(world, regarding="Engines")
    mail(world, message_id="<2@example.com>", regarding="Case 17")
    world.later()
    assert {r["RelatedToId"] for r in world.here("EmailMessage")} == {account, None}
    errors = sorted(r["error"] for r in world.engine.queue())
    assert [e.partition(": ")[2] for e in errors] == ["", "what it is about"]
    back(world)
    assert len(world.rows("EmailMessage")) == len(world.here("EmailMessage")) == 2
    world.quiet()


def test_what_it_is_about_is_not_forgotten_for_want_of_it_in_the_copy(world: DeskWorld):
    """It refers to a case, and cases do not stand there."""
    case = world.make_there("Case", Subject="Steam")
    number = world.there.crm.store.read(world.there.crm.store.caller(world.there.sync.id), "Case", case)[
        "CaseNumber"
    ]
    item = mail(world, regarding=number)
    world.later()
    world.passed()
    assert [r["RelatedToId"] for r in world.rows("EmailMessage")] == [case]
    world.line.cut = True
    world.ecs.edit(item, regarding="Engines")
    assert world.later()["errors"] == []
    (waiting,) = world.engine.queue()
    assert (waiting["code"], "what the account's CRM user may do" in waiting["error"]) == ("away", True)
    world.line.cut = False
    world.ecs.edit(item, regarding=number, subject="Offer again")
    world.later()
    world.passed()
    world.line.cut = True
    world.ecs.edit(item, regarding="Engines")
    assert world.later()["errors"] == []
    (waiting,) = world.engine.queue()
    assert (waiting["code"], waiting["error"]) == (
        "away",
        "waits for the CRM: its copy does not tell regarding",
    )
    world.ecs.edit(item, regarding=number, status="completed")
    world.later()
    (shown,) = world.ecs.all(world.inbox)
    assert shown.columns["regarding"] == number
    back(world)
    assert [r["RelatedToId"] for r in world.rows("EmailMessage")] == [case]


def test_without_its_object_it_waits_and_says_so(tmp_path: Path, crm: EmbeddedCrm, clock: Ticking):
    with begun(tmp_path, crm, clock, objects=OBJECTS) as world:
        world.inbox = world.ecs.add("Inbox", Kind.EMAIL).id
        world.line.cut = True
        mail(world)
        report = world.later()
        assert (report["writes"], report["errors"]) == (0, [])
        (waiting,) = world.engine.queue()
        assert (waiting["code"], waiting["state"]) == ("away", "waiting")
        assert "EmailMessage does not stand in it" in waiting["error"]
        back(world)
        assert len(world.rows("EmailMessage")) == 1
        world.quiet()
