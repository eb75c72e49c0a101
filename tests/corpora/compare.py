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


def complaints(before: str, after: str, names: Set[str]) -> list[str]:
    """All that differs but one line of each of these properties (and what tells of an edit) in the item itself."""
    old, new = list(_placed(before)), list(_placed(after))
    free = names | TOUCHED
    found = []
    if [x for x in old if not _is_free(x, free)] != [x for x in new if not _is_free(x, free)]:
        found.append("another line differs, or the order")
    for name in sorted(free):
        gone, come = _differing(old, new, name)
        if name in _SEVERAL:
            continue
        if len(gone) > 1 or len(come) > 1:
            found.append(f"more than one {name} differs")
        elif gone and come and not _same_head(gone[0], come[0]):
            found.append(f"{name} has other parameters: {gone[0][:80]!r} {come[0][:80]!r}")
    return found


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
