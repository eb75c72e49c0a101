"""History, undo, explain, forget and dry run, on real servers."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.bars.meetings import event, task
from tests.bars.office import Office, office
from tests.bars.people import contact

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
ADA, BEN, CAT = contact(1), contact(6), contact(11)
MEETING, LATER, TODO = event(0), event(1), task(0)


@pytest.fixture
def linked(tmp_path: Path) -> Iterator[Office]:
    """Three contacts, two events and a task, in step."""
    with office(tmp_path) as made:
        for sample in (ADA, BEN, CAT, MEETING, LATER, TODO):
            made.put(sample)
        made.sync()
        yield made


def _record(made: Office, email: str) -> dict[str, Any]:
    (row,) = made.rows("Contact", f"Email = '{email}'")
    return row


# ── history ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_history_tells_old_and_new_and_who_won(linked: Office) -> None:
    id = _record(linked, ADA.key)["Id"]
    linked.sf_alice.Contact.update(id, {"Title": "Changed"})
    (cycle, *_) = linked.sync()["cycles"]
    for name in (id, ADA.name):
        last = linked.cli.ok("history", name)[-1]
        told = {key: last[key] for key in ("column", "old", "new", "side", "winner", "cycle", "action")}
        assert told == {
            "column": "job_title",
            "old": ADA.row["Title"],
            "new": "Changed",
            "side": "ecs",
            "winner": "crm",
            "cycle": cycle["id"],
            "action": "update",
        }
        assert last["reason"]
    assert "job_title" in linked.cli.plain("history", ADA.name).out


# ── undo ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_undo_of_an_update(linked: Office) -> None:
    """The card gets its title back; the CRM keeps what a person wrote there, and a person has to decide."""
    id = _record(linked, ADA.key)["Id"]
    linked.sf_alice.Contact.update(id, {"Title": "Mistaken", "Department": "Mistaken too"})
    (cycle, *_) = linked.sync()["cycles"]
    url = linked.book + ADA.name
    assert "TITLE:Mistaken" in linked.text(url)
    answer = linked.cli.ok("undo", str(cycle["id"]))
    assert (answer["undone"], answer["kept"], answer["errors"]) == (2, [], [])
    assert f"TITLE:{_escaped(ADA.row['Title'])}\r\n" in linked.text(url)
    assert _record(linked, ADA.key)["Title"] == "Mistaken"
    again = linked.cli("sync")
    assert (again.code, again.json["writes"]) == (3, 0)
    open_ones = {c["column"] for c in linked.cli.ok("conflicts") if not c["resolved"]}
    assert open_ones == {"job_title", "department"}
    for column in open_ones:
        linked.cli.ok("conflicts", "resolve", id, column, "--keep", "ecs")
    linked.sync()
    assert _record(linked, ADA.key)["Title"] == ADA.row["Title"]
    linked.quiet()


def _escaped(text: str) -> str:
    return text.replace(",", "\\,").replace(";", "\\;")


def test_undo_of_a_create(linked: Office) -> None:
    new = contact(16)
    linked.put(new)
    (cycle, *_) = linked.sync()["cycles"]
    assert linked.count("Contact") == 4
    assert linked.cli.ok("undo", str(cycle["id"]))["errors"] == []
    assert linked.count("Contact") == 3
    assert linked.has(linked.book + new.name)
    linked.cli("sync")
    assert linked.count("Contact") == 3  # not made again behind the back of who undid it


def test_undo_of_a_delete(linked: Office) -> None:
    """A card is deleted in the CRM's wake; undone, it is there again as it was."""
    before = linked.text(linked.book + ADA.name)
    linked.sf_alice.Contact.delete(_record(linked, ADA.key)["Id"])
    (cycle, *_) = linked.sync()["cycles"]
    assert not linked.has(linked.book + ADA.name)
    assert linked.cli.ok("undo", str(cycle["id"]))["errors"] == []
    cards = [s.text for s in linked.stored(linked.book).values() if f"UID:{ADA.uid}" in s.text]
    assert [_without_link(card) for card in cards] == [_without_link(before)]
    linked.cli("sync")
    assert len([s for s in linked.stored(linked.book).values() if f"UID:{ADA.uid}" in s.text]) == 1


