"""CalDAV (RFC 4791): calendars of events and tasks."""

from typing import Unpack

from crmsync.connectors.caldav import mapping
from crmsync.connectors.caldav.occurrences import Occurrences
from crmsync.connectors.caldav.scheduling import announces, muted
from crmsync.connectors.contract import Kind, Window
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


class CalDavConnector(DavConnector):
    def unfolded(self, window: Window) -> Occurrences:
        return Occurrences(self, window)


class CalDavSource(DavSource):
    connector = CalDavConnector

    def __init__(self, url: str, username: str, password: str, **options: Unpack[Options]) -> None:
        super().__init__(FLAVOUR, url, username, password, **options)
