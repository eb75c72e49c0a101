"""A step of the tour: somebody who looks after another person's calendar tags an event there."""

from datetime import timedelta
from typing import Any

from crmsync.daemon.demo import texts
from crmsync.daemon.demo.clients import quoted
from crmsync.daemon.demo.place import DELEGATE, OWNER, crm_user
from crmsync.daemon.demo.scene import NotSo, Tour

VISIT = "Visit to the sample hall"


def delegate(tour: Tour) -> None:
    """The owner's account is the last to see it, and brings it in all the same."""
    name, subject = tour.name("visit.ics"), tour.subject(VISIT)
    start = tour.monday + timedelta(days=3, hours=2)
    tour.calendar.put(name, texts.event(tour.name("visit"), subject, start, timedelta(hours=1), tagged=False))
    with tour.meanwhile():
        tour.shared.edit(name, lambda text: texts.with_line(text, "CATEGORIES:CRM", "END:VEVENT"))
        tour.did("calendar", f"Bob, with a login of his own, tags “{subject}” in Alice's calendar")
        tour.service.sync_alone(DELEGATE)
        if rows := _records(tour, subject):
            raise NotSo(f"Bob's account has brought it into the CRM: {rows}")
        tour.did("CRM", "has nothing yet: Bob's account leaves it to Alice's, which has not synced")
    tour.until("the event is not in the CRM", lambda: _records(tour, subject), bool)
    tour.sync_through(OWNER, DELEGATE)
    rows = _records(tour, subject)
    owners = [_username(tour, row["OwnerId"]) for row in rows]
    if owners != [crm_user(OWNER)]:
        raise NotSo(f"the CRM has {len(rows)} of it, which belong to {', '.join(owners)}")
    tour.did("CRM", f"{rows[0]['Id']}: one event, and it is Alice's")
    told = tour.service.call("item_history", item=rows[0]["Id"])
    made = [(entry["account"], entry["reason"]) for entry in told if entry["action"] == "create"]
    if [account for account, _ in made] != [OWNER] or f"account {DELEGATE}" not in made[0][1]:
        raise NotSo(f"the history says {made}")
    tour.did("history", f"account {OWNER}: {made[0][1]}")


def _records(tour: Tour, subject: str) -> list[dict[str, Any]]:
    return tour.crm.query(f"SELECT Id, OwnerId FROM Event WHERE Subject = {quoted(subject)}")


def _username(tour: Tour, id: str) -> str:
    (user,) = tour.crm.query(f"SELECT Username FROM User WHERE Id = {quoted(id)}")
    return str(user["Username"])
