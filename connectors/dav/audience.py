"""Who hears of what we write: servers that do scheduling (RFC 6638) tell the attendees of a meeting by themselves."""

from dataclasses import dataclass

from crmsync.connectors.dav import wire
from crmsync.connectors.dav.client import Dav
from crmsync.connectors.dav.flavour import Flavour, nobody
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.place import Place
from crmsync.connectors.errors import Forbidden, NotFound, ProtocolError

# code and reason of a refusal
TOLD = (
    "would_notify",
    "the server would tell the attendees of this meeting; change it in the calendar, or switch on `invitations` for "
    "the account",
)


@dataclass(frozen=True, slots=True)
class Audience:
    """Who may hear of it."""

    invitations: bool = False  # everybody
    ourselves: frozenset[str] = frozenset()  # the person's addresses, in lower case


NOBODY = Audience()
ANYBODY: frozenset[str] = frozenset()  # it is not known who we are: any organiser may be us


class Hearing:
    """What one collection's server would do with a write."""

    def __init__(self, dav: Dav, place: Place, flavour: Flavour, habits: Habits, audience: Audience) -> None:
        self._dav, self._place, self._flavour, self._habits = dav, place, flavour, habits
        self._audience = audience

    def ourselves(self) -> frozenset[str]:
        """Addresses of the person whose collection it is, in lower case: as configured, and as the server says, which
        is asked once. Empty: nobody knows any."""
        path = self._place.path
        if path not in self._habits.addresses:
            self._habits.addresses[path] = self._told()
        return self._audience.ourselves | self._habits.addresses[path]

    def _told(self) -> frozenset[str]:
        """RFC 6638 2.4.1, of the owner's principal. A server may name a person by other URIs only (Radicale 3.9: by the
        principal's own path); those tell nothing of an organiser who is named by an address."""
        if not self._flavour.addresses:
            return frozenset()
        try:
            here = next(self._dav.propfind(self._place.path, (wire.OWNER, wire.PRINCIPAL), depth=0), None)
            parts = here.parts if here is not None else {}
            people = [*parts.get(wire.OWNER, ()), *parts.get(wire.PRINCIPAL, ())]
            principal = next((p for p in people if not p.startswith("{")), None)
            if principal is None:
                return frozenset()
            told = next(self._dav.propfind(principal, (self._flavour.addresses,), depth=0), None)
        except (NotFound, Forbidden, ProtocolError):
            return frozenset()
        uris = told.parts.get(self._flavour.addresses, ()) if told is not None else ()
        found = (uri.strip().lower() for uri in uris)
        return frozenset(uri.removeprefix("mailto:") for uri in found if uri.startswith("mailto:"))

    def muted(self, before: str, after: str) -> str:
        """The second text as it may be stored."""
        return self._flavour.muted(before, after) if self.silently else after

    @property
    def silently(self) -> bool:
        """Whether a delete says that it is not to be answered."""
        return self._flavour.announces is not nobody and not self._audience.invitations

    def is_possible(self) -> bool:
        """Whether anybody could hear of anything here who should not: then a text has to be known before it goes."""
        return self.silently and self._schedules()

    def is_told(self, before: str, after: str) -> bool:
        """Whether others would hear that one text became the other, and should not."""
        if not self.silently or before == after or not self._flavour.announces(before, after, ANYBODY):
            return False
        return self._schedules() and self._flavour.announces(before, after, self.ourselves())

    def _schedules(self) -> bool:
        """Asked once for each login, when there is something that could be told."""
        if self._habits.schedules is None:
            self._habits.schedules = self._dav.schedules(self._place.path)
        return self._habits.schedules
