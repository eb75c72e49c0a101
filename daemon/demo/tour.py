"""The tour: what a person does on one side, and what then stands on the other, read back from the other server.

Each step asks the running service for a sync, as ``crmsync sync`` does, and looks until the other side shows what it
should. Where two edits must meet, the service is stopped in between.
"""

import os
import re
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias
from zoneinfo import ZoneInfo

import urllib3

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo import post, sample, texts
from crmsync.daemon.demo.calling import call
from crmsync.daemon.demo.clients import Refused, poll
from crmsync.daemon.demo.delegate import delegate
from crmsync.daemon.demo.endings import delete, delete_storm, untag
from crmsync.daemon.demo.place import DELEGATE, OWNER
from crmsync.daemon.demo.repeating import series
from crmsync.daemon.demo.scene import (
    APART,
    PATIENCE,
    REVIEW,
    TASK,
    NotSo,
    Skipped,
    Tour,
    make_cast,
)
from crmsync.daemon.demo.scheduled import by_the_crm
from crmsync.daemon.demo.stage import Stage

Step: TypeAlias = Callable[[Tour], None]  # raises NotSo when it does not come out
NamedStep: TypeAlias = tuple[str, Step]


# ── The steps ────────────────────────────────────────────────────────────────────────────────────────────────


def first_sync(tour: Tour) -> None:
    def there() -> set[str]:
        return {row["Email"] for row in tour.crm.query("SELECT Email FROM Contact")}

    before = there()  # in a kept directory people may have been tagged once
    make_cast(tour)
    cards = tour.book.all().values()
    wanted = {texts.value(t, "EMAIL") for t in cards if texts.tagged(t)}
    others = {texts.value(t, "EMAIL") for t in cards} - wanted
    tour.did("address book", f"{len(wanted)} people are tagged “CRM”, {len(others)} are not")
    found = tour.until("not all tagged people are in the CRM", there, lambda emails: wanted <= emails)
    if private := (others & found) - before:
        raise NotSo(f"people who are not tagged are in the CRM: {', '.join(sorted(private))}")
    tour.did("CRM", f"has all {len(wanted)}, and nobody who is not tagged")
    olga = tour.until(
        "Olga Exemplar, made in the CRM, is not in the address book",
        lambda: next((t for t in tour.book.all().values() if "Olga Exemplar" in t), ""),
        bool,
    )
    company = texts.value(olga, "ORG")
    tour.did("address book", f"has Olga Exemplar, who was made in the CRM ({company or 'without a company'})")


def tag(tour: Tour) -> None:
    if tour.contact(tour.address("ada")) is not None:
        raise NotSo("Ada is in the CRM before she is tagged")
    tour.book.edit(tour.ada, lambda text: texts.with_line(text, "CATEGORIES:CRM", "END:VCARD"))
    tour.did("address book", f"Ada {tour.surname} gets the category “CRM”")
    found = tour.until("she is not in the CRM", lambda: tour.contact(tour.address("ada")), bool)
    assert found is not None
    if (found["FirstName"], found["LastName"], found["Title"]) != ("Ada", tour.surname, "Taster"):
        raise NotSo(f"the record says {found}")
    tour.did("CRM", f"{found['Id']}: Ada {found['LastName']}, {found['Title']}, {found['MobilePhone']}")


def phone_number(tour: Tour) -> None:
    before = tour.book.get(tour.ada) or ""
    new = sample.phone(800 + tour.number)
    tour.crm.update("Contact", _id(tour, "ada"), {"MobilePhone": new})
    tour.did("CRM", f"Ada's mobile number becomes {new}")
    card = tour.until(
        "the vCard does not have it",
        lambda: tour.book.get(tour.ada) or "",
        lambda text: texts.value(text, "TEL", "CELL") == new,
    )
    for line in ("PHOTO", "X-FAVOURITE-TEA"):
        if not texts.raw(before, line) or texts.raw(before, line) != texts.raw(card, line):
            raise NotSo(f"the vCard's {line} is not what it was, byte for byte")
    size = len(texts.raw(card, "PHOTO"))
    tour.did("address book", f"TEL {new}; photo ({size} bytes) and X-FAVOURITE-TEA untouched, byte for byte")


