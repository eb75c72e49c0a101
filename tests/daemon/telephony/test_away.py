"""Who calls, while the CRM is away: from its copy, and only what is known to be for the person who is called."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.contract import Side
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.http import Http
from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.connectors.telephony.people import Person
from crmsync.daemon.lazy import LazySource
from crmsync.daemon.replica.beside import beside_replica
from crmsync.daemon.replica.keeper import Keeper, Settings
from crmsync.daemon.replica.modes import Mode
from crmsync.daemon.replica.source import ReplicaSource
from crmsync.daemon.telephony import pop
from tests.daemon.replica.desk_world import DeskWorld, Line
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

OBJECTS = ("Account", "Contact", "Lead", "Case", "Task", "Event")
NUMBER = "+14155550123"
ALICE = "alice@example.com"


def now() -> datetime:
    return datetime.now(UTC)


@dataclass
class Scene:
    crm: EmbeddedCrm
    line: Line
    keeper: Keeper
    source: ReplicaSource

    def make(self, table: str, owner: str, **fields: Any) -> str:
        (saved,) = self.crm.crm.store.create(self.crm.crm.store.caller(owner), [(table, fields)])
        return str(saved.id)

    def here(self) -> list[Person]:
        return list(self.source.people_here(NUMBER, ALICE))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    with embedded_crm(sharing={"Contact": "private", "Case": "private", "Account": "private"}) as crm:
        line = Line(Http(crm.url, timeout=60))
        auth = ClientCredentials(crm.client_id, crm.client_secret)
        live = SalesforceSource(crm.url, auth=auth, transport=line, fields={}, now=now)
        keeper = Keeper(
            "main", tmp_path / "replica.db", Settings(OBJECTS), live.replication, now=now, durable=False
        )
        lazy = LazySource(Side.CRM, lambda: live)
        made = Scene(crm, line, keeper, beside_replica(lazy, lazy.salesforce, keeper, {}, "", now))
        yield made
        made.source.close()
        keeper.close()


def test_all_that_is_the_persons_own_is_shown_without_the_crm(scene: Scene):
    alice = scene.crm.alice.id
    account = scene.make("Account", alice, Name="Acme")
    ada = scene.make(
        "Contact", alice, FirstName="Ada", LastName="Lovelace", Title="Countess", Phone="(415) 555-0123",
        AccountId=account, MailingCity="London",
    )  # fmt: skip
    scene.make("Case", alice, ContactId=ada, Subject="The engine does not start", Priority="High")
    scene.make("Case", alice, ContactId=ada, Subject="It smoked", Status="Closed")
    scene.make("Task", alice, WhoId=ada, Subject="Send the offer")
    scene.make("Lead", alice, LastName="Cleo", Company="Cleo Ltd", MobilePhone=NUMBER)
    scene.source.user_id(ALICE)
    scene.keeper.sync()
    scene.line.cut = True
    found, lead = scene.here()
    assert (found.name, found.title, found.company, found.location) == (
        "Ada Lovelace", "Countess", "Acme", "London",
    )  # fmt: skip
    (case,), (incident,), (task,) = found.cases, found.incidents, found.open
    assert "The engine does not start" in case.text
    assert case.detail == "High · New"
    assert "It smoked" in incident.text
    assert task.text == "Send the offer"
    assert (lead.name, lead.company) == ("Cleo", "Cleo Ltd")


def test_what_somebody_else_owns_is_shown_once_the_crm_has_said_that_it_may_be(scene: Scene):
    alice, bob = scene.crm.alice.id, scene.crm.bob.id
    ada = scene.make("Contact", alice, LastName="Lovelace", Phone=NUMBER)
    scene.make("Contact", bob, LastName="Secret", Phone=NUMBER)
    scene.make("Task", bob, WhoId=ada, Subject="Bob's")
    user = scene.source.user_id(ALICE)
    scene.keeper.sync()
    (found,) = scene.here()
    assert (found.name, list(found.open)) == ("Lovelace", [])
    asked = scene.source.people(NUMBER, user)
    scene.line.cut = True
    assert scene.here() == asked


def test_nobody_waits_for_a_crm_that_is_known_to_be_away(scene: Scene):
    user = scene.source.user_id(ALICE)
    scene.keeper.sync()
    scene.keeper.choose_mode(Mode.OFFLINE)
    sent = len(scene.line.sent)
    with pytest.raises(Unreachable):
        scene.source.people(NUMBER, user)
    scene.keeper.choose_mode(None)
    scene.keeper.noted(Unreachable("nobody answers"))
    with pytest.raises(Unreachable):
        scene.source.people(NUMBER, user)
    assert len(scene.line.sent) == sent


def test_a_copy_that_was_never_filled_knows_nobody(scene: Scene):
    assert scene.here() == []
    scene.source.user_id(ALICE)
    with pytest.raises(Unreachable):
        scene.here()


def test_the_state_and_the_copy_together(tmp_path: Path):
    """Who is linked and does not stand in the copy is known as well, and nobody twice."""
    with embedded_crm() as crm:
        world = DeskWorld(tmp_path, crm)
        world.person("Ada", "Lovelace", phone_mobile=NUMBER)
        world.sync()
        world.passed()
        (ada,) = world.rows()
        world.make_there("Task", Subject="Send the offer", WhoId=ada["Id"])
        world.passed()
        world.person("Ben", "Sample", phone_mobile=NUMBER)
        world.sync()
        world.line.cut = True
        known = pop.here(world.engine, world.account, NUMBER)
        assert [(p.name, [line.text for line in p.open]) for p in known] == [
            ("Ada Lovelace", ["Send the offer"]),
            ("Ben Sample", []),
        ]
        assert pop.in_the_crm(world.account, NUMBER, now()) is None
        world.close()
