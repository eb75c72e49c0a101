"""What the steps of the tour share: the two sides, the service, and what the tour has made for itself."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo import sample, texts
from crmsync.daemon.demo.clients import Crm, Dav, Mail, poll, quoted
from crmsync.daemon.demo.place import OWNER
from crmsync.daemon.demo.stage import Service

if TYPE_CHECKING:
    from crmsync.daemon.demo.telephone import Telephones

T = TypeVar("T")

PATIENCE = 60.0  # seconds until the other side must show it, on a busy machine, too
APART = timedelta(seconds=3)  # getlastmodified has whole seconds: two edits closer than this are simultaneous
REVIEW, FAIR, TASK = "Review of the samples", "Sample fair", "Send the samples"  # of the activities


class NotSo(Exception):
    """The step did not come out; the text says what stands there instead."""


class Skipped(Exception):
    """The step needs what is not installed; the text says how to install it."""


@dataclass(slots=True)
class Tour:
    """What the steps share."""

    book: Dav
    calendar: Dav
    crm: Crm
    service: Service
    say: Callable[[str], None]
    number: int  # of the tour in this directory, from 1
    monday: datetime
    post: Mail | None  # Alice's mailbox, where there is a mail server
    shared: Dav  # her calendar, as her delegate sees it
    phones: "Telephones | None" = None  # hers, and a customer's
    troubles: list[str] = field(default_factory=list)

    def did(self, where: str, what: str) -> None:
        self.say(f"     {where + ':':<14}{what}")

    def sync(self, *names: str) -> None:
        """What goes wrong is only told if the step does not come out: it is tried again."""
        try:
            answer = self.service.call("sync", names=names or (OWNER,))
        except Failure as error:
            self.troubles = [error.message]
        else:
            self.troubles = [str(e["message"]) for e in answer["errors"]]

    def until(self, what: str, read: Callable[[], T], right: Callable[[T], bool]) -> T:
        """Syncs and reads until it is right. Raises NotSo."""
        deadline = time.monotonic() + PATIENCE
        while True:
            self.sync()
            value = read()
            if right(value):
                return value
            if time.monotonic() > deadline:
                raise NotSo("; ".join([f"{what}; what stands there: {str(value)[:300]!r}", *self.troubles]))
            poll(lambda: right(read()), 0.5)

    def sync_through(self, *names: str) -> None:
        """One whole sync that began after everything that was done so far, so that what did not happen will not."""

        def came_through() -> bool:
            self.sync(*names)
            return not self.troubles

        if not poll(came_through, PATIENCE):
            raise NotSo("; ".join(["no sync came through", *self.troubles]))

    def name(self, key: str) -> str:
        return f"tour-{self.number}-{key}"

    @property
    def ada(self) -> str:
        return self.name("ada.vcf")

    @property
    def surname(self) -> str:
        """A second tour in the same directory has people of its own."""
        return "Example" if self.number == 1 else f"Example {self.number}"

    def address(self, first: str) -> str:
        return f"{first}.example.{self.number}@example.com"

    def subject(self, text: str) -> str:
        return text if self.number == 1 else f"{text} {self.number}"

    def contact(self, address: str) -> dict[str, Any] | None:
        """The CRM's record of that address."""
        rows = self.crm.query(
            "SELECT Id, FirstName, LastName, Email, MobilePhone, Title, Department, LastModifiedDate FROM Contact "
            f"WHERE Email = {quoted(address)}"
        )
        return rows[0] if len(rows) == 1 else None

    def activity(self, type_: str, subject: str, fields: str) -> dict[str, Any] | None:
        rows = self.crm.query(f"SELECT Id, {fields} FROM {type_} WHERE Subject = {quoted(subject)}")
        return rows[0] if len(rows) == 1 else None

    @contextmanager
    def meanwhile(self) -> Iterator[None]:
        """Both sides are edited before the service sees either."""
        with self.service.stopped():
            yield


def make_cast(tour: Tour) -> None:
    """What the tour works with, so that the sample people stay as they are."""
    family, number = tour.surname, 300 + 2 * tour.number
    ada = texts.card(
        tour.name("ada"), "Ada", family, tour.address("ada"), sample.phone(number), "TITLE:Taster",
        "X-FAVOURITE-TEA;X-STEEP=4:Darjeeling", texts.photo(200, 60, 60), tagged=False,
    )  # fmt: skip
    uma = texts.card(
        tour.name("uma"), "Uma", family, tour.address("uma"), sample.phone(number + 1), tagged=True
    )
    tour.book.put(tour.ada, ada)
    tour.book.put(tour.name("uma.vcf"), uma)
    start, hour = tour.monday + timedelta(days=1, hours=1), timedelta(hours=1)
    for key, subject in (("review", REVIEW), ("fair", FAIR)):
        text = texts.event(
            tour.name(key),
            tour.subject(subject),
            start,
            hour,
            "X-ROOM-COLOUR:blue",
            *sample.ALARM,
            tagged=True,
        )
        tour.calendar.put(tour.name(f"{key}.ics"), text)
    todo = texts.task(tour.name("todo"), tour.subject(TASK), tour.monday, "X-EFFORT:small", tagged=True)
    tour.calendar.put(tour.name("todo.ics"), todo)
