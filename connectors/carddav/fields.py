"""The rows that only vCards have: parts of structured values, addresses by type, dates."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from urllib.parse import unquote

from crmsync.connectors.columns import Type
from crmsync.connectors.contract import Value
from crmsync.connectors.dav.contentline import Line, escape, split, unescape
from crmsync.connectors.dav.document import Component
from crmsync.connectors.dav.patch import HELD_OPEN, Editor, chosen, is_blank, is_held_open
from crmsync.connectors.dav.values import ABSENT, Maybe, checked, clean, format_date, plain_date


def version(card: Component) -> str:
    found = card.first("VERSION")
    return found.value.strip() if found else "3.0"


def type_parameter(card: Component, *types: str) -> str:
    """``;TYPE=WORK,FAX`` as this version of vCard writes it."""
    match version(card):
        case "2.1":
            return "".join(f";{word.upper()}" for word in types)
        case "4.0":
            return "".join(f";TYPE={word}" for word in types)
        case _:
            return f";TYPE={','.join(word.upper() for word in types)}"


def _typed(name: str, word: str, but: str = "") -> Callable[[Component], list[Line]]:
    def candidates(card: Component) -> list[Line]:
        lines = card.all(name)
        return (
            [each for each in lines if word in (types := each.types) and but not in types] if lines else lines
        )

    return candidates


_CANDIDATES: Mapping[str, Callable[[Component], list[Line]]] = {
    "N": lambda card: card.all("N")[:1],  # there is one; it stays when it is emptied (vCard 3 requires it)
    "ORG": lambda card: card.all("ORG"),
    "work": _typed("ADR", "work"),
    "home": _typed("ADR", "home", but="work"),
}


@dataclass(frozen=True, slots=True)
class Part:
    """One component of a structured value; the others of the line stay as they are written. A comma that nobody
    escaped is taken for what its writer meant, a comma."""

    name: str  # N, ORG, or the type of an ADR
    index: int
    type: Type = Type.TEXT

    def read(self, card: Component) -> Maybe:
        found = chosen(_CANDIDATES[self.name](card))
        if not found:
            return None
        parts = split(found.text_value, ";")
        return (
            checked(unescape(parts[self.index]), found.name, self.type) if self.index < len(parts) else None
        )

    def write(self, edit: Editor, value: Value) -> None:
        name = "ADR" if self.name in ("work", "home") else self.name
        candidates = _CANDIDATES[self.name](edit.component)
        found = chosen(candidates)
        parts = split(found.text_value, ";") if found else []
        least = {"N": 5, "ADR": 7}.get(name, self.index + 1)
        parts += [""] * (least - len(parts))
        parts[self.index] = "" if value is None else escape(str(value))
        if name == "ORG":
            while len(parts) > 1 and not parts[-1]:
                parts.pop()
        empty = not any(part.strip() for part in parts) and name != "N"  # vCard 3.0 requires N
        parameters = type_parameter(edit.component, self.name) if name == "ADR" else ""
        edit.put(candidates, None if empty else ";".join(parts), name, parameters)

    def project(self, value: Value) -> Maybe:
        return None if value is None else clean(str(value), self.type)


@dataclass(frozen=True, slots=True)
class Email:
    """The n-th address, the preferred one first; those beyond the third have no column."""

    position: int

    def read(self, card: Component) -> Maybe:
        slots = _slots(card)
        if self.position >= len(slots):
            return None
        address = checked(unescape(slots[self.position].text_value), "EMAIL", Type.EMAIL)
        return _without_scheme(address) if address else None

    def write(self, edit: Editor, value: Value) -> None:
        slots = _slots(edit.component)
        text = None if value is None else escape(str(value))
        if self.position < len(slots):
            line = slots[self.position]
            if text is not None:
                edit.rewrite(line, text)
            elif not is_blank(line):
                edit.empty(slots, line)
        elif text is not None:
            parameters = (
                type_parameter(edit.component, "internet") if version(edit.component) != "4.0" else ""
            )
            for _ in range(self.position - len(slots)):
                edit.add("EMAIL", "", f"{parameters};{HELD_OPEN}=1")
            edit.add("EMAIL", text, parameters)

    def project(self, value: Value) -> Maybe:
        address = None if value is None else clean(str(value), Type.EMAIL)
        return _without_scheme(address) if address else None


def _without_scheme(address: str) -> str | None:
    """Some write a URI where an address belongs."""
    return clean(address[7:], Type.EMAIL) if address[:7].lower() == "mailto:" else address


def _slots(card: Component) -> list[Line]:
    lines = [each for each in card.all("EMAIL") if not is_blank(each) or is_held_open(each)]
    return sorted(lines, key=_preference) if len(lines) > 1 else lines


def _preference(each: Line) -> int:
    """0 first. PREF=1 (vCard 4) to PREF=100; TYPE=PREF (vCard 3), bare ``PREF`` (2.1)."""
    if "pref" in each.types:
        return 0
    word = each.parameter("PREF")
    return int(word) if word.isascii() and word.isdigit() and len(word) < 4 else 101


# A number is counted once, under the first of these that applies; what is none of them is "other".
_NO_TELEPHONE = frozenset({"pager", "bbs", "modem", "isdn", "textphone", "pcs", "tlx", "telex"})
_SPOKEN = frozenset({"voice", "cell"})
_PHONES = (
    ("fax", frozenset({"fax"})),
    ("mobile", frozenset({"cell", "mobile", "iphone"})),
    ("work", frozenset({"work"})),
    ("home", frozenset({"home"})),
)
_NEW_PHONE = {
    "work": ("work",),
    "mobile": ("cell",),
    "home": ("home",),
    "fax": ("work", "fax"),
    "other": ("voice",),
}


def _phone_of(each: Line) -> str:
    types = each.types
    if types & _NO_TELEPHONE and not types & _SPOKEN:
        return ""
    return next((phone for phone, words in _PHONES if types & words), "other")


@dataclass(frozen=True, slots=True)
class Phone:
    """The first TEL of its sort; further ones have no column."""

    phone: str  # work, mobile, home, fax, other

    def _candidates(self, card: Component) -> list[Line]:
        return [each for each in card.all("TEL") if _phone_of(each) == self.phone]

    def read(self, card: Component) -> Maybe:
        found = chosen(self._candidates(card))
        if not found:
            return None
        text = found.text_value
        return checked(from_tel_uri(text) if _is_tel(text) else unescape(text), "TEL", Type.PHONE)

    def write(self, edit: Editor, value: Value) -> None:
        candidates = self._candidates(edit.component)
        found = chosen(candidates)
        uri = to_tel_uri(str(value)) if found and value is not None and _is_tel(found.text_value) else None
        text = uri or (None if value is None else escape(str(value)))
        drop = () if uri else ("VALUE",)
        parameters = type_parameter(edit.component, *_NEW_PHONE[self.phone])
        edit.put(candidates, text, "TEL", parameters, drop)

    def project(self, value: Value) -> Maybe:
        return None if value is None else clean(str(value), Type.PHONE)


def _is_tel(text: str) -> bool:
    return text[:4].lower() == "tel:"


def from_tel_uri(uri: str) -> str:
    """RFC 3966: ``tel:+1-555;ext=12`` is ``+1-555 ext. 12``; other parameters stay as they are."""
    number, *parameters = unquote(unescape(uri[4:])).split(";")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        number += f" ext. {value}" if name.lower() == "ext" else f";{parameter}"
    return number


_URI_NUMBER = re.compile(r"(\+?[0-9*#().-]+)(?: ext\. ([0-9().-]+))?", re.ASCII)


def to_tel_uri(number: str) -> str | None:
    """None where the URI would not read back as ``number`` (blanks in it, say): it is written as text then."""
    match = _URI_NUMBER.fullmatch(number)
    if not match:
        return None
    return f"tel:{match[1]}" + (f";ext={match[2]}" if match[2] else "")


_NO_YEAR = 1604  # what Apple writes for a date without a year, with or without X-APPLE-OMIT-YEAR


def _day_of(text: str) -> date | None:
    day, _, time = text.partition("T")
    somewhere = time.endswith("Z") and any(digit in time for digit in "123456789")
    return None if somewhere else plain_date(day)


@dataclass(frozen=True, slots=True)
class Day:
    """A whole date. A time that stands behind it (RFC 2426 3.1.5, RFC 6350 4.3.4) is left where it is. A date without a
    year, a moment in UTC (whose day depends on where one is), or anything else is no opinion."""

    names: tuple[str, ...]  # the first is the one for new lines

    def _candidates(self, card: Component) -> list[Line]:
        found = [each for name in self.names for each in card.all(name)]
        if "ANNIVERSARY" in self.names and card.all("X-ABDATE"):
            labelled = {
                each.group for each in card.all("X-ABLABEL") if "anniversary" in each.value.lower()
            } - {""}
            found += [each for each in card.all("X-ABDATE") if each.group in labelled]
        return found

    def read(self, card: Component) -> Maybe:
        found = chosen(self._candidates(card))
        if not found or is_blank(found):
            return None
        day = _day_of(unescape(found.text_value).strip())
        partial = day is None or day.year == _NO_YEAR or found.parameter("X-APPLE-OMIT-YEAR")
        return ABSENT if partial else day

    def write(self, edit: Editor, value: Value) -> None:
        candidates = self._candidates(edit.component)
        # vCard 4 has the basic format only (RFC 6350 4.3.1).
        dashes = version(edit.component) != "4.0" and not any(each.value.isdigit() for each in candidates[:1])
        text = format_date(value, dashes=dashes) if isinstance(value, date) else None
        edit.put(candidates, text, self.names[0], "", ("VALUE", "X-APPLE-OMIT-YEAR", "CALSCALE"))

    def project(self, value: Value) -> Maybe:
        if isinstance(value, datetime):
            value = value.date()
        if isinstance(value, date):
            return value if value.year != _NO_YEAR else ABSENT
        return None if value is None else ABSENT