def different_columns(tour: Tour) -> None:
    with tour.meanwhile():
        tour.crm.update("Contact", _id(tour, "ada"), {"Department": "Tasting"})
        tour.did("CRM", "Ada's department becomes Tasting")
        tour.book.edit(tour.ada, lambda text: texts.replaced(text, "TITLE", "TITLE:Head of Tea"))
        tour.did("address book", "Ada's title becomes Head of Tea, before any sync")
    tour.until(
        "the CRM does not have both",
        lambda: tour.contact(tour.address("ada")) or {},
        lambda row: (row.get("Title"), row.get("Department")) == ("Head of Tea", "Tasting"),
    )
    tour.did("CRM", "Head of Tea, Tasting")
    tour.until(
        "the vCard does not have both",
        lambda: tour.book.get(tour.ada) or "",
        lambda text: texts.value(text, "TITLE") == "Head of Tea" and "Tasting" in texts.value(text, "ORG"),
    )
    tour.did("address book", "Head of Tea, Tasting")


def same_column(tour: Tour) -> None:
    crm, card = "Head of Coffee", "Head of Cocoa"
    with tour.meanwhile():
        tour.crm.update("Contact", _id(tour, "ada"), {"Title": crm})
        tour.did("CRM", f"Ada's title becomes {crm}")
        row = tour.contact(tour.address("ada")) or {}
        since = datetime.fromisoformat(row["LastModifiedDate"])
        poll(lambda: tour.book.clock() >= since + APART, PATIENCE)
        tour.book.edit(tour.ada, lambda text: texts.replaced(text, "TITLE", f"TITLE:{card}"))
        tour.did("address book", f"a few seconds later it becomes {card}, before any sync")
    tour.until(
        "the later edit did not win in the CRM",
        lambda: tour.contact(tour.address("ada")) or {},
        lambda row: row.get("Title") == card,
    )
    kept = texts.value(tour.book.get(tour.ada) or "", "TITLE")
    if kept != card:
        raise NotSo(f"the vCard says {kept!r}")
    tour.did("both sides", f"{card}: the later edit")
    lost = [c for c in tour.service.call("conflicts") if c["column"] == "job_title" and c["crm"] == crm]
    if not lost or lost[-1]["ecs"] != card:
        raise NotSo("the conflict log does not have the value that lost")
    tour.did("conflict log", f"job_title: “{crm}” from the CRM lost to “{card}”; winner {lost[-1]['winner']}")


def move_event(tour: Tour) -> None:
    name, subject = tour.name("review.ics"), tour.subject(REVIEW)
    new = tour.monday + timedelta(days=2, hours=5)
    before = tour.until(
        "the event is not in the CRM", lambda: tour.activity("Event", subject, "StartDateTime"), bool
    )

    def move(text: str) -> str:
        for line, moment in (("DTSTART", new), ("DTEND", new + timedelta(hours=1))):
            text = texts.replaced(
                text, f"{line};TZID=[^:;]*", f"{line};TZID={texts.ZONE}:{moment:%Y%m%dT%H%M%S}"
            )
        return text

    tour.calendar.edit(name, move)
    tour.did("calendar", f"“{subject}” moves to {new:%A %H:%M}, Berlin time")
    wanted = new.replace(tzinfo=ZoneInfo(texts.ZONE))
    after = tour.until(
        "it did not move in the CRM",
        lambda: tour.activity("Event", subject, "StartDateTime") or {},
        lambda row: bool(row) and datetime.fromisoformat(row["StartDateTime"]) == wanted,
    )
    if before is None or before["Id"] != after["Id"]:
        raise NotSo("the CRM has another event now, not the same one at another time")
    tour.did("CRM", f"{after['Id']}: starts {after['StartDateTime']}")


def complete_task(tour: Tour) -> None:
    name, subject = tour.name("todo.ics"), tour.subject(TASK)
    row = tour.until("the task is not in the CRM", lambda: tour.activity("Task", subject, "Status"), bool)
    assert row is not None
    tour.crm.update("Task", row["Id"], {"Status": "Completed"})
    tour.did("CRM", f"the task “{subject}” is completed")
    text = tour.until(
        "the calendar does not say so",
        lambda: tour.calendar.get(name) or "",
        lambda text: texts.value(text, "STATUS") == "COMPLETED",
    )
    if texts.value(text, "X-EFFORT") != "small":
        raise NotSo("the task lost a property that the CRM has no field for")
    percent = texts.value(text, "PERCENT-COMPLETE")
    tour.did("task list", f"STATUS:COMPLETED, PERCENT-COMPLETE:{percent}, X-EFFORT as it was")


