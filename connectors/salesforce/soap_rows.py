"""The recycle bin and merges, which Salesforce has in SOAP only. Messages to bytes and back, no I/O.

SOAP API Developer Guide: "undelete()", "emptyRecycleBin()", "merge()".
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.connectors.errors import ProtocolError
from crmsync.connectors.salesforce import soap
from crmsync.connectors.salesforce.faults import Fault
from crmsync.connectors.salesforce.soql import clean, id18, is_id, name

_RECORD = "urn:sobject.partner.soap.sforce.com"
_REASONLESS = Fault("UNKNOWN_EXCEPTION", "the CRM gave no reason")


@dataclass(frozen=True, slots=True)
class Merged:
    """`moved`: records that refer to the master now. `errors`: why nothing was merged."""

    moved: tuple[str, ...] = ()
    errors: tuple[Fault, ...] = ()


def undelete(token: str, ids: Sequence[str]) -> bytes:
    return soap.envelope(token, f"<undelete>{_ids('ids', ids)}</undelete>")


def empty(token: str, ids: Sequence[str]) -> bytes:
    return soap.envelope(token, f"<emptyRecycleBin>{_ids('ids', ids)}</emptyRecycleBin>")


def merge(token: str, table: str, master: str, row: Mapping[str, object], losers: Sequence[str]) -> bytes:
    """`row`: what the master is given, as the REST API has it."""
    record = f'<masterRecord xmlns:r="{_RECORD}">{"".join(_fields(table, master, row))}</masterRecord>'
    return soap.envelope(
        token, f"<merge><request>{record}{_ids('recordToMergeIds', losers)}</request></merge>"
    )


def _ids(element: str, ids: Sequence[str]) -> str:
    return "".join(f"<{element}>{escape(clean(each))}</{element}>" for each in ids)


def _fields(table: str, master: str, row: Mapping[str, object]) -> Iterator[str]:
    """In the schema's order: the type, what shall be empty, the id, everything else."""
    yield f"<r:type>{name(table)}</r:type>"
    yield from (f"<r:fieldsToNull>{name(each)}</r:fieldsToNull>" for each, v in row.items() if v is None)
    yield f"<r:Id>{escape(clean(master))}</r:Id>"
    for each, value in row.items():
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else escape(clean(str(value)))
            yield f"<r:{name(each)}>{shown}</r:{name(each)}>"


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────


def refusals(body: bytes, count: int) -> list[tuple[Fault, ...]]:
    """Of each row, in order; none: it was done."""
    return [_refusal(each) for each in _results(body, count)]


def merged(body: bytes) -> Merged:
    (result,) = _results(body, 1)
    moved = ((each.text or "").strip() for each in soap.named(result, "updatedRelatedIds"))
    return Merged(tuple(id18(each) for each in moved if is_id(each)), _refusal(result))


def _results(body: bytes, count: int) -> list[etree._Element]:
    root = soap.parsed(body)
    results = [] if root is None else list(soap.named(root, "result"))
    if len(results) != count:
        raise ProtocolError("the CRM did not say what became of each record")
    return results


def _refusal(result: etree._Element) -> tuple[Fault, ...]:
    if soap.text(result, "success") in ("true", "1"):
        return ()
    return tuple(soap.errors(result)) or (_REASONLESS,)
