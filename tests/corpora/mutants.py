"""Items made worse, one or two steps at a time, always the same ones for the same seed."""

from collections.abc import Callable, Iterator, Sequence
from random import Random

from tests.corpora.shelf import Resource

_Change = Callable[[Random, bytes], bytes]
_JUNK = (
    b"\x00",
    b"\x07",
    b"\x0b",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    "\u2028\u0085\ufeff".encode(),
    b"\t",
    b'"',
)
_PIECES = (
    *(b"BEGIN:VEVENT\r\n", b"END:VEVENT\r\n", b"BEGIN:VCARD\r\n", b"END:VCARD\r\n", b"BEGIN:VALARM\r\n"),
    *(
        b"END:VCALENDAR\r\n",
        b"BEGIN:\r\n",
        b"END\r\n",
        b"\r\n",
        b" folded\r\n",
        b"\tfolded: \r\n",
        b"no colon\r\n",
    ),
    *(
        b'X-A;B="c:d\r\n',
        b";;;:\r\n",
        b":\r\n",
        b"=20\r\n",
        b"N:;;;;\r\n",
        b"FN:\r\n",
        b"EMAIL:\r\n",
        b"TEL;=:\r\n",
    ),
    *(
        b"DTSTART:20260101\r\n",
        b"DTEND;TZID=Mars:x\r\n",
        b"DURATION:P9999999W\r\n",
        b"DUE:0\r\n",
        b"RRULE:\r\n",
    ),
    *(
        b"SUMMARY;ENCODING=BASE64:////\r\n",
        b"NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\nb=3D=\r\n",
        b"CATEGORIES:,,\\,\r\n",
    ),
    *(
        b"X-CRMSYNC-LINK:v1 a b c 1 d\r\n",
        b"item1.TEL:1\r\n",
        b"KIND:group\r\n",
        b"VERSION:9\r\n",
        b"STATUS:\\\r\n",
    ),
)


def _lines(data: bytes) -> list[bytes]:
    return data.splitlines(keepends=True) or [b""]


def _truncated(rng: Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data) + 1)]


def _cut(rng: Random, data: bytes) -> bytes:
    start = rng.randrange(len(data) + 1)
    return data[:start] + data[start + rng.randrange(1, 40) :]


def _junk(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice(_JUNK) + data[at:]


def _flipped(rng: Random, data: bytes) -> bytes:
    at = rng.randrange(max(1, len(data)))
    return data[:at] + bytes([rng.randrange(256)]) + data[at + 1 :]


def _line_moved(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    line = lines.pop(rng.randrange(len(lines)))
    lines.insert(rng.randrange(len(lines) + 1), line)
    return b"".join(lines)


def _line_gone(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    del lines[rng.randrange(len(lines))]
    return b"".join(lines)


def _line_doubled(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(lines))
    return b"".join(lines)


def _line_more(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    lines.insert(rng.randrange(len(lines) + 1), rng.choice(_PIECES))
    return b"".join(lines)


def _fold_broken(rng: Random, data: bytes) -> bytes:
    """A break in the middle of a line, or the white space of a fold gone."""
    if b"\n " in data and rng.random() < 0.5:
        return data.replace(b"\n ", b"\n", 1)
    at = rng.randrange(len(data) + 1)
    return data[:at] + rng.choice((b"\r\n", b"\n", b"\r", b"\r\n ", b"\n\t")) + data[at:]


def _joined(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    lines[at] = lines[at].rstrip(b"\r\n")
    return b"".join(lines)


def _huge(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines))
    piece = rng.choice((b"x", b",", b";", b"\\", b'"', b";A=b", b"=41", b"\xc3\xa4", b"\r\n x"))
    lines[at] = lines[at].rstrip(b"\r\n") + piece * rng.choice((500, 20_000)) + b"\r\n"
    return b"".join(lines)


def _nested(rng: Random, data: bytes) -> bytes:
    lines = _lines(data)
    at = rng.randrange(len(lines) + 1)
    depth = rng.choice((1, 3, 30))
    name = rng.choice((b"VEVENT", b"VCARD", b"VALARM", b"X-A", b"VCALENDAR", b""))
    lines[at:at] = [b"BEGIN:" + name + b"\r\n"] * depth + [b"END:" + name + b"\r\n"] * depth
    return b"".join(lines)


def _charset(rng: Random, data: bytes) -> bytes:
    text = data.decode(errors="replace")
    return text.encode(rng.choice(("latin-1", "utf-16", "utf-8-sig", "cp1252", "utf-7")), "replace")


def _line_ends(rng: Random, data: bytes) -> bytes:
    return data.replace(b"\r\n", b"\n").replace(b"\n", rng.choice((b"\n", b"\r", b"\r\r\n", b"\r\n\r\n")))


_CHANGES: Sequence[_Change] = (
    *(_truncated, _cut, _junk, _flipped, _line_moved, _line_gone, _line_doubled, _line_more, _fold_broken),
    *(_joined, _huge, _nested, _charset, _line_ends),
)


def mutants(resources: Sequence[Resource], count: int, seed: int) -> Iterator[Resource]:
    for number in range(count):
        rng = Random(f"{seed}/{number}")
        origin = resources[rng.randrange(len(resources))]
        data = origin.data
        for _ in range(rng.choice((1, 1, 2, 4))):
            data = rng.choice(_CHANGES)(rng, data)
        yield Resource(f"{seed}-{number}-{origin.name}", origin.file, origin.sort, data)