def mail(tour: Tour) -> None:
    if tour.post is None:
        raise Skipped(f"it needs Dovecot 2.3, a mail server: {post.INSTALL}")
    subject, id = tour.subject("Your samples"), f"samples-{tour.number}-{int(time.time())}@example.com"
    sent = texts.mail(id, "ben.sample@example.com", tour.post.username, subject)
    tour.post.deliver(sent)
    tour.post.tag(id, "$CRM")
    tour.did("mailbox", f"“{subject}”, from Ben Sample, gets the keyword $CRM; it is unread")

    def activity() -> dict[str, Any] | None:
        fields = "Id, Subject, FromAddress, HasAttachment"
        rows = tour.crm.query(f"SELECT {fields} FROM EmailMessage WHERE MessageIdentifier = '{id}'")
        return rows[0] if len(rows) == 1 else None

    found = tour.until("it is not in the CRM", activity, bool)
    assert found is not None
    where = f"EmailMessageId = '{found['Id']}'"
    people = tour.crm.query(f"SELECT RelationObjectType FROM EmailMessageRelation WHERE {where}")
    kinds = sorted(row["RelationObjectType"] for row in people)
    if kinds != ["Contact", "User"]:
        raise NotSo(f"it is related to {kinds}")
    tour.did("CRM", f"{found['Id']}: an e-mail activity, related to the contact Ben Sample and to Alice")
    flags, content = tour.post.shown(id) or ("", b"")
    if content != sent or "Seen" in flags:
        raise NotSo("the message was altered, or marked as read")
    tour.did("mailbox", "the message is as it was sent, byte for byte, and still unread")


def _id(tour: Tour, first: str) -> str:
    row = tour.contact(tour.address(first))
    if row is None:
        raise NotSo(f"{first.title()} is not in the CRM")
    return str(row["Id"])


STEPS: tuple[NamedStep, ...] = (
    ("The first sync: who is tagged is in the CRM", first_sync),
    ("A contact is tagged and appears in the CRM", tag),
    ("A phone number changes in the CRM and appears in the vCard", phone_number),
    ("Both sides edit different columns of one contact, and both edits survive", different_columns),
    (
        "Both sides edit the same column: the later one wins, the loser stands in the conflict log",
        same_column,
    ),
    ("An event moves", move_event),
    ("A repeating event: each of its dates is in the CRM, and one of them changes there", series),
    ("A task is completed", complete_task),
    ("A mail is tagged and becomes an activity of everyone who is named in it", mail),
    ("Somebody calls, and the call is in the CRM", call),
    ("A delegate tags in the owner's calendar, and it is the owner's record, once", delegate),
    ("The CRM's scheduler says when is exchanged, and in which direction", by_the_crm),
    ("An item is untagged: nothing is deleted, and later edits stay where they are", untag),
    ("An item is deleted on one side and goes on the other", delete),
    ("A delete storm is held, then rejected on the status page, and everything is back", delete_storm),
)


# ── Walking ──────────────────────────────────────────────────────────────────────────────────────────────────


def walk(stage: Stage, say: Callable[[str], None], steps: Sequence[NamedStep] = STEPS) -> int:
    """How many steps did not come out."""
    alice = stage.people[OWNER]
    numbers = [int(m[1]) for name in alice.book.names() if (m := re.match(r"tour-(\d+)-", name))]
    tour = Tour(
        alice.book,
        alice.calendar,
        alice.crm,
        stage.service,
        say,
        max(numbers, default=0) + 1,
        sample.next_monday(alice.calendar.clock()),
        alice.post,
        stage.people[DELEGATE].seeing(alice.calendar),
        stage.phones,
    )
    say(f"They run. A tour in {len(steps)} steps; each reads back from the other server.")
    failed = skipped = 0
    for count, (title, step) in enumerate(steps, 1):
        say(f"\n{count:>2}. {title}")
        begun = time.monotonic()
        try:
            trouble = _taken(step, tour)
        except Skipped as reason:
            skipped += 1
            say(f"   – SKIPPED: {reason}")
            continue
        failed += bool(trouble)
        took = f"({time.monotonic() - begun:.1f} s)"
        say(f"   ✗ did not come out: {trouble} {took}" if trouble else f"   ✓ {took}")
    say(
        f"\n✗ {failed} of {len(steps)} steps did not come out; the service's log may say why."
        if failed
        else f"\n✓ All {len(steps) - skipped} steps came out."
    )
    return failed + (skipped if os.environ.get("CRMSYNC_CI") else 0)  # there everything has to be tried


def _taken(step: Step, tour: Tour) -> str:
    """Why it did not come out; empty when it did."""
    try:
        step(tour)
    except (NotSo, Refused) as error:
        return str(error)
    except (Failure, urllib3.exceptions.HTTPError) as error:
        return f"{type(error).__name__}: {error}"
    return ""
