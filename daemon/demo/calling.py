"""A step of the tour: somebody calls."""

from typing import Any

from crmsync.daemon.demo import telephone
from crmsync.daemon.demo.clients import poll
from crmsync.daemon.demo.place import OWNER
from crmsync.daemon.demo.scene import PATIENCE, NotSo, Skipped, Tour


def call(tour: Tour) -> None:
    """A call that nobody answers: what is there to answer it with is in the browser."""
    if tour.phones is None:
        raise Skipped(f"it needs baresip, a telephone: {telephone.INSTALL}")
    outside, inside = tour.phones.outside, tour.phones.inside
    number = outside.address.partition(":")[2].partition("@")[0]
    before = {row["Id"] for row in _calls(tour)}
    outside.tell("dial", inside.address)
    tour.did("telephone", f"{number} calls Alice; her softphone shows it, and who has the number in the CRM")
    if not poll(lambda: _going(tour), PATIENCE):
        raise NotSo("the service does not see the call")
    outside.tell("hangup")
    tour.did("telephone", "nobody answers, the caller gives up")
    rows = tour.until(
        "the call is not in the CRM",
        lambda: [row for row in _calls(tour) if row["Id"] not in before],
        lambda found: len(found) == 1,
    )
    (row,) = rows
    if (row["CallType"], row["CallDisposition"]) != ("Inbound", "Missed"):
        raise NotSo(f"the CRM says {row}")
    tour.did("CRM", f"{row['Id']}: “{row['Subject']}”, a phone call that is Alice's")
    tour.until(
        "the call is not in the task list",
        lambda: [text for text in tour.calendar.all().values() if row["Subject"] in text],
        bool,
    )
    tour.did("task list", "has it, too, with the category “Phone call”")


def _calls(tour: Tour) -> list[dict[str, Any]]:
    fields = "Id, Subject, CallType, CallDisposition"
    return tour.crm.query(f"SELECT {fields} FROM Task WHERE TaskSubtype = 'Call' AND CallType = 'Inbound'")


def _going(tour: Tour) -> bool:
    return bool(tour.service.call("softphone_calls", account=OWNER)["calls"])
