"""What an operator gets wrong: one clear message, the right exit code, no traceback, and the other accounts go on."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import Answer, Cli
from tests.bars.meetings import event
from tests.bars.office import Office, account, office
from tests.bars.people import contact
from tests.servers.process import free_port

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
ALICE, BOB = contact(1), contact(2)


@pytest.fixture(scope="module")
def two(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp("two"), people=("alice", "bob")) as made:
        made.put(ALICE)
        made.put(BOB, user="bob")
        yield made


@dataclass(frozen=True)
class Desk:
    """One configuration with a mistake in it, and a state of its own."""

    office: Office
    cli: Cli

    def change(self, *changes: tuple[str, str]) -> None:
        text = self.cli.config.read_text()
        for old, new in changes:
            assert old in text, old
            text = text.replace(old, new)
        self.cli.config.write_text(text)

    def alices(self, *changes: tuple[str, str]) -> None:
        """Changes in the lines of alice's account alone."""
        text = self.cli.config.read_text()
        head, bobs = text[: text.index("[account.bob]")], text[text.index("[account.bob]") :]
        common, alices = head[: head.index("[account.alice]")], head[head.index("[account.alice]") :]
        for old, new in changes:
            assert old in alices, old
            alices = alices.replace(old, new)
        self.cli.config.write_text(common + alices + bobs)

    def bob_went_on(self) -> None:
        assert [a["light"] for a in self.cli.ok("status", "bob")["accounts"]] in (["in_step"], ["waiting"])
        assert self.office.rows("Contact", f"Email = '{BOB.key}'") != []


