"""The same story where a copy stands before the CRM: what is written may wait in it, arrive later, or be given up.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from crmsync.connectors.memory.native import Item
from tests.daemon.machine.copied import Copy
from tests.daemon.machine.house import House
from tests.daemon.machine.landscape import QUIRKS
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.test_machine import Story, pick

# Without an external id the copy alone knows which record a create has made; a search by columns is not its way.
HERE = sorted(QUIRKS.keys() - {"the CRM has no external id"})


class CopiedHouse(House):
    copy: Copy

    def start(self) -> None:
        if not isinstance(self.crm.faults, Copy):
            self.copy = self.crm.faults = Copy("crm", self.fate, self._of_crm)
        super().start()

    def _of_crm(self, item: str) -> Item | None:
        return next((i for i in self.crm.all() if i.id == item), None)


class CopiedStory(Story):
    house: CopiedHouse

    def build(self, quirks: set[str]) -> Premises:
        return CopiedHouse(Path(self.folder.name), quirks, shared=True)

    @initialize(quirks=st.sets(st.sampled_from(HERE), max_size=4), mail=st.booleans())
    def begin(self, quirks: set[str], mail: bool) -> None:
        self._begin(quirks, mail)
        self.house.copy.undoing = lambda: self.ledger.undoing

    @rule(away=st.sampled_from((True, True, False)))
    def the_crm_goes_away(self, away: bool) -> None:
        self.house.copy.away = away

    @rule(number=pick)
    @precondition(lambda self: self.house.copy.waiting)
    def deliver(self, number: int) -> None:
        """The write is the service's, and was heard of by nobody: it is found."""
        begun = len(self.chronicle.writes)
        collection, target = self.house.crm.collections()[0], self._waiting(number)
        self.ledger.undoing = self.house.copy.waiting[target].undoes
        with self._watched():
            self.house.copy.deliver(target, self.house.crm, collection)
        self.ledger.undoing = False
        for write in self.chronicle.writes[begun:]:
            write.certain = False

    @rule(number=pick)
    @precondition(lambda self: self.house.copy.waiting)
    def give_up(self, number: int) -> None:
        self.house.copy.give_up(self._waiting(number))

    def _waiting(self, number: int) -> str:
        known = sorted(self.house.copy.waiting)
        return known[number % len(known)]


settings.register_profile("copied machine", parent=settings.get_profile("machine"), max_examples=4)
profile = os.environ.get("CRMSYNC_MACHINE", "machine")
TestCopied = CopiedStory.TestCase
TestCopied.settings = settings.get_profile("copied machine" if profile == "machine" else profile)
