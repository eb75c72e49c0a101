"""A thousand statements that are almost SOQL, judged by our grammar and by Salesforce's own.

`CRMSYNC_SOQL_MUTANTS=20000` makes more of them, `CRMSYNC_SOQL_SEED=2` others.
"""

import json
import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from crmsync.state.replica.soql import SoqlError, dates, parse
from tests.state.replica.soql.mutants import mutants
from tests.state.replica.soql.oracle import verdicts

SHARED = os.environ.get("CRMSYNC_SHARED")
COUNT = int(os.environ.get("CRMSYNC_SOQL_MUTANTS", "1000"))
SEED = int(os.environ.get("CRMSYNC_SOQL_SEED", "1"))
REASONS = Path(__file__).with_name("differences.md")
LARGEST_SHARE = 0.02  # of the mutants: beyond it a reason has become an excuse

# The rules of differences.md, as what is true of a statement that only Salesforce's grammar accepts.
RULES: dict[str, Callable[[str, SoqlError], bool]] = {
    "dots": lambda text, error: bool(re.search(r"\.\w*$", _before(text, error))) or _dotted(text, error),
    "field sets": lambda _, error: error.sentence.startswith("FIELDS() takes"),
    "alias of a child subquery": lambda text, error: _before(text, error).endswith(")"),
    "alias that is a keyword": lambda text, error: (
        _word(text, error) in ("WHEN", "END", "CATEGORY")
        or bool(re.search(r"\bas$", _before(text, error), re.I))
    ),
    "second WITH": lambda text, error: _word(text, error) == "WITH",
    "counted dates": lambda text, error: _word(text, error) in dates.PERIODS | dates.COUNTED,
    "no such day": lambda _, error: error.sentence.startswith("invalid date"),
}


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
def test_mutants_are_judged_as_salesforce_judges_them() -> None:
    assert SHARED is not None
    cases = json.loads((Path(SHARED) / "soql" / "valid.json").read_text(encoding="utf-8"))
    found = list(mutants([case["soql"] for case in cases], COUNT, SEED))
    differences = []
    for text, theirs in zip(found, verdicts(found), strict=True):
        ours = refusal(text)
        if theirs is not None and theirs != (ours is None):
            differences.append((reason(text, ours), text, ours and ours.sentence))
    unexplained = [each for each in differences if each[0] is None]
    assert not unexplained, unexplained
    assert len(differences) <= LARGEST_SHARE * COUNT
    print(
        f"{COUNT} mutants, {len(differences)} differences: {sorted({str(each[0]) for each in differences})}"
    )


def test_every_rule_has_its_reason() -> None:
    written = re.findall(r"^\| ([^|`]+) \|", REASONS.read_text(encoding="utf-8"), re.MULTILINE)
    assert [each for each in written if each not in ("rule", "---")] == list(RULES)


def refusal(text: str) -> SoqlError | None:
    try:
        parse(text)
    except SoqlError as refused:
        return refused
    return None


def reason(text: str, refused: SoqlError | None) -> str | None:
    """The rule that lets a difference be; never one where we accept what Salesforce refuses."""
    if refused is None:
        return None
    return next((name for name, holds in RULES.items() if holds(text, refused)), None)


def _before(text: str, error: SoqlError) -> str:
    return _head(text, error).rstrip()


def _dotted(text: str, error: SoqlError) -> bool:
    """A dot is what was refused, or follows the word that was."""
    return re.match(r"\w*\.", text[len(_head(text, error)) :]) is not None


def _word(text: str, error: SoqlError) -> str:
    found = re.match(r"\w+", text[len(_head(text, error)) :])
    return found[0].upper() if found else ""


def _head(text: str, error: SoqlError) -> str:
    lines = text.split("\n")
    return "\n".join([*lines[: error.row - 1], lines[error.row - 1][: error.column - 1]])
