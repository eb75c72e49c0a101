"""What comes from one side is data on the other: it starts no line, no header, no path and no query of its own."""

import contextlib
import gzip
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any

import pytest

from crmsync.connectors.caldav import mapping as caldav_format
from crmsync.connectors.carddav import mapping as carddav_format
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Create, Done, Kind, Record, Stamp, Update
from crmsync.connectors.dav.item import Malformed
from crmsync.connectors.dav.wire import multistatus
from crmsync.connectors.errors import ConnectorError
from crmsync.connectors.http import Response
from crmsync.connectors.salesforce.client import _json
from tests.connectors.dav.bench import Desk, card, desk
from tests.servers.quirky import BOOK, Reply, quirky

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
BREAKS = ("\r\n", "\n", "\r", "\x0b", "\x0c", "\x1c", "\x85", "\u2028", "\u2029", "\0")
EVIL = "X-EVIL:1"


@pytest.fixture
def at() -> Iterator[Desk]:
    with quirky() as server, desk(server) as opened:
        yield opened


# ── Lines of a card ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("line_break", BREAKS, ids=repr)
def test_no_column_starts_a_line_of_a_card(at: Desk, line_break: str) -> None:
    evil = f"x{line_break}{EVIL}{line_break}END:VCARD"
    types = (Type.TEXT, Type.LONG, Type.EMAIL, Type.PHONE, Type.URL)
    columns = {n: evil for n, c in COLUMNS[Kind.CONTACT].items() if c.type in types}
    (made,) = at.apply(Create("key", Kind.CONTACT, {**columns, "last_name": evil}, tag=evil))
    _without_evil(at)
    if isinstance(made, Done):
        at.apply(Update(made.id, made.version, Kind.CONTACT, columns, tag=f"again{evil}"))
        _without_evil(at)


@pytest.mark.parametrize("line_break", BREAKS, ids=repr)
def test_no_id_of_the_crm_starts_a_line_of_a_card(at: Desk, line_break: str) -> None:
    """An organisation and a record are named in the link stamp as the CRM calls them."""
    evil = f"00D{line_break}{EVIL}"
    stamp = Stamp(evil, evil, evil, 1, evil)
    at.apply(Create(f"key{line_break}{EVIL}", Kind.CONTACT, {"last_name": "Hopper"}, stamp=stamp))
    _without_evil(at)
    ((name, (etag, _)),) = at.server.items.items()
    at.apply(Update(name, etag, Kind.CONTACT, {}, stamp=Stamp(evil, "other", evil, 2, evil)))
    _without_evil(at)


def _without_evil(at: Desk) -> None:
    for name, (_, text) in at.server.items.items():
        lines = text.decode().splitlines()
        assert not [line for line in lines if line.startswith(EVIL)], (name, lines)
        assert text.split(b"\r\n").count(b"END:VCARD") == 1, text
    for request in at.server.requests:
        assert EVIL.partition(":")[0] not in request.headers


@pytest.mark.parametrize("line_break", BREAKS, ids=repr)
@pytest.mark.parametrize("kind", [Kind.APPOINTMENT, Kind.TASK])
def test_no_column_starts_a_line_of_a_calendar_object(kind: Kind, line_break: str) -> None:
    evil = f"x{line_break}{EVIL}{line_break}END:VCALENDAR"
    columns: dict[str, Any] = {n: evil for n, c in COLUMNS[kind].items() if c.type in (Type.TEXT, Type.LONG)}
    columns |= {"categories": (evil,), "time_zone": None, "status": None, "start": NOW}
    if kind is Kind.APPOINTMENT:
        columns |= {"end": NOW + timedelta(hours=1), "all_day": False}
    stamp = Stamp(evil, evil, evil, 1, evil)
    text = caldav_format.build(kind, f"uid{evil}", columns, tag=evil, stamp=stamp, now=NOW)
    plain = caldav_format.build(kind, "uid", {**columns, "subject": "x"}, now=NOW)
    changed = caldav_format.patch(plain, columns, tag=evil, stamp=stamp, now=NOW)
    for written in (text, changed):
        assert not [line for line in written.splitlines() if line.startswith(EVIL)]
        assert written.split("\r\n").count("END:VCALENDAR") == 1


# ── Headers and paths ────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("etag", ['"a&#13;&#10;X-Evil: 1"', '"a&#10;X-Evil: 1"', '"\u20ac"', '"a&#9;b"'])
def test_no_etag_starts_a_header(at: Desk, etag: str) -> None:
    """It comes back to the server in If-Match. An XML text may hold what no header can."""
    at.server.set("x.vcf", card("x"))
    listing = (
        '<?xml version="1.0"?><multistatus xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav">'
        f"<response><href>{BOOK}x.vcf</href><propstat><prop><getetag>{etag}</getetag>"
        f"<CR:address-data>{card('x')}</CR:address-data></prop><status>HTTP/1.1 200 OK</status></propstat>"
        "</response></multistatus>"
    )
    at.server.before = lambda r: Reply(207, listing.encode()) if r.method in ("REPORT", "PROPFIND") else None
    for found in at.connector.fetch(["x.vcf"]):
        if isinstance(found, Record):
            with contextlib.suppress(ConnectorError):
                at.apply(Update("x.vcf", found.version, Kind.CONTACT, {"last_name": "New"}))
    assert not [r for r in at.server.requests if "X-Evil" in r.headers]


