"""Steps of the tour: what ends. A tag that is taken away, an item that is deleted, and too many at once."""

from collections.abc import Sequence
from html import escape
from typing import Any

from crmsync.daemon.demo import sample, texts
from crmsync.daemon.demo.page import Page
from crmsync.daemon.demo.place import OWNER
from crmsync.daemon.demo.scene import FAIR, NotSo, Tour
from crmsync.daemon.web.words import full_name


def untag(tour: Tour) -> None:
    name, address = tour.name("uma.vcf"), tour.address("uma")
    before = tour.until("she is not in the CRM", lambda: tour.contact(address), bool)
    assert before is not None
    tour.book.edit(name, lambda text: texts.without(text, "CATEGORIES"))
    tour.did("address book", f"Uma {tour.surname} loses the category “CRM”")
    tour.until(
        "the service still links her",
        lambda: tour.service.call("explain", item=before["Id"]),
        lambda told: not told["tagged"],
    )
    new = sample.phone(900 + tour.number)
    tour.book.edit(name, lambda text: texts.replaced(text, "TEL", f"TEL;TYPE=CELL:{new}"))
    tour.crm.update("Contact", before["Id"], {"Title": "Still here"})
    tour.did("both sides", "later her number changes in the address book, her title in the CRM")
    tour.sync_through()
    after, card = tour.contact(address), tour.book.get(name)
    if after is None or card is None:
        raise NotSo("she was deleted")
    if after["MobilePhone"] != before["MobilePhone"] or texts.value(card, "TITLE"):
        raise NotSo("an edit went across although the item is not tagged")
    tour.did("CRM", f"{after['Id']}: is there, with the old number {after['MobilePhone']}")
    tour.did("address book", "is there, without the title")


def delete(tour: Tour) -> None:
    name, subject = tour.name("fair.ics"), tour.subject(FAIR)
    row = tour.until("the event is not in the CRM", lambda: tour.activity("Event", subject, "Subject"), bool)
    assert row is not None
    if tour.calendar.get(name) is None:
        raise NotSo("the event is gone before it was deleted")
    tour.crm.delete("Event", row["Id"])
    tour.did("CRM", f"the event “{subject}” is deleted")
    tour.until("it is still in the calendar", lambda: tour.calendar.get(name), lambda text: text is None)
    tour.did("calendar", "it is gone there, too; nothing else is")
    if tour.calendar.get(tour.name("review.ics")) is None:
        raise NotSo("another event went with it")


def delete_storm(tour: Tour) -> None:
    victims = _victims(tour)
    emails = sorted(texts.value(text, "EMAIL") for text in victims.values())
    with tour.meanwhile():
        for name in victims:
            tour.book.delete(name)
    tour.did("address book", f"a broken phone deletes {len(victims)} people at once")

    def held() -> list[dict[str, Any]]:
        return [d for d in tour.service.call("deletions") if d["account"] == OWNER and d["kind"] == "contact"]

    waiting = tour.until("the deletes are not held", held, lambda found: len(found) == len(victims))
    if gone := _not_in_crm(tour, emails):
        raise NotSo(f"deleted in the CRM without asking: {', '.join(gone)}")
    tour.did("CRM", f"still has all {len(victims)}: the deletes are held until a person decides")
    _reject_on_the_page(tour, waiting)
    tour.did("status page", "an admin rejects them: they were a mistake")
    tour.until(
        "not everybody is back in the address book",
        lambda: sorted(texts.value(text, "EMAIL") for text in tour.book.all().values()),
        lambda there: set(emails) <= set(there),
    )
    if gone := _not_in_crm(tour, emails):
        raise NotSo(f"gone from the CRM: {', '.join(gone)}")
    tour.did("address book", f"all {len(victims)} are back, from what the CRM has of them")


def _reject_on_the_page(tour: Tour, waiting: Sequence[dict[str, Any]]) -> None:
    page = Page(tour.service.call("login_link", admin=True)["url"])
    try:
        shown = page.read("/decisions")
        ids = [full_name(one) for one in waiting]
        if missing := [id for id in ids if escape(id) not in shown]:
            raise NotSo(f"the status page does not show {', '.join(missing[:3])}")
        page.decide(
            "/decisions/deletion",
            shown,
            [("verb", "reject"), ("which", "chosen"), *(("item", id) for id in ids)],
        )
    finally:
        page.close()


def _victims(tour: Tour) -> dict[str, str]:
    """Sample people without a photo: what comes back is what the CRM can hold."""
    mine = {tour.ada, tour.name("uma.vcf")}
    found = {
        name: text
        for name, text in tour.book.all().items()
        if name not in mine and texts.tagged(text) and not texts.raw(text, "PHOTO")
    }
    return dict(list(found.items())[:10])


def _not_in_crm(tour: Tour, emails: Sequence[str]) -> list[str]:
    there = {row["Email"] for row in tour.crm.query("SELECT Email FROM Contact")}
    return [email for email in emails if email not in there]