PHOTO = "PHOTO;ENCODING=b;TYPE=JPEG:" + "/9j/4AAQSkZJRgABAQ" * 40
ODD = "\r\n".join(
    [
        *("BEGIN:VCARD", "VERSION:3.0", "UID:odd", "N:Odd;Ann;;;", "FN:Ann Odd"),
        *("item1.EMAIL;TYPE=INTERNET:odd@example.com", "item1.X-ABLABEL:_$!<Other>!$_"),
        *("NOTE:kept\\, at home", "X-SHOE-SIZE;X-UNIT=eu:43"),
        "\r\n ".join(PHOTO[i : i + 74] for i in range(0, len(PHOTO), 74)),
        *("CATEGORIES:CRM", "END:VCARD", ""),
    ]
)


def test_undo_of_a_delete_restores_every_byte(tmp_path: Path) -> None:
    """On a server that stores what it is given: photo, X- properties, groups, order and folding."""
    with office(tmp_path, server="xandikos") as made:
        made.dav.put(made.book + "odd.vcf", ODD)
        made.sync()
        before = made.text(made.book + "odd.vcf")
        assert PHOTO[:74] in before
        made.sf_alice.Contact.delete(_record(made, "odd@example.com")["Id"])
        (cycle, *_) = made.sync()["cycles"]
        assert made.stored(made.book) == {}
        answer = made.cli.ok("undo", str(cycle["id"]))
        assert (answer["undone"], answer["kept"], answer["partly"]) == (1, [], [])
        assert [stored.text for stored in made.stored(made.book).values()] == [before]


def _without_link(text: str) -> list[str]:
    lines = text.replace("\r\n ", "").split("\r\n")
    return [line for line in lines if not line.startswith(("X-CRMSYNC-LINK", "REV"))]


# ── explain ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_explain_of_what_is_in_step(linked: Office) -> None:
    id = _record(linked, ADA.key)["Id"]
    for name in (id, ADA.name):
        told = linked.cli.ok("explain", name)
        assert {
            "item",
            "record",
            "account",
            "kind",
            "tagged",
            "synced",
            "snapshot",
            "versions",
            "decisions",
        } <= told.keys()
        assert (told["record"], told["account"], told["kind"], told["tagged"]) == (
            id,
            "alice",
            "contact",
            True,
        )
        assert told["snapshot"]["email"] == ADA.key
        assert told["decisions"]
    assert ADA.key in linked.cli.plain("explain", id).out


@pytest.mark.parametrize(
    ("change", "word"),
    [
        (("CATEGORIES:CRM", "CATEGORIES:Else"), "tag"),
        (("SUMMARY:", "RRULE:FREQ=HOURLY;COUNT=3\r\nSUMMARY:"), "recurring"),
        (("SUMMARY:", "CLASS:PRIVATE\r\nSUMMARY:"), "private"),
    ],
)
def test_explain_of_what_is_left_alone(linked: Office, change: tuple[str, str], word: str) -> None:
    sample = event(7)
    url = linked.calendar + sample.name
    linked.dav.put(url, sample.text.replace(*change))
    text = linked.text(url)
    linked.sync()
    assert linked.text(url) == text
    assert linked.count("Event") == 2
    told = linked.cli.ok("explain", sample.name)
    assert told["record"] is None
    assert word in " ".join(d["reason"] for d in told["decisions"])


# ── forget ───────────────────────────────────────────────────────────────────────────────────────────────────


def test_forget_leaves_nothing_and_never_imports_again(linked: Office) -> None:
    id = _record(linked, ADA.key)["Id"]
    linked.sf_alice.Contact.update(id, {"Title": "Nobody's business"})
    linked.sync()
    answer = linked.cli.ok("forget", ADA.key.upper())
    assert answer["forgotten"] == 1
    kept = b"".join(
        file.read_bytes() for file in (linked.directory / "state").glob("state.db*") if file.is_file()
    )
    for word in (
        ADA.key,
        ADA.row["LastName"],
        ADA.row["MobilePhone"],
        "Nobody's business",
        ADA.row["MailingStreet"],
    ):
        assert str(word).encode() not in kept, word
    assert linked.has(linked.book + ADA.name)
    linked.edit(linked.book + ADA.name, ("NICKNAME:", "NICKNAME:again "))
    linked.sf_alice.Contact.update(id, {"Title": "Still nobody's"})
    linked.cli.ok("sync", "--full")
    assert "Still" not in linked.text(linked.book + ADA.name)
    assert linked.count("Contact") == 3
    assert "forgotten" in " ".join(d["reason"] for d in linked.cli.ok("explain", ADA.name)["decisions"])


