"""Rules that an item may break and be synced all the same: none of them leaves open what a column says. Read by other
means than the code under test, so that the table of verdicts names each of them."""

from collections.abc import Iterator

from tests.corpora.shelf import Block, blocks

_OURS = {b"VEVENT": "3.6.1", b"VTODO": "3.6.2"}
_REQUIRED = (b"UID", b"DTSTAMP")
_ONCE = (
    *(b"DTSTAMP", b"CREATED", b"LAST-MODIFIED", b"GEO", b"ORGANIZER", b"SEQUENCE", b"URL", b"RECURRENCE-ID"),
    b"RRULE",
)
_VERSIONS = {b"2.1", b"3.0", b"4.0"}


def breaches(data: bytes, sort: str) -> list[str]:
    """A sentence each, with where it is said; in a fixed order, each once."""
    found = _of_cards if sort == "addressbook" else _of_calendars
    return list(dict.fromkeys(found(blocks(data) or [])))


def _of_calendars(roots: list[Block]) -> Iterator[str]:
    for calendar in (root for root in roots if root.name == b"VCALENDAR"):
        lines = _lines(calendar)
        for name in (b"PRODID", b"VERSION"):
            if name not in lines:
                yield f"it has no {name.decode()} (RFC 5545 3.6)"
        if lines.get(b"VERSION", [b"2.0"])[0] != b"2.0":
            yield "its VERSION is not 2.0 (RFC 5545 3.7.4)"
        for component in calendar.inner:
            if component.name in _OURS:
                yield from _of_component(component, _OURS[component.name])


def _of_component(component: Block, section: str) -> Iterator[str]:
    lines = _lines(component)
    for name in _REQUIRED:
        if not any(lines.get(name, [])):
            yield f"it has no {name.decode()} (RFC 5545 {section})"
    for name in _ONCE:
        if len(lines.get(name, ())) > 1:
            yield f"it has more than one {name.decode()} (RFC 5545 {section})"
    for name in (b"DTEND", b"DUE"):
        if name in lines and b"DURATION" in lines:
            yield f"it has both {name.decode()} and DURATION (RFC 5545 {section})"
    start, due = (lines.get(name, [b""])[0] for name in (b"DTSTART", b"DUE"))
    if start and due and len(start) == len(due) and due < start:
        yield "its DUE comes before its DTSTART (RFC 5545 3.8.2.3)"


def _of_cards(roots: list[Block]) -> Iterator[str]:
    for card in (root for root in roots if root.name == b"VCARD"):
        lines = _lines(card)
        version = lines.get(b"VERSION", [b""])[0]
        if not version:
            yield "it has no VERSION (RFC 6350 6.7.9, RFC 2426 3.6.9)"
        elif version not in _VERSIONS:
            yield "its VERSION is none that there is (RFC 6350 6.7.9)"
        if version == b"3.0":
            yield from (f"it has no {n.decode()} (RFC 2426 3.1)" for n in (b"FN", b"N") if n not in lines)
        if version == b"2.1" and b"N" not in lines:
            yield "it has no N (vCard 2.1, 2.2.1)"
        if version == b"4.0" and b"FN" not in lines:
            yield "it has no FN (RFC 6350 6.2.1)"
        if len(lines.get(b"N", ())) > 1:
            yield "it has more than one N, of which the first counts (no vCard before 4.0 says how many there may be)"


def _lines(block: Block) -> dict[bytes, list[bytes]]:
    """Values by name, of the component itself."""
    found: dict[bytes, list[bytes]] = {}
    for line in (each for each in block.inner if not each.name):
        head, _, value = line.data.partition(b":")
        name = head.partition(b";")[0].rpartition(b".")[2].strip().upper()
        found.setdefault(name, []).append(value.strip())
    return found
