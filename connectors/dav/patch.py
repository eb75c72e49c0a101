"""Writing into one component of a document, line by line; used by vCards and calendar objects alike."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from crmsync.connectors.contract import Columns, Stamp, Value
from crmsync.connectors.dav.contentline import Line, escape, line, split, unescape, without
from crmsync.connectors.dav.document import Component, Document
from crmsync.connectors.dav.item import STAMP_PROPERTY, format_stamp, parse_stamp
from crmsync.connectors.dav.values import checked, clean, format_moment, in_utc

# Keeps the place of a value that was taken out while others of its sort follow: without it the second e-mail
# address, or a third telephone number that has no column, would move up into the column that was just emptied.
HELD_OPEN = "X-CRMSYNC-EMPTY"
_STRUCTURED = frozenset({"N", "ADR", "ORG"})  # ``;;`` says nothing


class Editor:
    """``changed`` says whether anything was written; the component can be read at any time."""

    def __init__(self, document: Document, component: Component) -> None:
        self.document = document
        self.component = component
        self.changed = False

    def rewrite(self, old: Line, value: str, *, drop: Sequence[str] = (), add: str = "") -> Line:
        """A new value (escaped already) under the old group, name and parameters, but for those to ``drop`` and the
        encodings of vCard 2.1. ``add``: more parameters, from ``contentline.parameter``."""
        head = without(old.head, "ENCODING", "CHARSET", HELD_OPEN, *drop) + add
        new = line(old.name, value, head=head, eol=old.eol or self.component.begin.eol)
        if new.raw != old.raw:
            self.document.replace(self.component, old, new)
            self.changed = True
        return new

    def add(self, name: str, value: str, parameters: str = "") -> Line:
        """A new line after the last one of its name, else after the component's last own line."""
        same = self.component.all(name)
        new = line(name, value, head=name + parameters, eol=self.component.begin.eol or "\r\n")
        self.document.insert(self.component, same[-1] if same else self._last(), new)
        self.changed = True
        return new

    def _last(self) -> Line:
        """Properties stand before components (RFC 5545 3.6.1); what some producer wrote after them stays there."""
        own = self.component.lines
        if not self.component.components or not own:
            return own[-1] if own else self.component.begin
        first_inner = self.component.components[0].begin
        before = self.component.begin
        mine = set(map(id, own))
        for candidate in self.document.lines:
            if candidate is first_inner:
                break
            if id(candidate) in mine:
                before = candidate
        return before

    def remove(self, old: Line) -> None:
        """But for a line whose rest may follow, which would then belong to the one before: that one is emptied."""
        if self.document.rest_of(old):
            self.rewrite(old, "")
            return
        self.document.replace(self.component, old, None)
        self.changed = True

    def put(
        self,
        candidates: Sequence[Line],
        value: str | None,
        name: str,
        parameters: str = "",
        drop: Sequence[str] = (),
    ) -> None:
        """Makes ``value`` (escaped) the one that ``chosen`` finds among ``candidates``, lines in order of preference
        for one column. None takes it out. ``name`` and ``parameters`` are those of a new line."""
        found = chosen(candidates)
        if value is not None:
            target = found or next(iter(candidates), None)
            if target:
                self.rewrite(target, value, drop=drop)
            else:
                self.add(name, value, parameters)
        elif found and not is_blank(found):
            self.empty(candidates, found)

    def empty(self, candidates: Sequence[Line], found: Line) -> None:
        """Takes ``found`` out, or holds its place open when another candidate would move up into it."""
        at = next(i for i, candidate in enumerate(candidates) if candidate is found)
        if any(not is_blank(later) for later in candidates[at + 1 :]):
            self.rewrite(found, "", add=f";{HELD_OPEN}=1")
            return
        self.remove(found)
        for before in reversed(candidates[:at]):
            if not is_held_open(before):
                break
            self.remove(before)


def is_blank(candidate: Line) -> bool:
    return not candidate.value.strip("; \t" if candidate.name in _STRUCTURED else None)


def is_held_open(candidate: Line) -> bool:
    return is_blank(candidate) and any(name == HELD_OPEN for name, _ in candidate.parameters)


def chosen(candidates: Iterable[Line]) -> Line | None:
    """The first that says something or is held open; blank lines that others left behind say nothing."""
    return next((c for c in candidates if not is_blank(c) or is_held_open(c)), None)


def changes(current: Columns, wanted: Columns) -> dict[str, Value]:
    """What there is to write. A line that could not be read (absent in ``current``) is not erased by a None."""
    return {
        name: value
        for name, value in wanted.items()
        if (current[name] != value if name in current else value is not None)
    }


# ── Categories and stamp: the same in all components ─────────────────────────────────────────────────────────


def categories(component: Component) -> tuple[str, ...]:
    """Of all CATEGORIES lines: sorted, once each."""
    found = (word for each in component.all("CATEGORIES") for _, word in _words(each))
    return tuple(sorted({word for word in found if word}))


def _words(each: Line) -> list[tuple[str, str]]:
    """Each category as it is written and as it reads."""
    raw = split(each.text_value, ",")
    return [
        (piece, (checked(unescape(piece), "CATEGORIES") or "").replace("\n", " ").strip()) for piece in raw
    ]


def put_categories(edit: Editor, wanted: Iterable[str]) -> None:
    """Takes out and appends, so that the rest keeps order, spelling and line."""
    wanted = dict.fromkeys(wanted)  # a set that keeps its order
    for each in list(edit.component.all("CATEGORIES")):
        words = _words(each)
        kept = [raw for raw, word in words if word in wanted or not word]
        if len(kept) == len(words):
            continue
        if any(word in wanted for _, word in words):
            edit.rewrite(each, ",".join(kept))
        else:
            edit.remove(each)
    have = frozenset(categories(edit.component))
    new = ",".join(escape(word) for word in wanted if word not in have)
    if not new:
        return
    last = next(iter(edit.component.all("CATEGORIES")[-1:]), None)
    if last:
        edit.rewrite(last, ",".join([*split(last.text_value, ","), new]) if last.value.strip() else new)
    else:
        edit.add("CATEGORIES", new)


def put_tag(edit: Editor, tag: str) -> None:
    """``tag`` among the categories, next to those that are there."""
    word = category(tag)
    if word and word not in categories(edit.component):
        put_categories(edit, [*categories(edit.component), word])


def category(word: str) -> str:
    """As a category is read back."""
    return (clean(word) or "").replace("\n", " ").strip()


def stamp_of(component: Component) -> Stamp | None:
    found = (parse_stamp(unescape(each.value).strip()) for each in component.all(STAMP_PROPERTY))
    return next((stamp for stamp in found if stamp), None)


def put_stamp(edit: Editor, stamp: Stamp) -> None:
    """One stamp; a second one (a careless merge by some client) goes."""
    lines = list(edit.component.all(STAMP_PROPERTY))
    if len(lines) == 1 and stamp_of(edit.component) == stamp:
        return
    for extra in lines[1:]:
        edit.remove(extra)
    if lines:
        edit.rewrite(lines[0], format_stamp(stamp))
    else:
        edit.add(STAMP_PROPERTY, format_stamp(stamp))


def put_now(edit: Editor, name: str, now: datetime, *, required: bool = False) -> None:
    """A time-stamp line such as REV, in the format it has, if it is there (or required)."""
    old = edit.component.first(name)
    if old:
        edit.rewrite(old, format_moment(in_utc(now), dashes="-" in old.value), drop=("VALUE", "TZID"))
    elif required:
        edit.add(name, format_moment(in_utc(now)))
