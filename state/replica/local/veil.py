"""A lead that was converted here, while the upstream has not converted it: main shows it as converted, and what lies
under that is what meets the upstream's row. Pure.
"""

from collections.abc import Mapping
from typing import Any

from crmsync.state.replica.local.shape import Row, row_from, row_to, stored
from crmsync.state.replica.metadata import ObjectType

__all__ = ["SHOWN", "bare", "covered", "under"]

SHOWN = (
    "Status", "IsConverted", "ConvertedDate",
    "ConvertedAccountId", "ConvertedContactId", "ConvertedOpportunityId",
)  # fmt: skip  # fields that say of a lead that it is converted


def covered(conversion: Mapping[str, Any], row: Row) -> Row:
    shown = {
        "Status": conversion["status"],
        "IsConverted": True,
        "ConvertedDate": conversion["at"].date(),
        "ConvertedAccountId": conversion["account"],
        "ConvertedContactId": conversion["contact"],
        "ConvertedOpportunityId": conversion["opportunity"],
    }
    return {**row, **{name: value for name, value in shown.items() if name in row}}


def under(type_: ObjectType, row: Row) -> dict[str, Any]:
    """What a conversion will cover of this row, as JSON."""
    return row_to(type_, {name: row[name] for name in SHOWN if name in row})


def bare(type_: ObjectType, conversion: Mapping[str, Any], row: Row) -> Row:
    known = {f.name for f in stored(type_)} & conversion["under"].keys()
    given = row_from(type_, conversion["under"])
    return {**row, **{name: given[name] for name in known}}
