"""Statements that other grammars accept: each is answered, or refused for a reason that holds upstream too."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from crmsync.state.replica.access import Caller
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.querying import Queries
from tests.state.replica.conftest import Bench

SHARED = os.environ.get("CRMSYNC_SHARED")
# What Salesforce refuses as well, though its grammar has nothing against it.
REASONS = (
    "() must be grouped or aggregated",  # a date function is for GROUP BY
    "Field must be grouped or aggregated",
    "must have a LIMIT of at most 200",  # of FIELDS(ALL) and FIELDS(CUSTOM)
)
# What an organisation without currencies, teams and territories does not have.
LACKING = ("keeps one currency", "USING SCOPE", "is not supported for")


REFUSED = {"MALFORMED_QUERY": REASONS, "FUNCTIONALITY_NOT_ENABLED": LACKING}
NAMES = (
    "INVALID_TYPE",
    "INVALID_FIELD",
    "INVALID_QUERY_FILTER_OPERATOR",
)  # names and ids that this CRM has not


@pytest.mark.skipif(SHARED is None, reason="CRMSYNC_SHARED names no folder with statements")
def test_every_statement_is_answered_or_refused_for_a_reason(bench: Bench) -> None:
    assert SHARED is not None
    cases = json.loads((Path(SHARED) / "soql" / "valid.json").read_text(encoding="utf-8"))
    queries = Queries(bench.store, clock=bench.clock)
    refusals = [fault for case in cases if (fault := refusal(queries, bench.sync, case["soql"]))]
    queries.close()
    unexplained = [
        fault.message
        for fault in refusals
        if fault.code not in NAMES and not any(each in fault.message for each in REFUSED.get(fault.code, ()))
    ]
    assert unexplained == []
    counts = Counter(fault.code for fault in refusals)
    assert (counts["MALFORMED_QUERY"], counts["FUNCTIONALITY_NOT_ENABLED"] <= 9) == (20, True), counts


def refusal(queries: Queries, caller: Caller, text: str) -> Fault | None:
    try:
        queries.query(caller, text, "")
    except Fault as refused:
        return refused
    return None
