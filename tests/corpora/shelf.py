"""The corpora as a server would hold them: one vCard in a resource (RFC 6352 5.1), one UID in a calendar object
resource with the time zones it needs (RFC 4791 4.1), each UID once in a collection. Everything else as it is, by other
means than the code under test."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from tests.connectors.dav.corpora import files

_PHYSICAL = re.compile(rb"[^\r\n]*(?:\r\n?|\n)|[^\r\n]+\Z")
_UID = re.compile(
    rb"(?:^|(?<=\r))((?:item\d\.)?UID(?:\r?\n[ \t])?(?:;[^:\r\n]*)?:)([^\r\n]*\S)",
    re.IGNORECASE | re.MULTILINE,
)
_GROUPED = (b"VEVENT", b"VTODO", b"VJOURNAL")


@dataclass(frozen=True)
class Resource:
    name: str
    file: str  # of the corpus
    sort: str  # "addressbook" or "calendar"
    data: bytes


@dataclass
class Block:
    """``BEGIN`` to ``END``, or one logical line (no name)."""

    name: bytes
    data: bytes
    inner: "list[Block]"


@cache
def shelf() -> tuple[Resource, ...]:
    """All of it, in a fixed order."""
    seen: Counter[bytes] = Counter()
    return tuple(
        Resource(name, path.name, sort, _once(data, seen))
        for kind, sort in (("vcard", "addressbook"), ("icalendar", "calendar"))
        for path in files(kind)
        for name, data in _named(path, list(parts(path.read_bytes())))
    )


def _named(path: Path, found: list[bytes]) -> Iterator[tuple[str, bytes]]:
    suffix = ".vcf" if path.suffix == ".vcf" else ".ics"
    for number, data in enumerate(found):
        yield f"{path.stem}{f'-{number}' if len(found) > 1 else ''}{suffix}", data


def _once(data: bytes, seen: Counter[bytes]) -> bytes:
    """With another UID where a resource before had the same one."""
    found = _UID.search(data)
    if not found:
        return data
    uid = found[2].replace(b"\\", b"").strip()
    seen[uid] += 1
    count = seen[uid]
    return data if count == 1 else _UID.sub(lambda m: m[1] + m[2] + b"-again%d" % count, data)


def parts(data: bytes) -> Iterator[bytes]:
    """One item each; the file itself where it is one, or is nothing that could be taken apart."""
    found = blocks(data)
    roots = [each for each in found or () if each.name]
    if not roots:
        yield data
        return
    groups = [list(_of_calendar(each)) if each.name == b"VCALENDAR" else [each.data] for each in roots]
    if len(groups) == 1 and len(groups[0]) == 1:
        yield data
    else:
        yield from (part for group in groups for part in group)


def _of_calendar(calendar: Block) -> Iterator[bytes]:
    groups: dict[bytes, list[Block]] = {}
    for number, each in enumerate(calendar.inner):
        if each.name in _GROUPED:
            found = _UID.search(each.data)
            groups.setdefault(found[2] if found else b"%d" % number, []).append(each)
    if len(groups) <= 1:
        yield calendar.data
        return
    for group in groups.values():
        kept = [each for each in calendar.inner if each.name not in _GROUPED or each in group]
        yield b"".join(each.data for each in kept)


def blocks(data: bytes) -> list[Block] | None:
    """None when the nesting is broken."""
    root = Block(b"", b"", [])
    stack = [root]
    for line in _logical(data):
        word, _, name = line.strip().upper().partition(b":")
        if word == b"BEGIN":
            block = Block(name.strip(), b"", [])
            stack[-1].inner.append(block)
            stack.append(block)
        stack[-1].inner.append(Block(b"", line, []))
        if word == b"END" and (len(stack) == 1 or stack.pop().name != name.strip()):
            return None
    if len(stack) > 1:
        return None
    _fill(root)
    return root.inner


def _fill(block: Block) -> None:
    for each in block.inner:
        if each.inner:
            _fill(each)
    block.data = b"".join(each.data for each in block.inner)


def _logical(data: bytes) -> Iterable[bytes]:
    found: list[bytes] = []
    for line in _PHYSICAL.findall(data.removeprefix(b"\xef\xbb\xbf")):
        soft = bool(found) and found[-1].rstrip(b"\r\n").endswith(b"=") and b"QUOTED" in found[-1].upper()
        if found and (soft or line[:1] in (b" ", b"\t")):
            found[-1] += line
        else:
            found.append(line)
    return found
