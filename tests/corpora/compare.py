"""What became of a text, content line by content line."""

import re
from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass

from tests.connectors.dav.corpora import lines

STAMP = "X-CRMSYNC-LINK"
TOUCHED = frozenset(
    {STAMP, "REV", "LAST-MODIFIED", "DTSTAMP", "SEQUENCE"}
)  # told of every edit, where they are
_COMING = frozenset({STAMP, "DTSTAMP"})  # those of them that are added where they are not
_FOLLOWING = frozenset(
    {"DURATION", "DTEND", "X-ALT-DESC", "STYLED-DESCRIPTION", "PERCENT-COMPLETE", "COMPLETED"}
)
_SEVERAL = frozenset({"CATEGORIES"})  # all such lines are one column
_OURS = ("VCARD", "VEVENT", "VTODO")
_HEAD = re.compile(r'((?:[^":]|"[^"]*")*):', re.DOTALL)
_GIVEN_UP = frozenset(
    {"VALUE", "TZID", "ENCODING", "CHARSET", "QUOTED-PRINTABLE", "BASE64", "CALSCALE", "X-APPLE-OMIT-YEAR"}
)
_HELD_OPEN = "X-CRMSYNC-EMPTY"


@dataclass(frozen=True)
class Where:
    path: tuple[str, ...]  # the components it stands in
    name: str  # upper case, without group
    raw: str  # with its folds

    @property
    def what(self) -> tuple[tuple[str, ...], str]:
        return self.path, self.name


def complaints(before: str, after: str, names: Set[str], *, emptied: bool = False) -> list[str]:
    """All that differs but one line of each of these properties (and what tells of an edit) in the item itself, where
    it stood. ``emptied``: a column is, so that its line may go; else only those go that said what no longer holds."""
    old, new = list(_placed(before)), list(_placed(after))
    free = names | TOUCHED
    leaving = names if emptied else names & _FOLLOWING
    found = []
    if [x for x in old if not _is_free(x, free)] != [x for x in new if not _is_free(x, free)]:
        found.append("another line differs, or the order")
    for name in sorted(free):
        gone, come = _differing(old, new, name)
        if gone and not come and name not in leaving:
            found.append(f"{name} is gone")
        if come and not gone and name in TOUCHED - _COMING:
            found.append(f"there was no {name} before")
        if name in _SEVERAL:
            continue
        if len(gone) > 1 or len(come) > 1:
            found.append(f"more than one {name} differs")
        elif gone and come and not _same_head(gone[0], come[0]):
            found.append(f"{name} has other parameters: {gone[0][:80]!r} {come[0][:80]!r}")
    return found or list(_moved(old, new))


def _moved(old: list[Where], new: list[Where]) -> Iterator[str]:
    """The first line that does not stand where it was. What has changed takes the place of what it was, and what has
    only come may stand anywhere between the others; categories that are all others go, and others come."""
    gone, come = Counter(old) - Counter(new), Counter(new) - Counter(old)
    places = {each.what for each in gone if each.name not in _SEVERAL}
    instead = {each.what: each for each in come if each.what in places}
    rest = list(reversed(new))
    for line in old:
        if gone[line] and rest[-1:] != [line]:
            gone[line] -= 1
            if line.what not in instead:
                continue
            line = instead[line.what]
        while rest and rest[-1] != line and come[rest[-1]] and rest[-1].what not in places:
            come[rest.pop()] -= 1
        if not rest or rest.pop() != line:
            yield f"{line.name} stands elsewhere: {line.raw[:80]!r}"
            return


def _placed(text: str) -> Iterator[Where]:
    path: tuple[str, ...] = ()
    for raw in lines(text):
        plain = raw.replace("\n ", "").replace("\n\t", "").lstrip("\ufeff")
        name = re.split("[:;]", plain, maxsplit=1)[0].rpartition(".")[2].strip().upper()
        inner = plain.partition(":")[2].strip().upper()
        if name == "BEGIN" and ":" in plain:
            path = (*path, inner)
        yield Where(path, name, raw)
        if name == "END" and ":" in plain and path:
            path = path[:-1]


def _is_free(line: Where, free: Set[str]) -> bool:
    return line.name in free and bool(line.path) and line.path[-1] in _OURS


def _differing(old: list[Where], new: list[Where], name: str) -> tuple[list[str], list[str]]:
    def count(some: list[Where]) -> Counter[str]:
        return Counter(each.raw for each in some if each.name == name and _is_free(each, {name}))

    return list((count(old) - count(new)).elements()), list((count(new) - count(old)).elements())


def _same_head(old: str, new: str) -> bool:
    """Group and parameters stay, but for those that say how the value that went was written."""
    return _head(old) == _head(new)


def _head(raw: str) -> list[str]:
    if "QUOTED-PRINTABLE" in raw.upper():
        raw = raw.replace("=\n", "")
    plain = raw.replace("\n ", "").replace("\n\t", "")
    found = _HEAD.match(plain)
    head = found[1] if found else plain.partition(":")[0]
    if head.count('"') % 2:  # one that is never closed is written as another mark, so that it stays so
        head = plain.partition(":")[0].replace('"', "'")
    words = re.findall(r'(?:[^";]|"[^"]*")+', head)
    return [w for w in words if w.partition("=")[0].strip().upper() not in {*_GIVEN_UP, _HELD_OPEN}]
