"""The list of mutants that no test can tell from the original is about the code as it is."""

import pytest

from tests.mutants.survivors import Survivor, listed, modules
from tests.mutants.trial import path_of


@pytest.mark.parametrize("survivor", listed(), ids=lambda s: f"{s.module}: {s.new}")
def test_a_survivor_is_of_this_code_and_has_a_reason(survivor: Survivor) -> None:
    text = path_of(survivor.module).read_text(encoding="utf-8")
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    assert survivor.old in "\n".join(lines), "`make mutants` says what is left of it"
    assert survivor.old != survivor.new
    assert len(listed()[survivor]) > 20


def test_survivors_are_of_the_deciding_part() -> None:
    assert {s.module for s in listed()} <= set(modules())
