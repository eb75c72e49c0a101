"""What of a mail fits into the fields of an EmailMessage, and how those say it. Pure."""

import re

from crmsync.connectors.contract import Columns, Value
from crmsync.connectors.salesforce.values import Raw

ABOUT = "RelatedTo.Name"  # read through the reference
WRITTEN = "RelatedToId"  # which is what is written: ``mail.related`` finds the record of that name
CUT = "\n\n[… the rest stands in the mailbox]"
ADDRESS = re.compile(r"[^\s@,;:<>()\[\]\\\"]+@[^\s@,;:<>()\[\]\\\"]+\.[^\s@,;:<>()\[\]\\\".]+")


def fitting(column: str, value: Value, length: int) -> Value:
    """Mail is as long as it is: what no field holds is cut, or left out, with a word about it. It stays where it was
    sent to. ``length``: of the field, in characters; 0: no limit."""
    match column, value:
        case "from", str():
            return value if ADDRESS.fullmatch(value) else None
        case "subject", str() if 0 < length < len(value):
            return value[: length - 1].rstrip() + "…"
        case "body_text", str() if 0 < length < len(value):
            return value[: length - len(CUT)].rstrip() + CUT
        case "body_html", str() if 0 < length < len(value):
            return None  # half of it would be broken; the plain text says it all
        case (("to" | "cc"), tuple()) if length:
            return _first(value, length)
    return value


def _first(addresses: tuple[str, ...], length: int) -> tuple[str, ...]:
    kept, used = [], 0
    for address in addresses:
        used += len(address) + 1
        if used > length:
            break
        kept.append(address)
    return tuple(kept)


def direction(raw: object) -> str:
    return "incoming" if raw else "outgoing"


DONE = ("1", "2", "3", "4")  # read, replied, sent, forwarded; the others are new, and draft


def status(raw: object) -> str:
    return "completed" if raw in DONE else "in_progress"


def status_to_write(value: Value) -> Raw:
    return "1" if value in (None, "completed", "cancelled") else "0"


def new_fields(columns: Columns, row: dict[str, Raw]) -> dict[str, Raw]:
    """Of a message that is made: it was sent long ago, and a program keeps it."""
    sent = columns.get("direction") == "outgoing" and row.get("Status") == "1"
    return {**row, **({"Status": "3"} if sent else {}), "IsClientManaged": True}
