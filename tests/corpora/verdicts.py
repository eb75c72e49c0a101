"""What becomes of each file of the corpora. Where everything has to be tried, a file without a verdict is a failure."""

import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from tests.corpora.shelf import Resource

STRICT = os.environ.get("CRMSYNC_CI") == "1"

# Valid, and nothing that the CRM could hold: an address that is none, an end that it does not take. Error codes.
REFUSED: Mapping[str, str] = {
    "630bb42b8c2daac1.vcf": "invalid",
    "4c4fabe62ada3abb.ics": "field_integrity_exception",
    "ab3bd945d8f18ed7.ics": "field_integrity_exception",
    "c111c66ae04c1e29-2.ics": "field_integrity_exception",
}


@cache
def verdicts() -> Mapping[str, str]:
    """By name of the file, without its ending; judged against the standards by rule, a sample by eye."""
    table = Path(__file__).with_name("verdicts.tsv")
    return dict(line.split("\t") for line in table.read_text().splitlines())


def judged(resource: Resource) -> bool:
    """What becomes of it is known."""
    return STRICT or Path(resource.file).stem in verdicts()
