"""Exchange and the CRM, kept in step by ``crmsync sync``: a contact, an appointment, a task, from tag to lost state."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import COMMAND, Cli, until
from tests.bars.office import seated
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import EwsServer, ews

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
ALICE, SERVICE = "alice@example.com", "service@example.com"
_SOURCE = """
[account.alice]
crm = "main"
crm_user = "alice@example.com"
time_zone = "Europe/Berlin"
first_link = "latest"

[[account.alice.source]]
type = "ews"
url = "{url}"
{login}
"""
_OWN = 'username = "alice@example.com"\npassword_file = "alice-password"'
_TABLES = {"contacts": "Contact", "calendar": "Event", "tasks": "Task"}


@dataclass
class Desk:
    directory: Path
    server: EwsServer
    crm: EmbeddedCrm
    cli: Cli
    sf: Any

    def person(self, folder: str) -> EwsPerson:
        return EwsPerson(self.server.place, self.server.place.mailboxes[ALICE].known(folder))

    def texts(self, folder: str, name: str) -> list[str]:
        found = self.server.place.mailboxes[ALICE].known(folder).items.values()
        return sorted(item.text(name) for item in found)

    def row(self, table: str, where: str = "") -> dict[str, Any]:
        (row,) = self.rows(table, where)
        return row

    def rows(self, table: str, where: str = "") -> list[dict[str, Any]]:
        fields = {
            "Contact": "Id, FirstName, LastName, Email, Title, Birthdate, Department",
            "Event": "Id, Subject, Location, StartDateTime, EndDateTime, IsAllDayEvent, IsPrivate",
            "Task": "Id, Subject, Status, ActivityDate, Priority",
        }[table]
        query = f"SELECT {fields} FROM {table}{where and ' WHERE ' + where}"
        return [dict(row) for row in self.sf.query_all(query)["records"]]

    def sync(self) -> Any:
        return self.cli.ok("sync")

    def quiet(self) -> None:
        """A further sync writes nothing; and nobody has ever been sent anything, nor been overwritten."""
        before = self.written()
        answer = self.sync()
        assert (answer["writes"], answer["errors"]) == (0, [])
        assert self.written() == before
        assert self.server.outbox == []
        assert self.server.operations.forced == []

    def written(self) -> int:
        return sum(len(self.server.seen(o)) for o in ("CreateItem", "UpdateItem", "DeleteItem"))

    def forget(self) -> None:
        for part in ("", "-wal", "-shm"):
            (self.directory / "state" / f"state.db{part}").unlink(missing_ok=True)


@contextmanager
def desk(directory: Path, login: str = _OWN, *more: str) -> Iterator[Desk]:
    with ExitStack() as stack:
        server = stack.enter_context(ews(ALICE, *more))
        crm = stack.enter_context(embedded_crm())
        accounts = _SOURCE.format(url=server.url, login=login)
        cli, sf = stack.enter_context(seated(directory, crm, accounts, {"alice": "secret"}, crm.alice))
        yield Desk(directory, server, crm, cli, sf)


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Desk]:
    with desk(tmp_path) as made:
        yield made


def tagged(made: Desk) -> Mapping[str, str]:
    """One item of each kind, with the tag."""
    ids = {folder: made.person(folder).add(f"One of {folder}") for folder in _TABLES}
    made.person("contacts").set(ids["contacts"], GivenName="Ada", JobTitle="Countess")
    made.person("calendar").set(ids["calendar"], Location="Room 5")
    made.person("tasks").set(ids["tasks"], DueDate="2026-03-09T00:00:00Z")
    for folder, id in ids.items():
        made.person(folder).tag(id, "Blue", "CRM")
        made.person(folder).add("Not tagged")
    return ids


def test_from_the_first_tag_to_the_last_delete(made: Desk) -> None:
    ids = tagged(made)
    unmapped = {folder: made.person(folder).unmapped(id) for folder, id in ids.items()}
    made.sync()
    contact, event, task = (made.row(table) for table in _TABLES.values())
    assert (contact["FirstName"], contact["LastName"], contact["Title"]) == (
        "Ada",
        "One of contacts",
        "Countess",
    )
    assert event["StartDateTime"].startswith("2026-03-02T09:00:00")
    assert (event["Subject"], event["Location"]) == ("One of calendar", "Room 5")
    assert (task["Subject"], task["ActivityDate"]) == ("One of tasks", "2026-03-09")
    made.quiet()

    made.person("contacts").set(ids["contacts"], JobTitle="Programmer")  # different columns: both stay
    made.sf.Contact.update(contact["Id"], {"Email": "ada@example.com"})
    made.sf.Event.update(event["Id"], {"Location": "Room 7"})
    made.sf.Task.update(task["Id"], {"Status": "Completed"})
    made.sync()
    assert made.row("Contact")["Title"] == "Programmer"
    item = made.person("contacts").folder.items[ids["contacts"]]
    assert [entry.text for entry in item.fields["EmailAddresses"]] == ["ada@example.com"]
    assert made.person("calendar").folder.items[ids["calendar"]].text("Location") == "Room 7"
    assert made.person("tasks").folder.items[ids["tasks"]].text("Status") == "Completed"
    made.quiet()
    assert {folder: made.person(folder).unmapped(id) for folder, id in ids.items()} == unmapped

    made.person("contacts").delete(ids["contacts"])
    made.sf.Event.delete(event["Id"])
    made.sf.Task.delete(task["Id"])
    made.sync()
    assert made.rows("Contact") == []
    assert made.texts("calendar", "Subject") == made.texts("tasks", "Subject") == ["Not tagged"]
    assert "One of calendar" in made.texts("deleteditems", "Subject")
    made.quiet()


def test_an_undone_delete_brings_the_item_back_whole(made: Desk) -> None:
    ids = tagged(made)
    made.sync()
    calendar = made.person("calendar")
    unmapped = calendar.unmapped(ids["calendar"])
    made.sf.Event.delete(made.row("Event")["Id"])
    (cycle, *_) = made.sync()["cycles"]
    assert made.texts("calendar", "Subject") == ["Not tagged"]
    made.cli("undo", str(cycle["id"]))
    (back,) = [i for i in calendar.folder.items.values() if i.text("Subject") == "One of calendar"]
    assert calendar.unmapped(back.id) == unmapped
    assert made.server.outbox == []


def test_what_the_crm_has_comes_into_the_mailbox(made: Desk) -> None:
    owner = made.crm.alice.id
    made.sf.Contact.create({"LastName": "Byron", "Birthdate": "1815-12-10", "OwnerId": owner})
    made.sf.Event.create(
        {
            "Subject": "Fair",
            "IsAllDayEvent": True,
            "StartDateTime": "2026-05-01T00:00:00Z",
            "EndDateTime": "2026-05-01T00:00:00Z",
            "OwnerId": owner,
        }
    )
    made.sf.Task.create({"Subject": "Write", "ActivityDate": "2026-04-01", "OwnerId": owner})
    made.sync()
    (byron,) = made.server.place.mailboxes[ALICE].known("contacts").items.values()
    assert (byron.text("Surname"), byron.text("DisplayName")) == ("Byron", "Byron")
    assert byron.text("Birthday").startswith("1815-12-10")
    (fair,) = made.server.place.mailboxes[ALICE].known("calendar").items.values()
    assert (fair.text("Start"), fair.text("End")) == ("2026-04-30T22:00:00Z", "2026-05-01T22:00:00Z")
    assert made.texts("tasks", "DueDate") == ["2026-04-01T00:00:00Z"]
    made.quiet()


def test_both_change_one_column(made: Desk) -> None:
    ids = tagged(made)
    made.sync()
    made.sf.Contact.update(made.row("Contact")["Id"], {"Title": "From the CRM"})
    made.person("contacts").set(ids["contacts"], JobTitle="From Outlook")
    made.sync()
    title = made.row("Contact")["Title"]
    assert title == made.person("contacts").folder.items[ids["contacts"]].text("JobTitle")
    (conflict,) = made.cli.ok("conflicts")
    assert {conflict["ecs"], conflict["crm"]} == {"From Outlook", "From the CRM"}
    made.quiet()


def test_a_lost_state_is_rebuilt_from_the_marks_on_the_items(made: Desk) -> None:
    tagged(made)
    made.sf.Contact.create({"LastName": "Byron", "OwnerId": made.crm.alice.id})
    made.sync()
    before = {table: made.rows(table) for table in _TABLES.values()}
    made.forget()
    made.cli("sync")
    assert {table: made.rows(table) for table in _TABLES.values()} == before
    assert made.texts("contacts", "Surname") == ["Byron", "Not tagged", "One of contacts"]
    made.quiet()


def test_an_edit_after_the_state_was_lost_is_no_question(made: Desk) -> None:
    """What both sides agreed on stands on the item: while nobody has written the record since, an edit is an edit."""
    ids = tagged(made)
    made.sf.Contact.create({"LastName": "Byron", "OwnerId": made.crm.alice.id})
    made.sync()
    byron = next(i for i in made.person("contacts").folder.items.values() if i.text("Surname") == "Byron")
    made.forget()
    made.person("contacts").set(ids["contacts"], JobTitle="Edited meanwhile")
    made.person("contacts").set(byron.id, JobTitle="Poet")
    made.person("tasks").set(ids["tasks"], DueDate="2026-03-10T00:00:00Z")
    made.sf.Event.update(made.row("Event")["Id"], {"Location": "Room 9"})  # this one is a question
    answer = made.cli("sync")
    titles = {row["LastName"]: row["Title"] for row in made.rows("Contact")}
    assert titles == {"One of contacts": "Edited meanwhile", "Byron": "Poet"}
    assert made.row("Task")["ActivityDate"] == "2026-03-10"
    assert answer.code == 3
    (question,) = [c for c in made.cli.ok("conflicts") if not c["resolved"]]
    assert (question["column"], question["ecs"], question["crm"]) == ("location", "Room 5", "Room 9")
    assert len(made.rows("Contact")) == 2


def test_a_series_survives_untouched(made: Desk) -> None:
    from lxml import etree

    from tests.servers.ews.schema import T

    id = made.person("calendar").add("Every week")
    with made.server.place.lock:
        series = made.person("calendar").folder.items[id]
        series.fields["Recurrence"] = etree.Element(T + "Recurrence")
    made.person("calendar").tag(id, "CRM")
    before = made.person("calendar").folder.items[id].change_key
    made.cli("sync")
    assert made.person("calendar").folder.items[id].change_key == before
    assert "recurring" in str(made.cli.ok("explain", id))


_SERVICE = """username = "service@example.com"
password_file = "alice-password"
mailbox = "alice@example.com"
access = "impersonate"
"""


def test_a_service_login_works_in_the_owners_name(tmp_path: Path) -> None:
    with desk(tmp_path, _SERVICE, SERVICE) as made:
        made.server.impersonators.add(SERVICE)
        tagged(made)
        made.sync()
        assert [len(made.rows(table)) for table in _TABLES.values()] == [1, 1, 1]
        assert {r.acting for r in made.server.requests if r.user == SERVICE} == {ALICE}
        made.quiet()


def test_the_service_hears_of_a_change_at_once(made: Desk) -> None:
    """Notifications on a real connection; the next turn by the clock is an hour away."""
    config = made.cli.config
    config.write_text(config.read_text() + '\n[schedule]\ninterval = "1h"\nsettle = "0s"\n')
    log = made.directory / "log"
    with log.open("wb") as output:
        command = [COMMAND, "--config", str(config), "run"]
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output)
    try:
        until(lambda: made.server.streams.open or process.poll() is not None)
        assert process.poll() is None, log.read_text()
        alice = made.person("contacts")
        id = alice.add("Lovelace")
        alice.tag(id, "CRM")
        until(lambda: [row["LastName"] for row in made.rows("Contact")] == ["Lovelace"])
    finally:
        process.terminate()
        assert process.wait(60) == 0


def test_check_says_what_is_there(made: Desk) -> None:
    lines = made.cli.ok("check", "--write")["checks"]
    assert any("Contacts (contact)" in line["message"] for line in lines)
    assert [line for line in lines if not line["ok"]] == []
    assert made.texts("contacts", "Surname") == []
    made.server.place.mailboxes[ALICE].password = "another"
    answer = made.cli("check")
    assert answer.code == 1
    assert "refuses the login" in answer.out
