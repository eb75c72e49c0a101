"""The same story where the shared book is Alice's and Bob her delegate, whose share comes and goes.

``CRMSYNC_MACHINE=nightly`` tries many more and longer stories, others each time.
"""

import os
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import rule

from crmsync.connectors.contract import Side
from crmsync.state.model import Action, Entry
from tests.daemon.machine.house import SHARED, Foreign, House
from tests.daemon.machine.premises import Premises
from tests.daemon.machine.test_machine import NAMES, Story, few_columns, pick
from tests.daemon.machine.trouble import Point


class DelegateStory(Story):
    house_of: type[House] = House

    def build(self, quirks: set[str]) -> Premises:
        return self.house_of(Path(self.folder.name), quirks, shared=True, owner="alice")

    @rule(number=pick, after=st.booleans(), skip=st.integers(0, 12), inner=st.sampled_from(("alice", "bob")))
    def sync_both_at_once(self, number: int, after: bool, skip: int, inner: str) -> None:
        """A whole sync of the one goes by within that of the other, wherever that is just then."""
        outer = "bob" if inner == "alice" else "alice"

        def act(_: Point) -> None:
            self.house.engine.sync([inner])

        if item := self._some(SHARED, number):
            self.house.boxes[SHARED].tag(item, self._tag(SHARED))
        self.house.fate.plan(act, at=lambda p: p.where != "state" and p.after is after, skip=skip)
        self._run(lambda: self.house.engine.sync([outer]))

    @rule(name=st.sampled_from(NAMES), mail=st.booleans(), columns=few_columns)
    def the_delegate_tags_first(self, name: str, mail: bool, columns: list[str]) -> None:
        """The owner's account is down meanwhile."""
        self.make_a_card(SHARED, name, True, mail, columns)
        self.sync(("bob",), 0)
        self.house.clock.tick(3600)
        self.sync(("bob",), 0)

    @rule(shared=st.booleans())
    def share_or_withdraw(self, shared: bool) -> None:
        self.house.seen = {**self.house.seen, "bob": ("bob", SHARED) if shared else ("bob",)}
        self.house.restart()

    def all_is_well(self) -> None:
        super().all_is_well()
        with self._watched():
            brought = [e for item in self.house.items(SHARED) for e in self._brought_in(item.id)]
            assert {e.account for e in brought} <= {"alice"}, brought

    def _brought_in(self, item: str) -> list[Entry]:
        """Not what was moved there with a link."""
        with self.house.state.reading() as tx:
            entries = tx.history.find(item)
        return [
            e for e in entries if (e.action, e.side) == (Action.CREATE, Side.CRM) and "tagged" in e.reason
        ]


class ForeignStory(DelegateStory):
    """Bob reaches the shared book over another protocol than Alice."""

    house_of = Foreign


profile = os.environ.get("CRMSYNC_MACHINE", "machine")
settings.register_profile("delegates machine", parent=settings.get_profile("machine"), max_examples=30)
settings.register_profile("foreign machine", parent=settings.get_profile("machine"), max_examples=10)
TestDelegates = DelegateStory.TestCase
TestDelegates.settings = settings.get_profile("delegates machine" if profile == "machine" else profile)
TestForeign = ForeignStory.TestCase
TestForeign.settings = settings.get_profile("foreign machine" if profile == "machine" else profile)
