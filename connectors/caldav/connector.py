"""CalDAV (RFC 4791): calendars of events and tasks."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Unpack

from crmsync.connectors.abilities import Window
from crmsync.connectors.caldav import mapping, whole
from crmsync.connectors.caldav.occurrences import Occurrences
from crmsync.connectors.caldav.scheduling import announces, muted
from crmsync.connectors.contract import Collection, Kind
from crmsync.connectors.dav.connector import DavConnector
from crmsync.connectors.dav.flavour import Flavour
from crmsync.connectors.dav.source import DavSource, Options
from crmsync.connectors.dav.wire import CALDAV

FLAVOUR = Flavour(
    name="caldav",
    thing="calendar",
    format=mapping,
    suffix=".ics",
    content_type="text/calendar; charset=utf-8",
    data=CALDAV + "calendar-data",
    multiget=CALDAV + "calendar-multiget",
    query=CALDAV + "calendar-query",
    resource_type=CALDAV + "calendar",
    home=CALDAV + "calendar-home-set",
    well_known="/.well-known/caldav",
    kinds={"VEVENT": Kind.APPOINTMENT, "VTODO": Kind.TASK},
    announces=announces,
    muted=muted,
    addresses=CALDAV + "calendar-user-address-set",
)


WITH_WHOLE_SERIES = replace(FLAVOUR, format=whole)


class CalDavConnector(DavConnector):
    reopen: Callable[[Flavour], DavConnector]  # the same collection

    def unfolded(self, window: Window) -> Occurrences:
        return Occurrences(self, window)

    def whole(self) -> DavConnector:
        return self.reopen(WITH_WHOLE_SERIES)


class CalDavSource(DavSource):
    connector = CalDavConnector

    def __init__(self, url: str, username: str, password: str, **options: Unpack[Options]) -> None:
        super().__init__(FLAVOUR, url, username, password, **options)

    def opened(self, collection: Collection, flavour: Flavour) -> DavConnector:
        found = super().opened(collection, flavour)
        assert isinstance(found, CalDavConnector)
        found.reopen = partial(self.opened, collection)
        return found
