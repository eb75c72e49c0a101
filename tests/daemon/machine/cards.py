"""vCards as a simple program of a person reads and writes them: line by line, and nothing of the service's own code."""

import re
from collections.abc import Mapping
from datetime import date

from crmsync.connectors.contract import Columns, Value

HELD = frozenset(
    {"first_name", "last_name", "suffix", "email", "job_title", "department"}
    | {"company", "phone_mobile", "birthday", "notes"}
)
_PARTS: Mapping[str, tuple[str, int]] = {
    "last_name": ("N", 0),
    "first_name": ("N", 1),
    "suffix": ("N", 4),
    "company": ("ORG", 0),
    "department": ("ORG", 1),
}
_LINES: Mapping[str, tuple[str, str]] = {  # property, and its parameters in a new line
    "email": ("EMAIL", ";TYPE=INTERNET"),
    "job_title": ("TITLE", ""),
    "phone_mobile": ("TEL", ";TYPE=CELL"),
    "birthday": ("BDAY", ""),
    "notes": ("NOTE", ""),
}
_LENGTH = {"N": 5, "ORG": 2}


class Card:
    def __init__(self, text: str) -> None:
        self.lines = [line for line in re.sub("\r?\n[ \t]", "", text).splitlines() if line]

    @classmethod
    def new(cls, uid: str, columns: Columns) -> "Card":
        card = cls(
            f"BEGIN:VCARD\nVERSION:3.0\nUID:{uid}\nFN:{columns['first_name']}\nX-KEPT:as it is\nEND:VCARD"
        )
        card.write(columns)
        return card

    @property
    def text(self) -> str:
        return "".join(f"{line}\r\n" for line in self.lines)

    @property
    def uid(self) -> str:
        return self._value("UID") or ""

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(_plain(t) for t in _split(self._value("CATEGORIES") or "", ",") if t)

    def columns(self) -> dict[str, Value]:
        found: dict[str, Value] = {}
        for name, (line, part) in _PARTS.items():
            parts = _split(self._value(line) or "", ";")
            found[name] = (_plain(parts[part]) or None) if part < len(parts) else None
        for name, (line, parameters) in _LINES.items():
            value = self._value(line, "CELL" if "CELL" in parameters else "")
            found[name] = _plain(value) if value else None
        born = str(found["birthday"] or "").replace("-", "")
        found["birthday"] = date(int(born[:4]), int(born[4:6]), int(born[6:8])) if born else None
        return found

    def write(self, columns: Columns) -> None:
        for name, value in columns.items():
            text = value.isoformat() if isinstance(value, date) else _escaped(str(value or ""))
            if name in _PARTS:
                line, part = _PARTS[name]
                parts = _split(self._value(line) or "", ";")
                parts += [""] * (_LENGTH[line] - len(parts))
                parts[part] = text
                self._put(line, "", ";".join(parts) if any(parts) else "")
            else:
                self._put(*_LINES[name], text)

    def select(self, tags: frozenset[str]) -> None:
        self._put("CATEGORIES", "", ",".join(map(_escaped, sorted(tags))))

    def rename(self, uid: str) -> None:
        self._put("UID", "", uid)

    def touch(self, number: int) -> None:
        self._put("X-TOUCHED", "", str(number))

    def _at(self, name: str, word: str = "") -> int | None:
        for number, line in enumerate(self.lines):
            head = line.partition(":")[0].upper()
            if head.partition(";")[0].rpartition(".")[2] == name and word in head:
                return number
        return None

    def _value(self, name: str, word: str = "") -> str | None:
        at = self._at(name, word)
        return self.lines[at].partition(":")[2] if at is not None else None

    def _put(self, name: str, parameters: str, value: str) -> None:
        at = self._at(name, "CELL" if "CELL" in parameters else "")
        if at is None and value:
            self.lines.insert(len(self.lines) - 1, f"{name}{parameters}:{value}")
        elif at is not None and value:
            self.lines[at] = f"{self.lines[at].partition(':')[0]}:{value}"
        elif at is not None:
            del self.lines[at]


def _split(value: str, at: str) -> list[str]:
    return re.split(rf"(?<!\\){at}", value)


def _plain(value: str) -> str:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value)


def _escaped(value: str) -> str:
    return re.sub(r"([\\,;])", r"\\\1", value).replace("\n", "\\n")
