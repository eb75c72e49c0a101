"""Each planted mistake is caught by the tests that are named for it."""

import pytest

from tests.mutants.on_the_crms_pages import ON_THE_CRMS_PAGES
from tests.mutants.on_the_page import ON_THE_PAGE
from tests.mutants.planted import PLANTED, Planted
from tests.mutants.trial import FAILED, attempt, path_of
from tests.mutants.when_the_crm_says import WHEN_THE_CRM_SAYS
from tests.mutants.while_it_is_made import WHILE_IT_IS_MADE

ALL = (*PLANTED, *ON_THE_PAGE, *ON_THE_CRMS_PAGES, *WHEN_THE_CRM_SAYS, *WHILE_IT_IS_MADE)


@pytest.mark.parametrize("mistake", ALL, ids=lambda m: m.name)
def test_planted_mistakes_are_caught(mistake: Planted) -> None:
    text = path_of(mistake.module).read_text(encoding="utf-8")
    assert text.count(mistake.old) == 1, (
        f"what this mistake replaces stands {text.count(mistake.old)} times in {mistake.module}; "
        "plant it where the rule is kept now"
    )
    trial = attempt({mistake.module: text.replace(mistake.old, mistake.new)}, mistake.caught_by, all=True)
    assert trial.code == FAILED, f"nothing failed as it should ({trial.code}):\n{trial.output}"
    idle = [test for test in mistake.caught_by if not any(f.startswith(test) for f in trial.failed)]
    assert idle == [], "these tests do not notice it"


def test_names_tell_them_apart() -> None:
    assert len({m.name for m in ALL}) == len(ALL) >= 10
