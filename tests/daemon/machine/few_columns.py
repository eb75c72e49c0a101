"""A story about other columns than a contact's, in which no two items have the same name."""

from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import rule

from tests.daemon.machine.premises import PEOPLE
from tests.daemon.machine.test_machine import NAMES, Story, boxes, pick, servers, values


def with_columns(story: type[Story], columns: Sequence[str]) -> type[Story]:
    """``story``, whose rules choose among these columns."""
    few_columns = st.lists(st.sampled_from(columns), min_size=1, max_size=3, unique=True)

    class OfFewColumns(story):  # type: ignore[valid-type,misc]
        def _begin(self, quirks: set[str], mail: bool) -> None:
            self.names: set[str] = set()
            super()._begin(quirks, mail)

        def of_its_own(self, name: str) -> str:
            self.serial += 1
            name = f"{name} {self.serial}" if name in self.names else name
            self.names.add(name)
            return name

        @rule(box=boxes, name=st.sampled_from(NAMES), tagged=st.booleans(), columns=few_columns)
        def make_a_card(
            self, box: str, name: str, tagged: bool, mail: bool = False, columns: Sequence[str] = ()
        ) -> None:
            super().make_a_card(box, name, tagged, mail, columns)

        @rule(owner=st.sampled_from((*PEOPLE, "")), name=st.sampled_from(NAMES), columns=few_columns)
        def make_a_record(
            self, owner: str, name: str, mail: bool = False, columns: Sequence[str] = ()
        ) -> None:
            super().make_a_record(owner, name, mail, columns)

        @rule(server=servers, number=pick, columns=few_columns, kind=values)
        def edit(self, server: str, number: int, columns: Sequence[str], kind: str) -> None:
            super().edit(server, number, columns, kind)

        @rule(name=st.sampled_from(NAMES), column=st.sampled_from(columns), crm_first=st.booleans())
        def edit_everywhere(self, name: str, column: str, crm_first: bool) -> None:
            super().edit_everywhere(name, column, crm_first)

        @rule(server=servers, number=pick, columns=few_columns, skip=st.integers(0, 20))
        def edit_in_the_middle(self, server: str, number: int, columns: Sequence[str], skip: int) -> None:
            super().edit_in_the_middle(server, number, columns, skip)

    return OfFewColumns
