"""Content lines (RFC 5545 3.1, RFC 6350 3.2 and 3.3, vCard 2.1 and 3.0): unfold, parse, make, fold.

A line is kept exactly as it stood, folds and line end included, and nothing but its name is looked at before somebody
asks. The lines of a whole text: ``document.py``.
"""

import re
from collections.abc import Iterable, Iterator

from crmsync.connectors.dav.encodings import decoded
from crmsync.connectors.dav.item import Malformed

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


def lines_of(text: str) -> Iterator[Line]:
    """The logical lines of a text, in order: together they are the text."""
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
