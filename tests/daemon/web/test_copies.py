"""What waits in copies of CRMs, decided on the pages: with a real copy, and once in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from crmsync.connectors.contract import Refused
from crmsync.daemon.web.access import Viewer
from tests.daemon.fakes import config_in
from tests.daemon.replica.bench import Bench, bench
from tests.daemon.replica.test_commands import Desk, offline_edit
from tests.daemon.web.site import Answer, Browser, Scene, scene
from tests.servers.chromium import Tab, chromium

BY = "an admin, on the status page"


@pytest.fixture(scope="module")
def crm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    with bench(tmp_path_factory.mktemp("crm")) as made:
        yield made


@pytest.fixture
def desk(crm: Bench, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(crm, config_in(tmp_path), tmp_path)
    yield made
    crm.between.refuse = lambda *_: None
    made.engine.close()


@pytest.fixture
def copies(desk: Desk) -> Iterator[Scene]:
    yield from scene(engine=desk.engine)


def sync(desk: Desk) -> None:
    desk.bench.clock.advance(minutes=2)
    assert desk.engine.replicas.replica_sync()["errors"] == []


def clash(desk: Desk) -> str:
    """A conflict in the phone."""
    account = desk.bench.there_create("Account", Name="Acme", Phone="1")
    sync(desk)
    offline_edit(desk, account, Phone="here")
    desk.bench.there_update(account, Phone="there")
    sync(desk)
    return account


def refused(desk: Desk, name: str) -> str:
    """A new contact whose department the CRM does not like."""

    def rule(verb: str, table: str, row: dict[str, object]) -> Refused | None:
        bad = verb == "create" and row.get("Department") == "bad"
        return (
            Refused("", "rule", f"Department of {name} breaks a validation rule of the CRM") if bad else None
        )

    desk.bench.between.refuse = rule
    desk.cable.pulled = True
    made = desk.keeper.create("Contact", {"LastName": name, "Department": "bad"})
    desk.cable.pulled = False
    sync(desk)
    return made


def logged(desk: Desk, item: str) -> list[str]:
    return [row["resolved"] for row in desk.engine.replicas.replica_conflicts() if row["item"] == item]


def send(browser: Browser, path: str, **fields: str) -> Answer:
    return browser.post(path, {"token": browser.get("/decisions").token, "crm": "main", **fields})


def test_a_conflict_and_a_rejected_create_are_decided_in_a_browser(desk: Desk, copies: Scene, tmp_path: Path):
    account = clash(desk)
    refused(desk, "Hopper")
    with chromium(tmp_path) as tab:
        enter(tab, copies)
        assert "needs a decision" in tab.text("#troubled")
        tab.open(f"{copies.server.url}/decisions")
        assert "Phone of Account" in tab.text("main")
        tab.click("form[action='/decisions/copy/conflict'] input[value=value]")
        tab.type("input[name='field.Phone']", "other")
        tab.click("form[action='/decisions/copy/conflict'] button")
        tab.until(lambda: "Your choice is noted" in tab.text("main"))
        tab.click("form[action='/decisions/copy/rejected'] a.button")
        tab.until(lambda: "breaks a validation rule" in tab.text("main"))
        tab.type("input[name='field.Department']", "\ue003\ue003\ue003good")  # backspaces
        tab.click("form[action='/decisions/copy/edit'] button")
        tab.until(lambda: "It is sent to the CRM again" in tab.text("main"))
    sync(desk)
    assert desk.bench.there("Account")[account]["Phone"] == "other"
    made = [row for row in desk.bench.there("Contact").values() if row["LastName"] == "Hopper"]
    assert [row["Department"] for row in made] == ["good"]
    assert logged(desk, account) == [f"another value, by {BY}"]


def enter(tab: Tab, web: Scene) -> None:
    token, _ = web.server.site.links.make(Viewer(None))
    tab.open(f"{web.server.url}/login?link={token}")
    tab.click("button")
    tab.until(lambda: "Status" in tab.text("h1"))


def test_what_is_kept_and_what_is_given_up(desk: Desk, copies: Scene):
    admin = copies.browser().login(None)
    kept, given_up = clash(desk), clash(desk)
    lost, again = refused(desk, "Lost"), refused(desk, "Again")
    page = admin.get("/decisions").text
    assert all(each in page for each in (kept, given_up, lost, again, "here", "there"))
    conflict, rejected = "/decisions/copy/conflict", "/decisions/copy/rejected"
    assert send(admin, conflict, item=kept, choice="local", of="Phone").status == 303
    assert send(admin, conflict, item=given_up, choice="abandon").status == 303
    assert send(admin, rejected, item=lost, verb="abandon").status == 303
    assert send(admin, rejected, item=again, verb="retry").status == 303
    desk.bench.between.refuse = lambda *_: None
    sync(desk)
    there = desk.bench.there("Account")
    assert [there[each]["Phone"] for each in (kept, given_up)] == ["here", "there"]
    names = {row["LastName"] for row in desk.bench.there("Contact").values()}
    assert ("Again" in names, "Lost" in names) == (True, False)
    assert logged(desk, kept) == [f"local, by {BY}"]
    assert all(BY in each for each in (*logged(desk, given_up), *logged(desk, lost)))
    copies.server.site.diary.stop(5)
    assert [line.who for line in copies.desk.kept if line.what == "decided"] == ["an admin"] * 4


def test_only_admins_decide_for_a_copy(desk: Desk, copies: Scene):
    account = clash(desk)
    alice = copies.browser().login("alice")
    assert account not in alice.get("/decisions").text
    for path in ("conflict", "rejected", "edit"):
        fields = {"item": account, "choice": "local", "verb": "abandon"}
        assert send(alice, f"/decisions/copy/{path}", **fields).status == 403
    assert alice.get(f"/decisions/copy/edit?crm=main&id={account}").status == 403
    admin = copies.browser().login(None)
    assert send(admin, "/decisions/copy/conflict", item=account, choice="nothing").status == 400
    assert send(admin, "/decisions/copy/conflict", item="nobody", choice="local").status == 404
    assert logged(desk, account) == [""]