def test_forget_everywhere(linked: Office) -> None:
    answer = linked.cli.ok("forget", ADA.key, "--everywhere")
    assert (answer["forgotten"], answer["deleted"]) == (1, 2)
    assert not linked.has(linked.book + ADA.name)
    assert linked.rows("Contact", f"Email = '{ADA.key}'") == []
    linked.quiet()


# ── dry run ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_dry_run_changes_nothing_and_is_what_the_next_sync_does(linked: Office) -> None:
    new = contact(16)
    linked.put(new)
    ben, cat = (_record(linked, sample.key)["Id"] for sample in (BEN, CAT))
    linked.sf_alice.Contact.update(ben, {"Title": "From the CRM", "Department": "Also"})
    linked.edit(linked.book + BEN.name, ("NRW", "Bavaria"))
    linked.delete(linked.book + CAT.name)
    linked.sf_alice.Event.create(
        {
            "Subject": "Made in the CRM",
            "StartDateTime": "2026-08-01T10:00:00Z",
            "EndDateTime": "2026-08-01T11:00:00Z",
        }
    )
    linked.edit(linked.calendar + LATER.name, ("CATEGORIES:CRM", "CATEGORIES:Else"))

    before, waiting = linked.everything(), linked.cli.ok("status")
    first = linked.cli("sync", "--dry-run")
    second = linked.cli("sync", "--dry-run")
    assert linked.everything() == before
    assert first.code == second.code == 0
    assert first.json["plan"] == second.json["plan"]
    assert first.json["writes"] == 0
    assert linked.cli.ok("status")["accounts"][0]["pending"] == waiting["accounts"][0]["pending"]
    assert "From the CRM" not in linked.text(linked.book + BEN.name)

    plan = {(p["side"], p["action"], p["item"] or p["record"], *p["columns"]) for p in first.json["plan"]}
    created = {
        p["item"] or p["record"]: set(p["columns"]) for p in first.json["plan"] if p["action"] == "create"
    }
    answer = linked.sync()
    assert _counted(first.json["plan"]) == {
        name: sum(c[name] for c in answer["cycles"]) for name in ("created", "updated", "deleted", "unlinked")
    }
    assert ("ecs", "update", BEN.name, "department", "job_title") in plan
    assert ("crm", "update", BEN.name, "address_work_region") in plan
    assert any(entry[:3] == ("crm", "delete", CAT.name) for entry in plan)
    assert any(entry[:3] == ("ecs", "unlink", LATER.name) for entry in plan)
    row = _record(linked, new.key)
    assert {"first_name", "last_name", "email", "phone_mobile", "birthday"} <= created[new.name]
    assert row["MobilePhone"] == new.row["MobilePhone"]
    assert linked.rows("Contact", f"Id = '{cat}'") == []
    linked.quiet()


def _counted(plan: list[dict[str, Any]]) -> dict[str, int]:
    """As the report of a sync counts; an item that is updated on both sides counts for each."""
    words = {"create": "created", "update": "updated", "delete": "deleted", "unlink": "unlinked"}
    return {many: sum(p["action"] == one for p in plan) for one, many in words.items()}


def test_dry_run_of_a_first_sync(tmp_path: Path) -> None:
    with office(tmp_path) as made:
        for sample in (ADA, MEETING, TODO):
            made.put(sample)
        made.sf_alice.Contact.create({"LastName": "Crm", "Email": "crm@example.com"})
        before = made.everything()
        plan = made.cli.ok("sync", "--dry-run")["plan"]
        assert made.everything() == before
        assert sorted((p["side"], p["action"]) for p in plan) == [("crm", "create")] * 3 + [("ecs", "create")]
        assert made.cli.ok("sync")["cycles"][0]["created"] == 4
