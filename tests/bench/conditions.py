"""The few conditions of the CRM's query language that a synchroniser asks with: ``=``, ``>=``, ``IN``, AND, OR.

``where(text)`` gives the rows that meet it: those that an index proposes, where one can, then each one tested."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

Row = dict[str, Any]
Test = Callable[[Row], bool]
Index = Mapping[str, Mapping[str, Mapping[str, Row]]]  # field -> value in lower case -> rows by id

_WORD = re.compile(
    r"\s*(?:(?P<text>'(?:[^'\\]|\\.)*')|(?P<mark>[(),])|(?P<sign>>=|<=|=|<|>)|(?P<word>[^\s(),=<>']+))"
)


_LIST = re.compile(r"\(?(\w+) IN \(('(?:[^'\\]|\\.)*'(?:,'(?:[^'\\]|\\.)*')*)\)\)?")


class Condition:
    test: Test
    proposals: list[tuple[str, str]] | None  # (field, value), any of which is met; None: no index

    def __init__(self, text: str) -> None:
        if text and not _LIST.sub("", text).replace("OR", "").strip():
            self._lists(text)
            return
        self._words = [m.group(m.lastgroup or "") for m in _WORD.finditer(text)] if text.strip() else []
        self._at = 0
        self.test = lambda row: True
        self.proposals = None
        if self._words:
            self.test, self.proposals = self._or()

    def _lists(self, text: str) -> None:
        """The long conditions, IN by IN, without a look at each word."""
        found = [
            (f, [_value(f"'{v}'") for v in given[1:-1].split("','")]) for f, given in _LIST.findall(text)
        ]
        wanted = [(field, {v.lower() for v in values}) for field, values in found]
        self.test = lambda row: any(str(row.get(field)).lower() in some for field, some in wanted)
        self.proposals = [(field, value) for field, values in found for value in values]

    def rows(self, everything: Iterable[Row], index: Index) -> list[Row]:
        if self.proposals is None or any(field not in index for field, _ in self.proposals):
            return [row for row in everything if self.test(row)]
        found: dict[str, Row] = {}
        for field, value in self.proposals:
            found |= index[field].get(value.lower(), {})
        return [row for row in found.values() if self.test(row)]

    def _peek(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _take(self) -> str:
        self._at += 1
        return self._words[self._at - 1]

    def _or(self) -> tuple[Test, list[tuple[str, str]] | None]:
        parts = [self._and()]
        while self._peek().upper() == "OR":
            self._take()
            parts.append(self._and())
        if len(parts) == 1:
            return parts[0]
        tests = [test for test, _ in parts]
        proposed = [p for _, p in parts]
        together = None if None in proposed else [x for p in proposed for x in p or ()]
        return (lambda row: any(t(row) for t in tests)), together

    def _and(self) -> tuple[Test, list[tuple[str, str]] | None]:
        parts = [self._atom()]
        while self._peek().upper() == "AND":
            self._take()
            parts.append(self._atom())
        if len(parts) == 1:
            return parts[0]
        tests = [test for test, _ in parts]
        return (lambda row: all(t(row) for t in tests)), next((p for _, p in parts if p is not None), None)

    def _atom(self) -> tuple[Test, list[tuple[str, str]] | None]:
        if self._peek() == "(":
            self._take()
            inside = self._or()
            self._take()
            return inside
        field, sign = self._take(), self._take().upper()
        if sign == "IN":
            values = self._list()
            wanted = {str(v).lower() for v in values}
            return (lambda row: str(row.get(field)).lower() in wanted), [(field, str(v)) for v in values]
        value = _value(self._take())
        if sign == "=":
            proposal = [(field, value)] if isinstance(value, str) else None
            return (lambda row: _same(row.get(field), value)), proposal
        return (lambda row: _ordered(row.get(field), sign, value)), None

    def _list(self) -> list[Any]:
        values = []
        self._take()
        while (word := self._take()) != ")":
            if word != ",":
                values.append(_value(word))
        return values


def _same(have: Any, wanted: Any) -> bool:
    if isinstance(have, str) and isinstance(wanted, str):
        return have.lower() == wanted.lower()
    return bool(have == wanted)


def _ordered(have: Any, sign: str, wanted: Any) -> bool:
    if have is None:
        return False
    return bool(have >= wanted if sign.startswith(">") else have <= wanted)


def _value(word: str) -> Any:
    if word.startswith("'"):
        return re.sub(r"\\(.)", r"\1", word[1:-1])
    if word.lower() in ("true", "false", "null"):
        return {"true": True, "false": False, "null": None}[word.lower()]
    if word.endswith("Z"):  # a time, in the form in which rows carry it
        return word[:-1] + "+0000"
    return word
