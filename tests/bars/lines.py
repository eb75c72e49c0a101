"""A person's client editing a card or an event: one content line at a time. Plain enough to be seen to be right."""

import re

from tests.bars.people import folded

_SEPARATOR = re.compile(r"(?<!\\);")
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)


def unfolded(text: str) -> list[str]:
    return text.replace("\r\n ", "").replace("\r\n\t", "").split("\r\n")


def value_of(text: str, pattern: str) -> str | None:
    """As it is written after the colon, of the first line whose name and parameters match."""
    at = _found(unfolded(text), pattern)
    return None if at is None else unfolded(text)[at].partition(":")[2]


def put(text: str, pattern: str, value: str | None, new: str = "") -> str:
    """The first line whose name and parameters match gets ``value``, or goes (None). Where there is none, one is added
    at the end of the component; ``new`` is its name and parameters."""
    lines = unfolded(text)
    at = _found(lines, pattern)
    if at is not None:
        lines[at : at + 1] = [] if value is None else [f"{lines[at].partition(':')[0]}:{value}"]
    elif value is not None:
        end = next(i for i, line in enumerate(lines) if line in ("END:VCARD", "END:VEVENT", "END:VTODO"))
        lines.insert(end, f"{new}:{value}")
    return "\r\n".join(folded(line) for line in lines)


def part_of(text: str, pattern: str, index: int) -> str | None:
    """One component of a structured value, as it reads."""
    value = value_of(text, pattern)
    parts = _SEPARATOR.split(value) if value is not None else []
    return (plain(parts[index]) or None) if index < len(parts) else None


def put_part(text: str, pattern: str, index: int, value: str, new: str = "") -> str:
    parts = _SEPARATOR.split(value_of(text, pattern) or "")
    parts += [""] * (index + 1 - len(parts))
    parts[index] = value
    return put(text, pattern, ";".join(parts), new)


def plain(text: str) -> str:
    return _ESCAPED.sub(lambda m: "\n" if m[1] in "nN" else m[1], text)


def _found(lines: list[str], pattern: str) -> int | None:
    """Not inside of an alarm or a time zone."""
    inside = ""
    for at, line in enumerate(lines):
        if line in ("BEGIN:VALARM", "BEGIN:VTIMEZONE"):
            inside = line.replace("BEGIN", "END")
        elif line == inside:
            inside = ""
        elif not inside and re.fullmatch(pattern, line.partition(":")[0], re.IGNORECASE):
            return at
    return None