@pytest.mark.parametrize(
    "id",
    [
        "../other/x.vcf",
        "..",
        ".",
        "a/b.vcf",
        "..%2fx.vcf",
        "x.vcf?y",
        "x.vcf#y",
        "x\r\nX-Evil: 1",
        "//host/x",
        "",
    ],
)
def test_no_id_leads_out_of_the_collection(at: Desk, id: str) -> None:
    """Whoever types it (``explain``, ``link``): it is asked for below the collection, or not at all."""
    list(at.connector.fetch([id]))
    for request in at.server.requests:
        assert request.path.startswith(BOOK)
        assert request.path.removeprefix(BOOK).count("/") == 0
        assert request.path.removeprefix(BOOK) not in ("..", ".")
        assert "X-Evil" not in request.headers


# ── Oversize answers ─────────────────────────────────────────────────────────────────────────────────────────

_PEAK = """
import re, sys
def peak():  # KB; what getrusage says may be the parent's
    return int(re.search("VmHWM:(.*)kB", open("/proc/self/status").read())[1])
"""
_READ = """
from crmsync.connectors.http import Http, TooLarge
client = Http(sys.argv[1], timeout=30)
before = peak()
try:
    client.request("GET", "bomb", limit=1_000_000)
except TooLarge:
    print(peak() - before)
"""


@cache
def _packed(times: int) -> bytes:
    return gzip.compress(_packed(times - 1) if times > 1 else b"\0" * 400_000_000, 9)


@pytest.mark.parametrize("times", [1, 2, 3])
def test_an_answer_that_unpacks_to_a_thousand_times_its_size_is_cut_off(times: int) -> None:
    """However often it is packed."""
    encoding = ", ".join(["gzip"] * times)
    with quirky() as server:
        server.before = lambda request: Reply(200, _packed(times), {"Content-Encoding": encoding})
        said = subprocess.run(
            [sys.executable, "-c", _PEAK + _READ, server.url],
            capture_output=True,
            text=True,
            timeout=60,
            check=True,
        )
    grown = int(said.stdout)
    assert grown < 100_000, f"{grown} KB more"  # of 400,000


_PARSE = """
from crmsync.connectors.dav.wire import multistatus
from crmsync.connectors.errors import ProtocolError
from crmsync.connectors.ews.client import _parsed
from crmsync.connectors.http import Response
from crmsync.connectors.salesforce.client import _json
from crmsync.connectors.salesforce.soap import parsed
def dav(properties):
    yield b'<multistatus xmlns="DAV:"><response><href>/a</href><propstat><prop>'
    yield from (properties[at : at + 65536] for at in range(0, len(properties), 65536))
    yield b"</prop><status>HTTP/1.1 200 OK</status></propstat></response></multistatus>"
parse = {
    "dav": lambda: list(multistatus(dav(body))),
    "ews": lambda: _parsed(b"<e>%s</e>" % body, large=True),
    "soap": lambda: parsed(b"<e>%s</e>" % body),
    "json": lambda: _json(Response(200, {}, body, ""), "x"),
}[sys.argv[1]]
body = eval(sys.argv[2])
before = peak()
try:
    found = parse()
    print("taken", peak() - before)
except ProtocolError as error:
    print(error.code, peak() - before)
"""
_TAGS, _ATTRIBUTES = "b'<a/>' * 7_000_000", """b'<a b="" c="" d="" e=""/>' * 1_200_000"""
_LONG_NAMES = (
    """b'<p xmlns:u="%s">%s</p>' % (b"u" * 100_000, b"".join(b"<u:a%d/>" % n for n in range(9999)))"""
)


