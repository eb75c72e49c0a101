"""CSV as Bulk jobs read and write it. No I/O.

An empty cell says nothing of its field, `#N/A` empties it. A column may be a parent's external id: `Account.Key__c`,
or `Contact:Who.Key__c` where the reference has several targets.
"""

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from crmsync.state.replica.faults import Fault

__all__ = ["DELIMITERS", "fields_of", "read", "row_text"]

NULL = "#N/A"
MOST_ROWS = 150_000  # of one batch
MOST_CELLS = 10_000_000
LONGEST_CELL = 131_072
DELIMITERS = {
    "COMMA": ",", "BACKQUOTE": "`", "CARET": "^", "PIPE": "|", "SEMICOLON": ";", "TAB": "\t",
}  # fmt: skip


def read(content: bytes, delimiter: str = ",") -> tuple[list[str], list[list[str]]]:
    """(header, rows) of a CSV file; raises Fault (InvalidBatch) for what is none."""
    try:
        text = content.decode("utf-8-sig")
        csv.field_size_limit(LONGEST_CELL)
        lines = (row for row in csv.reader(io.StringIO(text, newline=""), delimiter=delimiter) if row)
        header = [name.strip() for name in next(lines, [])]
        return header, _rows(header, lines)
    except (UnicodeDecodeError, csv.Error) as error:
        raise Fault("InvalidBatch", f"the content is no CSV in UTF-8: {error}") from None


def _rows(header: Sequence[str], lines: Iterator[list[str]]) -> list[list[str]]:
    """Ends at the first that is too much: rows and cells take up to a hundred times the bytes that they had."""
    if not header:
        raise Fault("InvalidBatch", "Failed to read header: the content is empty")
    rows: list[list[str]] = []
    for row in lines:
        if len(row) != len(header):
            what = f"row {len(rows) + 1} has {len(row)} columns, the header has {len(header)}"
            raise Fault("InvalidBatch", what)
        rows.append(row)
        if len(rows) > MOST_ROWS:
            raise Fault("ExceededQuota", f"a batch cannot have more than {MOST_ROWS} rows")
        if len(rows) * len(header) > MOST_CELLS:
            raise Fault("ExceededQuota", f"a batch cannot have more than {MOST_CELLS} cells")
    return rows


def fields_of(header: Sequence[str], row: Sequence[str]) -> dict[str, Any]:
    """The row as a record in JSON."""
    fields: dict[str, Any] = {}
    for name, cell in zip(header, row, strict=True):
        if cell == "":
            continue
        value = None if cell == NULL else cell
        relationship, dot, key = name.partition(".")
        if not dot:
            fields[name] = value
        elif value is not None:
            type_, colon, plain = relationship.partition(":")
            attributes = {"attributes": {"type": type_}} if colon else {}
            fields[plain if colon else relationship] = {**attributes, key: value}
    return fields


def row_text(cells: Iterable[Any], delimiter: str = ",", end: str = "\n") -> str:
    """One line; every cell in quotes, as Salesforce writes them."""
    return delimiter.join('"' + _cell(cell).replace('"', '""') + '"' for cell in cells) + end


def _cell(value: Any) -> str:
    match value:
        case None:
            return ""
        case bool():
            return str(value).lower()
    return str(value)


def flattened(record: Mapping[str, Any], columns: Sequence[str]) -> Iterator[Any]:
    """The cells of a query's record: `Account.Name` reads the nested one."""
    for column in columns:
        value: Any = record
        for step in column.split("."):
            value = value.get(step) if isinstance(value, Mapping) else None
        yield value
