"""Content lines (RFC 5545 3.1, RFC 6350 3.2 and 3.3, vCard 2.1 and 3.0): unfold, parse, replace, fold.

A ``Document`` keeps the text as a list of lines, each exactly as it stood, folds and line end included. Nothing but
the name is looked at before somebody asks, and what nobody replaces is given back byte for byte; that is the point
of this layer, and why it is also fast.
"""

import re
from collections.abc import Iterable, Iterator

from crmsync.connectors.dav.encodings import decoded
from crmsync.connectors.dav.item import MAX_DEPTH, MAX_LINES, Malformed

# No possessive quantifiers: with Python 3.11.2, which Debian 12 has, they were seen to capture the wrong text (3.11.7
# is right). These expressions do not backtrack far without them: what follows a repetition cannot begin with what is
# repeated.
_EOL = r"(?:\r\n?|\n)"
# One logical line: all of it; group; name (empty: odd, perhaps a name that is itself folded); its line end.
_LINE = re.compile(
    r"((?:(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_/-]+)(?=[;:]))?"
    rf"[^\r\n]*(?:{_EOL}[ \t][^\r\n]*)*({_EOL}|\Z))"
)
_NAME = re.compile(r"(?:([A-Za-z0-9_-]+)\.)?([A-Za-z0-9_/-]+)(?=[;:])")
_COMPONENT = re.compile(r"[A-Z][A-Z0-9-]{0,30}")
_FOLD = re.compile(rf"{_EOL}[ \t]")
_SOFT_BREAK = re.compile(rf"={_EOL}")
_HEAD = re.compile(r'[^":]*(?:"[^"]*"[^":]*)*:')  # up to the colon that is not within quotes
_PARAMETER = re.compile(r';([^=;:"]*)(?:(=)((?:"[^"]*"|[^";:]|")*))?')
_PARAMETER_VALUE = re.compile(r'"([^"]*)"|([^",]+)')
_ESCAPE = re.compile(r"\\([nN,;:\\])")
_ESCAPE_OR_MARK = {mark: re.compile(rf"\\.|{mark}", re.S) for mark in ";,"}

# (NAME, values) in their order; the bare ``;WORK`` of vCard 2.1 is a TYPE
Parameters = tuple[tuple[str, tuple[str, ...]], ...]


def decode(data: bytes) -> str:
    """Bytes of a ``text/vcard`` or ``text/calendar`` body to text. Both are UTF-8 (RFC 6350 3.1, RFC 5545 3.1.4),
    whatever a charset parameter says; a byte order mark is dropped. Raises Malformed for anything else."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Malformed(
            f"it is not UTF-8: byte 0x{data[error.start]:02X} at position {error.start} (RFC 6350 3.1, RFC 5545 3.1.4)"
        ) from None


class Line:
    """One property (or ``BEGIN``, ``END``, an odd line), as it stands. Replaced in a document, never changed.

    What follows ``eol`` below is worked out when it is first asked for, and then stays.
    """

    __slots__ = ("eol", "group", "head", "name", "parameters", "raw", "text_value", "types", "value")

    raw: str  # folds and line end included
    group: str  # "item1" of "item1.TEL"
    name: str  # upper case; empty: a line without a name, which nobody asks for
    eol: str
    head: str  # group, name and parameters, unfolded
    value: str  # unfolded, still escaped and encoded
    parameters: Parameters
    text_value: (
        str  # the value with the ENCODING and CHARSET of vCard 2.1 and vCalendar 1.0 undone, still escaped
    )
    types: frozenset[
        str
    ]  # lower-case values of all TYPE parameters; ``TYPE="work,voice"`` (vCard 4) is two of them

    def __init__(self, raw: str, group: str, name: str, eol: str) -> None:
        self.raw = raw
        self.group = group
        self.name = name
        self.eol = eol

    def __getattr__(self, name: str) -> object:
        """Called by Python for a slot that has no value yet."""
        if name in ("head", "value"):
            self.head, self.value = _head_and_value(self.raw, self.eol)
        elif name == "parameters":
            self.parameters = (
                tuple(map(_parameter, _PARAMETER.findall(self.head))) if ";" in self.head else ()
            )
        elif name == "text_value":
            encoding = self.parameter("ENCODING").upper() if ";" in self.head else ""
            self.text_value = (
                decoded(self.value, encoding, self.parameter("CHARSET")) if encoding else self.value
            )
        elif name == "types":
            values = [value for key, values in self.parameters if key == "TYPE" for value in values]
            self.types = (
                frozenset(",".join(values).lower().replace(" ", "").split(",")) if values else _NO_TYPES
            )
        else:
            raise AttributeError(name)
        return object.__getattribute__(self, name)

    def parameter(self, name: str) -> str:
        """First value of the first parameter of that (upper-case) name, or empty."""
        for key, values in self.parameters:
            if key == name and values:
                return values[0]
        return ""


_NO_TYPES: frozenset[str] = frozenset()


def _is_quoted_printable(content: str) -> bool:
    return "QUOTED-PRINTABLE" in content.partition(":")[0].upper()


def _head_and_value(raw: str, eol: str) -> tuple[str, str]:
    content = raw[: len(raw) - len(eol)]
    if "\n" in content or "\r" in content:
        if _is_quoted_printable(content):
            content = _SOFT_BREAK.sub("", content)
        content = _FOLD.sub("", content)
    if '"' not in content:
        head, _, value = content.partition(":")
        return head, value
    match = _HEAD.match(content)
    end = match.end() - 1 if match else content.find(":")
    return (content[:end], content[end + 1 :]) if end >= 0 else (content, "")


def _parameter(found: tuple[str, str, str]) -> tuple[str, tuple[str, ...]]:
    name, given, text = found[0].strip().upper(), found[1], found[2]
    if not given:  # vCard 2.1 leaves the name of the parameter out
        return ("ENCODING" if name in ("QUOTED-PRINTABLE", "BASE64", "8BIT", "7BIT") else "TYPE"), (name,)
    if '"' in text or "," in text:
        return name, tuple(quoted or plain for quoted, plain in _PARAMETER_VALUE.findall(text))
    return name, (text,)


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
    lines = list(_lines(text))
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


def _lines(text: str) -> Iterator[Line]:
    found = _LINE.findall(text)
    if found and not found[-1][0]:
        found.pop()  # the empty match at the very end
    rows = iter(found)
    for raw, group, name, eol in rows:
        if not name:
            match = _NAME.match(_FOLD.sub("", raw).lstrip("\ufeff"))
            if match:
                group, name = match[1] or "", match[2]
        elif eol and raw.endswith("=" + eol) and _is_quoted_printable(raw):
            raw, eol = _soft_broken(raw, eol, rows)
        yield Line(raw, group, name.upper(), eol)


def _soft_broken(raw: str, eol: str, rows: Iterable[tuple[str, str, str, str]]) -> tuple[str, str]:
    """vCard 2.1 2.1.3: a quoted-printable value goes on after ``=`` at a line's end, without white space."""
    parts = [raw]
    for following, _, _, eol in rows:
        parts.append(following)
        if not following.endswith("=" + eol):
            break
    return "".join(parts), eol


