"""Who hears of what we write: servers that do scheduling (RFC 6638) tell the attendees of a meeting by themselves."""

from dataclasses import dataclass

from crmsync.connectors.dav.client import Dav
from crmsync.connectors.dav.flavour import Flavour, nobody
from crmsync.connectors.dav.habits import Habits
from crmsync.connectors.dav.place import Place

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


class Hearing:
    """What one collection's server would do with a write."""

    def __init__(self, dav: Dav, place: Place, flavour: Flavour, habits: Habits, audience: Audience) -> None:
        self._dav, self._place, self._flavour, self._habits = dav, place, flavour, habits
        self._audience = audience

    @property
    def silently(self) -> bool:
        """Whether a delete says that it is not to be answered."""
        return self._flavour.announces is not nobody and not self._audience.invitations

    def is_possible(self) -> bool:
        """Whether anybody could hear of anything here who should not: then a text has to be known before it goes."""
        return self.silently and self._schedules()

    def is_told(self, before: str, after: str) -> bool:
        """Whether others would hear that one text became the other, and should not."""
        if not self.silently or not self._flavour.announces(before, after, self._audience.ourselves):
            return False
        return self._schedules()

    def _schedules(self) -> bool:
        """Asked once for each login, when there is something that could be told."""
        if self._habits.schedules is None:
            self._habits.schedules = self._dav.schedules(self._place.path)
        return self._habits.schedules