@pytest.fixture
def desk(two: Office, tmp_path: Path) -> Iterator[Desk]:
    for file in two.directory.glob("*-*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / file.name).chmod(0o600)
    config = tmp_path / "config.toml"
    config.write_text(two.cli.config.read_text().replace(str(two.directory), str(tmp_path)))
    yield Desk(two, Cli(config))
    for table in ("Contact", "Event"):
        for row in two.rows(table):
            getattr(two.sf, table).delete(row["Id"])


def _one_sentence(message: str, *words: str) -> None:
    assert "\n" not in message.strip(), message
    assert len(message) < 500, message
    for word in words:
        assert word in message, (word, message)


def _refused(answer: Answer, *words: str) -> None:
    """The configuration or command line itself is wrong: 2, nothing done, told on stderr and in the document."""
    assert answer.code == 2, answer
    error = answer.json["error"]
    for word in words:
        assert word in error["message"], (word, error)
        assert word in answer.err, (word, answer.err)


def _failed(answer: Answer, code: str, *words: str) -> list[dict[str, Any]]:
    """Something failed in this run: 1, and the output says what. Nothing is said of bob."""
    assert answer.code == 1, answer
    errors = [e for e in answer.json["errors"] if e["code"] == code]
    assert errors, answer.json
    assert {e["account"] for e in answer.json["errors"]} == {"alice"}
    for error in errors:
        _one_sentence(error["message"], *words)
    assert len({e["message"] for e in errors}) == len(errors)
    return errors


# ── configuration and command line: 2 ────────────────────────────────────────────────────────────────────────


def test_mistyped_key(desk: Desk) -> None:
    desk.alices(('crm_user = "alice', 'crm_usr = "alice'))
    answer = desk.cli("sync")
    _refused(answer, "config.toml", "crm_usr", "crm_user")
    assert desk.cli.plain("sync").err.count("\n") <= 6
    assert desk.office.rows("Contact") == []


def test_a_check_tries_the_fields_and_the_condition_that_somebody_wrote_down(desk: Desk) -> None:
    def told(name: str) -> list[tuple[bool, str]]:
        checks = desk.cli("check").json["checks"]
        return [(c["ok"], c["message"]) for c in checks if c["name"] == f"alice: {name}"]

    assert told("mapping") == told("crm_select") == []
    desk.alices(('crm = "main"', 'crm = "main"\ncrm_select = "MailingCity = \'Exampletown\'"'))
    assert [ok for ok, _ in told("crm_select")] == [True]
    desk.alices(("MailingCity", "MailingTown"))
    field = desk.cli.config.read_text() + '\n[crm.main.mapping.contact.job_title]\nfield = "Post__c"\n'
    desk.cli.config.write_text(field)
    ((ok, message),) = told("mapping")
    assert (ok, "Contact.Post__c" in message) == (False, True)
    ((ok, message),) = told("crm_select")
    assert not ok
    _one_sentence(message, "MailingTown")
    assert desk.cli("check").code == 1


def test_two_mistakes_are_told_at_once(desk: Desk) -> None:
    desk.alices(
        ('crm = "main"', 'crm = "mian"'), ('time_zone = "Europe/Berlin"', 'time_zone = "Europe/Berln"')
    )
    _refused(desk.cli("check"), "mian", "main", "Europe/Berln", "Europe/Berlin")


def test_broken_toml(desk: Desk) -> None:
    desk.change(("[service]", "[service"))
    _refused(desk.cli("sync"), "config.toml", "line 5", "TOML")


def test_no_configuration(tmp_path: Path) -> None:
    _refused(Cli(tmp_path / "absent.toml")("status"), "absent.toml", "crmsync init")


def test_unknown_account(desk: Desk) -> None:
    for command in ("sync", "status", "queue", "reconcile"):
        _refused(desk.cli(command, "alize"), "alize", "alice")


def test_unknown_command(desk: Desk) -> None:
    _refused(desk.cli("snyc"), "snyc")


def test_explain_of_an_unknown_item(desk: Desk) -> None:
    _refused(desk.cli("explain", "no-such-item"), "no-such-item")
    _refused(desk.cli("history", "no-such-item"), "no-such-item")


@pytest.mark.parametrize("directory", ["a file", "/proc"])
def test_unwritable_state_directory(desk: Desk, directory: str, tmp_path: Path) -> None:
    if directory == "a file":
        (tmp_path / "occupied").write_text("not a directory")
        directory = str(tmp_path / "occupied")
    desk.change((f"sqlite:///{tmp_path}/state/state.db", f"sqlite:///{directory}/state/state.db"))
    answer = desk.cli("sync")
    _refused(answer, f"{directory}/state")
    assert desk.office.rows("Contact") == []


# ── one account's trouble: 1, and the other goes on ──────────────────────────────────────────────────────────


def test_wrong_dav_password(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "alice-password").write_text("wrong")
    errors = _failed(desk.cli("sync"), "login_refused", "password")
    assert all("127.0.0.1" in e["message"] for e in errors)
    desk.bob_went_on()
    assert desk.office.rows("Contact", f"Email = '{ALICE.key}'") == []


def test_wrong_crm_password(desk: Desk, tmp_path: Path) -> None:
    """Of the CRM that alice uses; bob's has another login."""
    _other_crm(desk)
    (tmp_path / "other-password").write_text("wrong")
    (error,) = _failed(desk.cli("sync"), "login_refused", "CRM other")
    assert "username, password" in error["message"]
    desk.bob_went_on()


def _other_crm(desk: Desk) -> None:
    text = desk.cli.config.read_text()
    table = text[text.index("[crm.main]") : text.index("[account.alice]")]
    other = table.replace("[crm.main]", "[crm.other]").replace("crm-password", "other-password")
    desk.cli.config.write_text(text.replace(table, table + other))
    desk.alices(('crm = "main"', 'crm = "other"'))


def test_wrong_client_secret(desk: Desk, tmp_path: Path) -> None:
    _other_crm(desk)
    (tmp_path / "other-password").write_text(desk.office.crm.sync.password)
    (tmp_path / "other-secret").write_text("wrong")
    text = desk.cli.config.read_text()
    before, after = text.split("[crm.other]")
    desk.cli.config.write_text(before + "[crm.other]" + after.replace('"client-secret"', '"other-secret"'))
    _failed(desk.cli("sync"), "login_refused", "CRM other", "client_secret")
    desk.bob_went_on()


def test_unknown_crm_user(desk: Desk) -> None:
    desk.alices(('"alice@example.com"', '"alize@example.com"'))
    answer = desk.cli("sync")
    assert answer.code == 1
    (error,) = answer.json["errors"]
    _one_sentence(error["message"], "alize@example.com")
    desk.bob_went_on()


def test_unreachable_dav_server(desk: Desk) -> None:
    nobody = f"http://127.0.0.1:{free_port()}/"
    desk.alices((desk.office.dav_proxy.url, nobody))
    for error in _failed(desk.cli("sync"), "unreachable", nobody.removeprefix("http://").rstrip("/")):
        assert error["retry"] is True
    desk.bob_went_on()
    (alice,) = desk.cli.ok("status", "alice")["accounts"]
    assert alice["light"] == "offline"


def test_unreachable_crm(desk: Desk, tmp_path: Path) -> None:
    _other_crm(desk)
    (tmp_path / "other-password").write_text(desk.office.crm.sync.password)
    nobody = f"http://127.0.0.1:{free_port()}"
    text = desk.cli.config.read_text()
    before, after = text.split("[crm.other]")
    desk.cli.config.write_text(before + "[crm.other]" + after.replace(desk.office.crm_proxy.url, nobody))
    (error,) = _failed(desk.cli("sync"), "unreachable", nobody.removeprefix("http://"))
    assert error["retry"] is True
    desk.bob_went_on()
    _find_its_way_back(desk, (nobody, desk.office.crm_proxy.url))


def _find_its_way_back(desk: Desk, *repair: tuple[str, str]) -> None:
    """What could not be done is not lost: once it is put right, the next sync does it."""
    desk.change(*repair)
    desk.cli.ok("sync")
    assert len(desk.office.rows("Contact", f"Email = '{ALICE.key}'")) == 1


def test_no_such_address_book(desk: Desk) -> None:
    base = desk.office.dav_proxy.url
    dav = desk.office.dav
    text = desk.cli.config.read_text()
    alice, bob = text.index("[account.alice]"), text.index("[account.bob]")
    wrong = account("alice", dav, base, books='collections = ["Contcats"]')
    desk.cli.config.write_text(text[:alice] + wrong.lstrip() + text[bob:])
    (error,) = _failed(desk.cli("sync"), "no_collection", "Contcats", "Contacts", "collections")
    assert error["item"] == "Contcats"
    desk.bob_went_on()
    _find_its_way_back(desk, ("Contcats", "Contacts"))


def test_missing_password_file(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "alice-password").unlink()
    _failed(desk.cli("sync"), "login_refused", "alice-password")
    desk.bob_went_on()


def test_check_names_the_trouble_and_what_to_do(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "alice-password").write_text("wrong")
    answer = desk.cli("check")
    assert answer.code == 1
    broken = [c for c in answer.json["checks"] if not c["ok"]]
    assert broken
    assert all("alice" in c["name"] for c in broken)
    assert any(c["ok"] and "bob" in c["name"] for c in answer.json["checks"])
    told = desk.cli.plain("check")
    assert told.code == 1
    assert "FAILED" in told.out


# ── a read-only collection ───────────────────────────────────────────────────────────────────────────────────

READ_ONLY = """
[steward]
user: bob
collection: .*
permissions: RrWw

[principal]
user: .+
collection: {user}
permissions: RW

[book]
user: .+
collection: {user}/Contacts
permissions: r

[others]
user: .+
collection: {user}/[^/]+
permissions: rw
"""


def test_read_only_collection(tmp_path: Path) -> None:
    """It is read; what would have to be written to it is told, and nothing else suffers."""
    with _read_only(tmp_path) as made:
        answer = made.cli("sync")
        assert answer.code == 1
        (error,) = answer.json["errors"]
        _one_sentence(error["message"], "Contacts", "cannot be written")
        assert len(made.rows("Contact")) == 2
        assert made.text(made.calendar + event(1).name).count("X-CRMSYNC-LINK") == 1

        before = made.stored(made.book)
        (row,) = made.rows("Contact", f"Email = '{ALICE.key}'")
        made.sf_alice.Contact.update(row["Id"], {"Title": "Changed in the CRM"})
        (meeting,) = made.rows("Event")
        made.sf_alice.Event.update(meeting["Id"], {"Subject": "Changed in the CRM"})
        answer = made.cli("sync")
        (error,) = answer.json["errors"]
        assert (answer.code, error["code"]) == (1, "read_only")
        _one_sentence(error["message"], "job_title", "Contacts", "write access", "crmsync retry")
        (parked,) = made.cli("queue").json
        assert (parked["state"], parked["error"]) == ("parked", error["message"])
        assert made.cli("sync").json["errors"] == []
        assert made.stored(made.book) == before
        assert "SUMMARY:Changed in the CRM" in made.text(made.calendar + event(1).name)
        assert len(made.rows("Contact")) == 2

        made.sf_alice.Contact.create({"LastName": "New", "Email": "new@example.com"})
        answer = made.cli("sync")
        assert (answer.code, answer.json["errors"][0]["code"]) == (1, "no_collection")

        told = made.cli.plain("check", "--write")
        assert told.code == 1
        assert "FAILED alice: write Contacts" in told.out
        assert made.stored(made.book) == before


@contextmanager
def _read_only(directory: Path) -> Iterator[Office]:
    """Alice reads her address book, and bob keeps it."""
    with office(directory, rights=READ_ONLY, bare=True) as made:
        made.dav.make_calendar("Calendar")
        answer = made.dav.send("MKCOL", made.book, MAKE_BOOK, user="bob")
        assert answer.status == 201
        for sample in (ALICE, BOB):
            made.dav.put(made.book + sample.name, sample.text, user="bob")
        made.put(event(1))
        yield made


MAKE_BOOK = """<?xml version="1.0"?>
<mkcol xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:carddav"><set><prop>
<resourcetype><collection/><C:addressbook/></resourcetype><displayname>Contacts</displayname>
</prop></set></mkcol>"""
