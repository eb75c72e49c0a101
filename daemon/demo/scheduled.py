"""A step of the tour: the CRM's scheduler says when is exchanged, and in which direction."""

from typing import Any

from crmsync.daemon.demo import texts
from crmsync.daemon.demo.clients import Crm, poll
from crmsync.daemon.demo.place import CLIENT_ID, OWNER, SYNC_USER
from crmsync.daemon.demo.scene import PATIENCE, NotSo, Tour

UNDER_WAY = (None, "sending", "accepted", "running")


def by_the_crm(tour: Tour) -> None:
    title, department = f"Head of Time {tour.number}", f"Clocks {tour.number}"
    with tour.service.told_by_the_crm():
        tour.did("service", 'authority = "crm": its own timers only note what changes')
        tour.book.edit(tour.ada, lambda text: texts.replaced(text, "TITLE", f"TITLE:{title}"))
        tour.did("address book", f"Ada's title becomes {title}")
        record = _ada(tour)
        tour.crm.update("Contact", record["Id"], {"Department": department})
        tour.did("CRM", f"her department becomes {department}")
        tour.sync_through()
        if _ada(tour)["Title"] == title or department in _card(tour):
            raise NotSo("something was exchanged that the CRM has not asked for")
        tour.did("crmsync sync", _notice(tour))
        did = _asked(tour, "reverse")
        if _ada(tour)["Title"] != title or department in _card(tour):
            raise NotSo(f"the CRM asked for what is new on the ECS side, and has {_ada(tour)['Title']}")
        tour.did("CRM", f"its scheduler asks for a reverse exchange ({did}): it has {title}")
        did = _asked(tour, "forward")
        if department not in _card(tour):
            raise NotSo("the CRM brought its changes, and the vCard does not have them")
        tour.did("address book", f"after a forward one ({did}): it has {department}")
    tour.sync_through()


def _asked(tour: Tour, direction: str) -> str:
    """By a job in the CRM, a record. What it did."""
    place = tour.service.place
    admin = Crm(
        tour.crm.url,
        CLIENT_ID,
        place.secret("crm-client"),
        SYNC_USER,
        place.secret("crm-sync"),
        tour.crm.pool,
    )
    fields = {"Name": f"Tour {tour.number}, {direction}", "Direction__c": direction, "Accounts__c": OWNER}
    id = admin.create("ExchangeJob__c", {**fields, "RunNow__c": True})

    def job() -> dict[str, Any]:
        (row,) = admin.query(f"SELECT State__c, Job__c, Result__c FROM ExchangeJob__c WHERE Id = '{id}'")
        return row

    if not poll(lambda: job()["State__c"] not in UNDER_WAY, PATIENCE) or job()["State__c"] != "done":
        raise NotSo(f"the CRM's job {id} says {job()}")
    return f"job {job()['Job__c'][:8]}…"


def _ada(tour: Tour) -> dict[str, Any]:
    row = tour.contact(tour.address("ada"))
    if row is None:
        raise NotSo("Ada is not in the CRM")
    return row


def _card(tour: Tour) -> str:
    return texts.value(tour.book.get(tour.ada) or "", "ORG")


def _notice(tour: Tour) -> str:
    found = [n["message"] for n in tour.service.call("sync", names=(OWNER,))["notices"]]
    if not found:
        raise NotSo("the service does not say that something waits for the CRM's word")
    return str(found[0])
