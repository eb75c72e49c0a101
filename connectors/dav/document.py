"""A whole vCard or calendar object: components within components, and their content lines.

What nobody replaces is given back byte for byte; that is the point of this layer, and why it is also fast.
"""

import re

from crmsync.connectors.dav.contentline import Line, lines_of
from crmsync.connectors.dav.item import MAX_DEPTH, MAX_LINES, Malformed

_COMPONENT = re.compile(  # RFC 6350, 5545, 7953, 9073
    r"V(CARD|CALENDAR|EVENT|TODO|JOURNAL|FREEBUSY|TIMEZONE|ALARM|AVAILABILITY|LOCATION|RESOURCE)"
    r"|STANDARD|DAYLIGHT|AVAILABLE|PARTICIPANT"
)


class Component:
    """``BEGIN:X`` to ``END:X``: its own lines and the components within it."""

    __slots__ = ("begin", "by_name", "components", "end", "lines", "name", "outer", "torn")

    def __init__(self, name: str, begin: Line, outer: "Component | None") -> None:
        self.name = name
        self.begin = begin
        self.end = begin
        self.outer = outer
        self.lines: list[Line] = []  # its own properties, in order; not those of components within
        self.by_name: dict[str, list[Line]] = {}
        self.components: list[Component] = []
        self.torn: frozenset[str] = frozenset()  # names of lines after which one without a name stands

    def all(self, name: str) -> list[Line]:
        return self.by_name.get(name, [])

    def first(self, name: str) -> Line | None:
        found = self.by_name.get(name)
        return found[0] if found else None


class Document:
    """A whole text: ``lines`` in order, ``components`` at the top level."""

    __slots__ = ("components", "lines")

    def __init__(self, lines: list[Line], components: list[Component]) -> None:
        self.lines = lines
        self.components = components

    @property
    def text(self) -> str:
        return "".join([line.raw for line in self.lines])

    def replace(self, owner: Component, old: Line, new: Line | None) -> None:
        """Puts ``new`` in the place of ``old``; None takes the line out."""
        for lines in (self.lines, owner.lines, owner.by_name[old.name]):
            at = _index(lines, old)
            lines[at : at + 1] = [new] if new else []

    def insert(self, owner: Component, after: Line, new: Line) -> None:
        """``after``: one of the owner's lines, or its ``begin``. What may be the rest of that line stays with it."""
        self.lines.insert(_index(self.lines, after) + 1 + len(self.rest_of(after)), new)
        owner.lines.insert(0 if after is owner.begin else _index(owner.lines, after) + 1, new)
        same = owner.by_name.setdefault(new.name, [])
        same[:] = [line for line in owner.lines if line.name == new.name]

    def rest_of(self, line: Line) -> list[Line]:
        """The lines without a name that follow, without the blank ones at their end: seen was a picture with a blank
        line in its base64, others break a text and do not fold it."""
        at = _index(self.lines, line) + 1
        end = last = at
        while end < len(self.lines) and not self.lines[end].name:
            end += 1
            if not self.lines[end - 1].raw.isspace():
                last = end
        return self.lines[at:last]

    def insert_component(self, text: str, before: Component) -> None:
        """Puts the component that is ``text`` (line ends included) in front of another, within the same outer one."""
        new = parse(text)
        at = _index(self.lines, before.begin)
        self.lines[at:at] = new.lines
        siblings = before.outer.components if before.outer else self.components
        for component in new.components:
            component.outer = before.outer
            siblings.insert(siblings.index(before), component)

    def append_component(self, text: str, inside: Component) -> None:
        """Puts the component that is ``text`` (line ends included) behind all that stands in another one."""
        new = parse(text)
        at = _index(self.lines, inside.end)
        self.lines[at:at] = new.lines
        for component in new.components:
            component.outer = inside
            inside.components.append(component)

    def remove_component(self, component: Component) -> None:
        """From its BEGIN to its END."""
        first, last = _index(self.lines, component.begin), _index(self.lines, component.end)
        del self.lines[first : last + 1]
        (component.outer.components if component.outer else self.components).remove(component)


def _index(lines: list[Line], line: Line) -> int:
    return next(i for i, other in enumerate(lines) if other is line)


def parse(text: str) -> Document:
    """Raises Malformed when the nesting is broken, a NUL stands in it or it is beyond the bounds."""
    if "\0" in text:
        raise Malformed("it holds a NUL character (RFC 5545 3.1, RFC 6350 3.2)")
    lines = list(lines_of(text))
    if len(lines) > MAX_LINES:
        raise Malformed(f"it has more than {MAX_LINES} lines")
    roots: list[Component] = []
    at: Component | None = None
    last = ""  # property that a line without a name may be the rest of
    for line in lines:
        name = line.name
        if name == "BEGIN":
            at, last = _opened(line, at, roots), ""
        elif name == "END":
            at, last = _closed(line, at), ""
        elif at is not None and name:
            at.lines.append(line)
            if name in at.by_name:
                at.by_name[name].append(line)
            else:
                at.by_name[name] = [line]
            last = name
        elif at is not None and last and not line.raw.isspace():
            at.torn |= {last}
    if at is not None:
        raise Malformed(f"{_mark('BEGIN', at.name)} has no END (RFC 5545 3.6, RFC 6350 6.1.2)")
    if not roots:
        raise Malformed("there is no BEGIN line in it (RFC 5545 3.4, RFC 6350 6.1.1)")
    return Document(lines, roots)


def _opened(line: Line, outer: Component | None, roots: list[Component]) -> Component:
    component = Component(line.value.strip().upper(), line, outer)
    (outer.components if outer else roots).append(component)
    depth, above = 0, outer
    while above:
        depth, above = depth + 1, above.outer
    if depth > MAX_DEPTH:
        raise Malformed(f"components are nested more than {MAX_DEPTH} deep")
    return component


def _mark(word: str, name: str) -> str:
    """For a reason that goes into logs: in a broken object anything may stand where a component's name belongs."""
    return f"{word}:{name}" if _COMPONENT.fullmatch(name) else f"{word} of something that is no component"


def _closed(line: Line, at: Component | None) -> Component | None:
    name = line.value.strip().upper()
    if at is None:
        raise Malformed(f"{_mark('END', name)} has no BEGIN (RFC 5545 3.6, RFC 6350 6.1.2)")
    if name != at.name:
        raise Malformed(
            f"{_mark('BEGIN', at.name)} is closed by {_mark('END', name)} (RFC 5545 3.6, RFC 6350 6.1.2)"
        )
    at.end = line
    return at.outer