@pytest.mark.parametrize(
    ("where", "body", "said"),
    [
        ("dav", _TAGS, "not_xml"),
        ("dav", _ATTRIBUTES, "not_xml"),
        ("dav", """b"<a %s/>" % b" ".join(b"a%d=''" % n for n in range(2_000_000))""", "not_xml"),
        ("dav", _LONG_NAMES, "taken"),
        ("ews", _TAGS, "too_large"),
        ("ews", _ATTRIBUTES, "too_large"),
        ("soap", _TAGS, "too_large"),
        ("json", "b'[%s{}]' % (b'{},' * 20_000_000)", "too_large"),
        ("json", "b'[%s0]' % (b'[[]],' * 10_000_000)", "too_large"),
    ],
)
def test_an_answer_of_many_small_parts_does_not_fill_the_memory(where: str, body: str, said: str) -> None:
    """Four bytes on the wire can be 120 in memory, and the name of an element as long as that of its namespace: the
    largest answers that are read would be gigabytes."""
    told = subprocess.run(
        [sys.executable, "-c", _PEAK + _PARSE, where, body],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    code, grown = told.stdout.split()
    assert code == said
    assert int(grown) < 150_000, f"{grown} KB more"


@pytest.mark.parametrize(
    "html",
    [
        "&lt;p class=&quot;x&quot;&gt;it's&lt;/p&gt;" * 20_000,
        "<![CDATA[" + "<p>some 'text'</p>" * 50_000 + "]]>",
    ],
    ids=["escaped", "as it is"],
)
def test_a_large_item_is_no_attack(html: str) -> None:
    one = (
        f"<response><href>/a</href><propstat><prop><C:calendar-data>{html}</C:calendar-data></prop>"
        "<status>HTTP/1.1 200 OK</status></propstat></response>"
    ).encode()
    head = b'<multistatus xmlns="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav">'
    assert len(list(multistatus([head, one, one, b"</multistatus>"]))) == 2


def test_a_full_page_of_a_query_is_no_attack() -> None:
    prose = "Some words of prose, with as many commas as people write in it. "
    row = {f"Field{n}__c": "some words, and more" for n in range(100)} | {"Description": prose * 400}
    page = json.dumps([row] * 2_000).encode()
    assert isinstance(_json(Response(200, {}, page, ""), "x"), list)


# ── Reasons ──────────────────────────────────────────────────────────────────────────────────────────────────

CANARY = "canary text of canary@host.example"


@pytest.mark.parametrize(
    "lines",
    [
        [CANARY],
        [f"END:{CANARY}"],
        [f"BEGIN:{CANARY}"],
        [f"BEGIN:{CANARY}", "END:VEVENT"],
        [f"DTSTART:{CANARY}"],
        [f"DTSTART;TZID={CANARY}:20261201T090000"],
        [f"DTSTART;VALUE={CANARY}:20261201T090000"],
        ["DTSTART:20261201T090000Z", f"DTEND:{CANARY}"],
        ["DTSTART:20261201T090000Z", f"DURATION:{CANARY}"],
        ["DTSTART:20261201T090000Z", f"RRULE:{CANARY}"],
        ["DTSTART:20261201T090000Z", f"STATUS:{CANARY}", f"TRANSP:{CANARY}", f"CLASS:{CANARY}"],
        ["DTSTART:20261201T090000Z", f"{CANARY}:x"],
    ],
)
def test_no_reason_repeats_what_stands_in_a_broken_event(lines: list[str]) -> None:
    """Reasons are shown in the sync table, in logs and in ``--json``: they name the rule, not the text."""
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//x//EN", "BEGIN:VEVENT", "UID:x", f"SUMMARY:{CANARY}"]
    text = "\r\n".join([*head, *lines, "END:VEVENT", "END:VCALENDAR", ""])
    _told_nothing(caldav_format, text)


@pytest.mark.parametrize(
    "lines",
    [
        [CANARY],
        [f"END:{CANARY}"],
        [f"N:{CANARY}", f"BDAY:{CANARY}", f"ANNIVERSARY:{CANARY}"],
        [f"VERSION:{CANARY}"],
        [f"NOTE;ENCODING={CANARY}:x"],
        [f"NOTE;CHARSET={CANARY}:x"],
        [f"NOTE;ENCODING=BASE64:{CANARY}"],
        [f"NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET={CANARY}:=ZZ"],
        [f"KIND:{CANARY}"],
    ],
)
@pytest.mark.parametrize("version", ["2.1", "3.0", "4.0"])
def test_no_reason_repeats_what_stands_in_a_broken_card(version: str, lines: list[str]) -> None:
    text = "\r\n".join(["BEGIN:VCARD", f"VERSION:{version}", "UID:x", *lines, "END:VCARD", ""])
    _told_nothing(carddav_format, text)


def _told_nothing(form: Any, text: str) -> None:
    try:
        said = form.read(text).untouchable
    except Malformed as error:
        said = error.rule
    assert "canary" not in said.lower()


# ── What takes long ──────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("filling", [" ", "\\n", " \\n ", "a@", '"', "\\,"], ids=repr)
def test_a_long_value_holds_up_nobody(filling: str) -> None:
    """A pattern that is tried from each character to the end holds the interpreter, and with it the whole service."""
    text = f"{filling * (100_000 // len(filling))}\u200bx"
    begun = time.process_time()
    caldav_format.read(
        "BEGIN:VCALENDAR\r\nVERSION:2.0\r\nBEGIN:VEVENT\r\nUID:u\r\nDTSTART:20261122T100000Z\r\n"
        f"SUMMARY:a{text}\r\nLOCATION:a{text}\r\nEND:VEVENT\r\nEND:VCALENDAR\r\n"
    )
    carddav_format.read(f"BEGIN:VCARD\r\nVERSION:4.0\r\nFN:a{text}\r\nTITLE:a{text}\r\nEND:VCARD\r\n")
    assert time.process_time() - begun < 4.0  # five minutes, once
