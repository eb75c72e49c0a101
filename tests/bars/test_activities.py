"""Phone calls, letters and faxes of the CRM: tasks of a person, marked by a category, and back."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bars.delegates import ACCOUNT, Place, place, source
from tests.bars.lines import value_of
from tests.bars.office import Office, office
from tests.servers.ews.person import EwsPerson
from tests.servers.ews.server import ews

pytestmark = [pytest.mark.bar, pytest.mark.timeout(120)]
TASK = """BEGIN:VCALENDAR\r
VERSION:2.0\r
PRODID:-//x//EN\r
BEGIN:VTODO\r
UID:{uid}\r
DTSTAMP:20260101T000000Z\r
SUMMARY:{uid}\r
CATEGORIES:{categories}\r
END:VTODO\r
END:VCALENDAR\r
"""
KINDS = {"Phone call": "Call", "Letter": "Letter", "Fax": "Fax"}  # category -> Type


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Office]:
    with office(tmp_path, more='[account.alice.complete]\nletter = "keep"\n') as made:
        yield made


def rows(made: Office | Place) -> dict[str, Mapping[str, Any]]:
    """By subject."""
    query = "SELECT Id, Subject, Status, Type, TaskSubtype FROM Task"
    return {row["Subject"]: row for row in made.sf.query_all(query)["records"]}


def categories(made: Office) -> dict[str, set[str]]:
    found = [s.text for s in made.stored(made.calendar).values()]
    return {value_of(t, "SUMMARY") or "": set((value_of(t, "CATEGORIES") or "").split(",")) for t in found}


def items(made: Office) -> dict[str, str]:
    """Their URLs, by subject."""
    found = made.stored(made.calendar)
    return {value_of(s.text, "SUMMARY") or "": made.calendar + name for name, s in found.items()}


def test_activities_of_the_crm_are_marked_tasks(made: Office) -> None:
    made.sf_alice.Task.create({"Subject": "Ring Ada", "TaskSubtype": "Call"})
    made.sf_alice.Task.create({"Subject": "Write to Ada", "Type": "Letter"})
    made.sf_alice.Task.create({"Subject": "Fax to Ada", "Type": "Fax"})
    made.sf_alice.Task.create({"Subject": "Meet Ada", "Type": "Meeting"})
    made.sf_alice.Task.create({"Subject": "Think of Ada"})
    made.sync()
    assert categories(made) == {
        "Ring Ada": {"CRM", "Phone call"},
        "Write to Ada": {"CRM", "Letter"},
        "Fax to Ada": {"CRM", "Fax"},
        "Meet Ada": {"CRM"},
        "Think of Ada": {"CRM"},
    }
    made.quiet()


def test_a_task_with_the_category_becomes_the_activity(made: Office) -> None:
    for word in KINDS:
        made.dav.put(
            f"{made.calendar}{word[:3]}.ics", TASK.format(uid=word, categories=f"CRM,{word.lower()}")
        )
    made.sync()
    found = rows(made)
    assert {word: row["Type"] for word, row in found.items()} == KINDS
    assert [found[w]["TaskSubtype"] for w in KINDS] == ["Call", "Task", "Task"]
    assert categories(made)["Fax"] == {"CRM", "fax"}
    made.quiet()


def test_a_task_that_is_given_the_category_later(made: Office) -> None:
    url = made.calendar + "one.ics"
    made.dav.put(url, TASK.format(uid="one", categories="CRM,Blue"))
    made.sync()
    assert rows(made)["one"]["Type"] is None
    made.edit(url, ("Blue", "Blue,Phone call"))
    made.sync()
    assert rows(made)["one"]["Type"] == "Call"
    made.edit(url, ("Phone call", "Letter"))
    made.sync()
    assert rows(made)["one"]["Type"] == "Letter"
    made.sf_alice.Task.update(rows(made)["one"]["Id"], {"Type": "Fax"})
    made.sync()
    assert categories(made)["one"] == {"CRM", "Blue", "Fax"}
    made.edit(url, (",Fax", ""))
    made.sync()
    assert rows(made)["one"]["Type"] == "Other"
    assert categories(made)["one"] == {"CRM", "Blue"}
    made.quiet()


def test_deleting_and_completing(made: Office) -> None:
    """By the rules: all deletes are mirrored here, completed letters are not."""
    made.sf_alice.Task.create({"Subject": "Ring Ada", "TaskSubtype": "Call"})
    made.sf_alice.Task.create({"Subject": "Ring Bea", "TaskSubtype": "Call"})
    made.sf_alice.Task.create({"Subject": "Write to Ada", "Type": "Letter"})
    made.sync()
    urls = items(made)
    made.delete(urls["Ring Ada"])
    for subject in ("Ring Bea", "Write to Ada"):
        made.edit(urls[subject], ("END:VTODO", "STATUS:COMPLETED\r\nEND:VTODO"))
    made.sync()
    found = rows(made)
    assert {s: r["Status"] for s, r in found.items()} == {
        "Ring Bea": "Completed",
        "Write to Ada": "Not Started",
    }
    made.sf_alice.Task.delete(found["Ring Bea"]["Id"])
    made.sync()
    assert set(items(made)) == {"Write to Ada"}


def test_what_the_crm_completes_is_done_whatever_the_rule(made: Office) -> None:
    """The rule is about the task that is completed; and one that was is not opened again by it."""
    made.sf_alice.Task.create({"Subject": "Ring Ada", "TaskSubtype": "Call"})
    made.sf_alice.Task.create({"Subject": "Write to Ada", "Type": "Letter"})
    made.sync()
    urls = items(made)
    made.edit(urls["Write to Ada"], ("END:VTODO", "STATUS:COMPLETED\r\nEND:VTODO"))
    made.sync()
    made.quiet()
    assert value_of(made.dav.send("GET", urls["Write to Ada"]).data.decode(), "STATUS") == "COMPLETED"
    for row in rows(made).values():
        made.sf_alice.Task.update(row["Id"], {"Status": "Completed"})
    made.sync()
    for url in urls.values():
        assert value_of(made.dav.send("GET", url).data.decode(), "STATUS") == "COMPLETED"
    made.quiet()


def test_a_task_of_ones_own_that_became_an_activity_follows_its_rules(made: Office) -> None:
    """Whatever it was before."""
    for uid in ("one", "two"):
        made.dav.put(f"{made.calendar}{uid}.ics", TASK.format(uid=uid, categories="CRM,Blue"))
    made.sync()
    urls = items(made)
    for url in urls.values():
        made.edit(url, ("Blue", "Letter"))
    made.sync()
    made.edit(urls["one"], ("END:VTODO", "STATUS:COMPLETED\r\nEND:VTODO"))
    made.delete(urls["two"])
    made.sync()
    assert {s: (r["Type"], r["Status"]) for s, r in rows(made).items()} == {"one": ("Letter", "Not Started")}


def test_a_rule_of_its_own_for_deleted_calls(tmp_path: Path) -> None:
    with office(tmp_path, more='[account.alice.delete]\nphone_call = "unlink"\n') as made:
        made.sf_alice.Task.create({"Subject": "Ring Ada", "TaskSubtype": "Call"})
        made.sf_alice.Task.create({"Subject": "Think of Ada"})
        made.sync()
        for url in items(made).values():
            made.delete(url)
        made.sync()
        assert set(rows(made)) == {"Ring Ada"}


def test_on_exchange(tmp_path: Path) -> None:
    alice = "alice@example.com"
    with ews(alice) as server:
        text = ACCOUNT.format(name="alice") + source("alice", "ews", server.url, alice)
        with place(tmp_path, text, {alice: server.login(alice)[1]}) as made:
            tasks = server.place.mailboxes[alice].known("tasks")
            person = EwsPerson(server.place, tasks)
            id = person.add("Ring Ada")
            person.tag(id, "Blue", "CRM", "Phone call")
            made.sync()
            assert rows(made)["Ring Ada"]["TaskSubtype"] == "Call"
            made.sf.Task.update(rows(made)["Ring Ada"]["Id"], {"Type": "Fax"})
            made.sync()
            words = [e.text for e in tasks.items[id].fields["Categories"]]
            assert sorted(words) == ["Blue", "CRM", "Fax"]
            assert made.sync()["writes"] == 0


def test_deleting_and_completing_on_exchange(tmp_path: Path) -> None:
    alice = "alice@example.com"
    rules = '[account.alice.complete]\nletter = "keep"\n[account.alice.delete]\nfax = "unlink"\n'
    with ews(alice) as server:
        text = ACCOUNT.format(name="alice") + source("alice", "ews", server.url, alice, rules)
        with place(tmp_path, text, {alice: server.login(alice)[1]}) as made:
            tasks = server.place.mailboxes[alice].known("tasks")
            person = EwsPerson(server.place, tasks)
            words = {"ring": "Phone call", "ring on": "Phone call", "write": "Letter", "fax": "Fax"}
            ids = {}
            for subject, word in words.items():
                ids[subject] = person.add(subject)
                person.tag(ids[subject], "CRM", word)
            made.sync()
            for subject in ("ring on", "write"):
                person.set(ids[subject], Status="Completed", PercentComplete="100", IsComplete="true")
            for subject in ("ring", "fax"):
                person.delete(ids[subject])
            made.sync()
            assert {s: r["Status"] for s, r in rows(made).items()} == {
                "ring on": "Completed",
                "write": "Not Started",
                "fax": "Not Started",
            }
            made.sf.Task.delete(rows(made)["ring on"]["Id"])
            made.sync()
            assert ids["ring on"] not in tasks.items
            assert ids["write"] in tasks.items
            made.quiet()
