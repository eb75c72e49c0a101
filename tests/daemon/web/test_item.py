"""The item page and decisions with a real engine behind them."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Side
from crmsync.state.model import Conflict, Detected
from tests.daemon.machine.house import House
from tests.daemon.web.site import Scene, scene
from tests.daemon.web.test_decisions import decide, followed, outcome


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    yield made
    made.close()


@pytest.fixture
def web(house: House) -> Iterator[Scene]:
    yield from scene(engine=house.engine)


@pytest.fixture
def card(house: House) -> str:
    """Alice's, linked."""
    card = house.person(first="Ada", job_title="Analyst")
    house.sync()
    return card


def text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page).split())


def test_everything_that_is_known(web: Scene, house: House, card: str):
    page = web.browser().login().get(f"/item?id={card}").text
    shown = text(page)
    assert f"Item {card} Record {house.the_record().id} Account alice Kind contact" in shown
    assert "job_title Analyst" in shown
    assert "&lt;column name=&#34;first_name&#34;&gt;Ada&lt;/column&gt;" in page
    assert "CRM create" in shown


def test_another_persons_item_is_not_there(web: Scene, card: str, caplog):
    answer = web.browser().login("bob").get(f"/item?id={card}")
    assert answer.status == 404
    assert "Analyst" not in answer.text
    (line,) = [r for r in caplog.records if getattr(r, "action", "") == "web.refused"]
    assert "by bob" in line.getMessage()
    assert "not theirs" in line.getMessage()
    assert web.browser().login(None).get(f"/item?id={card}").status == 200


def test_another_persons_item_cannot_be_changed(web: Scene, house: House, card: str):
    browser = web.browser().login("bob")
    token = browser.get("/decisions").token
    with house.state.transaction() as tx:
        (pair,) = tx.pairs.find(card)
        tx.queue.record("alice", Side.ECS, pair.ecs_collection, [Detected(card, "edited")], house.clock())
        (row,) = tx.queue.named(card)
        tx.queue.park([row.id], "refused", "no")
    for path, fields in (
        ("/item/sync", {}),
        ("/decisions/rejected", {"account": "bob", "verb": "retry"}),
        ("/decisions/rejected", {"account": "bob", "verb": "abandon"}),
        ("/decisions/conflict", {"account": "bob", "column": "job_title", "choice": "crm"}),
        ("/decisions/match", {"account": "bob", "verb": "ignore"}),
    ):
        assert browser.post(path, {"token": token, "item": card, **fields}).status == 404
    assert [r["state"] for r in house.engine.queue(["alice"])] == ["parked"]


def test_a_conflict_decided_on_the_page_is_carried_out_and_remembered(web: Scene, house: House, card: str):
    with house.state.transaction() as tx:
        (pair,) = tx.pairs.find(card)
        values = {"base": "Analyst", "ecs": "Analyst", "crm": "Countess", "at": house.clock(), "cycle": 1}
        ids = {"pair_id": pair.id, "kind": pair.kind, "item": card, "record": pair.crm_id}
        tx.conflicts.add([Conflict(account="alice", column="job_title", **ids, **values)])
    browser = web.browser().login()
    page = browser.get("/decisions").text
    name = re.search(r'name="item" value="([^"]+)"', page)
    assert name is not None
    fields = {"account": "alice", "item": name[1], "column": "job_title"}
    followed(browser, decide(browser, "conflict", choice="value", value="Fellow", **fields))
    token = browser.get("/").token
    house.clock.tick()
    outcome(browser, browser.post("/sync", {"token": token, "verb": "sync"}))
    assert house.the_record().columns["job_title"] == house.the_card().columns["job_title"] == "Fellow"
    assert "alice, on the status page: a value that was given stands" in browser.get(f"/item?id={card}").text


def test_an_item_is_looked_at_again_whatever_the_servers_say(web: Scene, house: House, card: str):
    browser = web.browser().login()
    answer = browser.post("/item/sync", {"token": browser.get("/").token, "item": card})
    assert "nothing to do" in outcome(browser, answer)
    assert house.engine.queue() == []


def test_a_dry_run_writes_nothing(web: Scene, house: House, card: str):
    house.ecs.edit(card, job_title="Countess")
    house.clock.tick()
    browser = web.browser().login()
    page = outcome(browser, browser.post("/sync", {"token": browser.get("/").token, "verb": "plan"}))
    assert "CRM update" in page
    assert house.the_record().columns["job_title"] == "Analyst"


def test_what_nobody_knows(web: Scene):
    browser = web.browser().login()
    assert browser.get("/item").status == 200
    answer = browser.get("/item?id=%3Cb%3Enothing")
    assert answer.status == 404
    assert "&lt;b&gt;nothing" in answer.text