def line(name: str, value: str, *, head: str = "", eol: str = "\r\n") -> Line:
    r"""A line of our own: ``value`` is escaped already. ``head``: group, name and parameters; else just the name.

    Whatever ``value`` holds, this is one line: control characters, line breaks among them, are dropped here at last.
    The head is that of an old line, to be kept as it is, or made of ``parameter``\ s.
    """
    head = (head or name).replace("\r", "").replace("\n", "")
    if head.count('"') % 2:  # never closed: with another value behind it, it might be
        head = head.replace('"', "'")
    match = _NAME.match(head + ":")
    return Line(
        fold(f"{head}:{_UNSAFE.sub('', _BREAK.sub(_ESCAPED_BREAK, value))}", eol or "\r\n") + eol,
        match[1] or "" if match else "",
        name,
        eol,
    )


# Control characters (RFC 5545 3.1), what some readers take for a line end, and what no XML may hold.
_BREAK = re.compile("[\x85\u2028\u2029]")
_ESCAPED_BREAK = r"\\n"
_UNSAFE = re.compile("[\x00-\x08\x0a-\x1f\x7f\x85\u2028\u2029\ud800-\udfff\ufffe\uffff]")


def without(head: str, *names: str) -> str:
    """``head`` (see ``Line.head``) without the parameters of these upper-case names; the rest as it is written."""
    return _PARAMETER.sub(
        lambda m: "" if _parameter((m[1], m[2] or "", m[3] or ""))[0] in names else m[0], head
    )


def parameter(name: str, value: str) -> str:
    """``;NAME=value``, quoted where it must be; what no parameter can hold (quotes, control characters) is dropped."""
    value = _UNSAFE.sub("", value).replace('"', "").replace("\t", " ")
    return f';{name}="{value}"' if any(mark in value for mark in ",;:") else f";{name}={value}"


def fold(content: str, eol: str = "\r\n") -> str:
    """At most 75 octets a line, the white space of a fold included, and no character cut (RFC 5545 3.1)."""
    if len(content) <= 75 and content.isascii():
        return content
    data = content.encode()
    parts, start, room = [], 0, 75
    while len(data) - start > room:
        end = start + room
        while data[end] & 0xC0 == 0x80:
            end -= 1
        parts.append(data[start:end].decode())
        start, room = end, 74
    parts.append(data[start:].decode())
    return f"{eol} ".join(parts)


def escape(text: str) -> str:
    """TEXT (RFC 5545 3.3.11, RFC 6350 3.4)."""
    return text.replace("\\", "\\\\").replace(";", "\\;").replace(",", "\\,").replace("\n", "\\n")


def unescape(text: str) -> str:
    """The reverse, and kinder: ``\\:`` (Apple) is a colon, a backslash before anything else is itself."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda m: "\n" if m[1] in "nN" else m[1], text)


def split(text: str, mark: str) -> list[str]:
    """``text`` cut at each ``mark`` (";" or ",") that is not escaped; the pieces are still escaped."""
    if "\\" not in text:
        return text.split(mark)
    pieces, start = [], 0
    for match in _ESCAPE_OR_MARK[mark].finditer(text):
        if match[0] == mark:
            pieces.append(text[start : match.start()])
            start = match.end()
    last = text[start:]
    if (len(last) - len(last.rstrip("\\"))) % 2:
        last += "\\"  # a backslash at the very end is itself, also when something is put behind it
    return [*pieces, last]
