"""Broken and hostile items: each is parked with a reason, and whatever stands beside it goes its way."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.bars.cli import Answer, Cli
from tests.bars.meetings import event
from tests.bars.office import Office, client, office, write_config
from tests.bars.people import contact
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.quirky import BOOK, Quirky, Reply, Request, quirky
from tests.servers.radicale import USERS

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]


def _card(*lines: str) -> bytes:
    return "\r\n".join(["BEGIN:VCARD", "VERSION:3.0", *lines, "CATEGORIES:CRM", "END:VCARD", ""]).encode()


def _event(*lines: str) -> bytes:
    inner = ["DTSTAMP:20260101T000000Z", "SUMMARY:Broken", "CATEGORIES:CRM", *lines]
    whole = [
        "BEGIN:VCALENDAR",
        "VERSION:2.0",
        "PRODID:-//x//EN",
        "BEGIN:VEVENT",
        *inner,
        "END:VEVENT",
        "END:VCALENDAR",
        "",
    ]
    return "\r\n".join(whole).encode()


HUGE = "word " * 1_000_000  # 5 MB
# name -> bytes, and what the reason must speak of
BROKEN: Mapping[str, tuple[bytes, str]] = {
    "nameless.vcf": (_card("UID:nameless", "FN:", "N:;;;;", "EMAIL:nobody@example.com"), "name"),
    "novel.vcf": (_card("UID:novel", "FN:Long Story", "N:Story;Long;;;", f"NOTE:{HUGE}"), "4000000 bytes"),
    "backwards.ics": (
        _event("UID:backwards", "DTSTART:20260301T120000Z", "DTEND:20260301T110000Z"),
        "ends before it starts",
    ),
    "timeless.ics": (_event("UID:timeless", "DTSTART:sometime"), "DTSTART"),
}
LATIN = _card("UID:latin", "FN:M\xfcller", "N:M\xfcller;Jo;;;").decode().encode("latin-1")
GOOD = [contact(n) for n in range(4)]
MEETINGS = [event(n) for n in range(4)]


def _parked(answer: Answer, cli: Cli) -> dict[str, str]:
    """Name -> reason, as the run and the sync table tell it alike."""
    assert answer.code == 1, answer
    rows: list[dict[str, Any]] = cli.ok("queue")
    assert {row["state"] for row in rows} <= {"parked"}
    told = {error["item"]: error["message"] for error in answer.json["errors"]}
    assert told == {row["item"]: row["error"] for row in rows}
    assert all(len(reason) < 400 for reason in told.values())
    return told


@pytest.mark.parametrize("server", ["radicale", "xandikos"])
def test_broken_items_are_parked_and_the_others_synced(tmp_path: Path, server: str) -> None:
    with office(tmp_path, server=server) as made:
        for sample in [*GOOD, *MEETINGS]:
            made.put(sample)
        for name, (data, _) in BROKEN.items():
            _smuggle(made, name, data)
        served = {n for n in BROKEN if made.has((made.book if n.endswith(".vcf") else made.calendar) + n)}
        assert BROKEN.keys() - served <= {"timeless.ics"}  # what a server cannot parse it may keep to itself
        parked = _parked(made.cli("sync"), made.cli)
        assert parked.keys() == served
        for name in served:
            assert BROKEN[name][1] in parked[name]
        assert {r["Email"] for r in made.rows("Contact")} == {s.key for s in GOOD}
        assert {r["Subject"] for r in made.rows("Event")} == {s.key for s in MEETINGS}
        made.quiet()
        _put_right(made)


def _smuggle(made: Office, name: str, data: bytes) -> None:
    """By PUT, or into Radicale's folder behind its back: it takes nothing that vobject does not parse."""
    where = made.book if name.endswith(".vcf") else made.calendar
    folder = made.directory / "dav/collections/collection-root" / where.removeprefix(made.dav.url)
    if folder.is_dir():
        (folder / name).write_bytes(data)
    else:
        made.dav.send("PUT", where + name, data, headers={"Content-Type": _TYPES[name[-4:]]})


_TYPES = {".vcf": "text/vcard; charset=utf-8", ".ics": "text/calendar; charset=utf-8"}


def _put_right(made: Office) -> None:
    """Who corrects the item need do nothing else."""
    made.dav.put(
        made.calendar + "backwards.ics", BROKEN["backwards.ics"][0].replace(b"T110000Z", b"T130000Z")
    )
    made.cli("sync")
    assert len(made.rows("Event", "Subject = 'Broken'")) == 1
    assert "backwards.ics" not in {row["item"] for row in made.cli.ok("queue")}


@pytest.mark.parametrize("server", ["radicale", "xandikos"])
def test_bytes_that_are_no_text(tmp_path: Path, server: str) -> None:
    """Radicale hides such a file from everybody. Xandikos (0.4.10) has been seen to keep it, and to answer 500 to
    whoever asks for several items of which it is one."""
    with office(tmp_path, server=server) as made:
        for sample in [*GOOD, *MEETINGS]:
            made.put(sample)
        _smuggle(made, "latin.vcf", LATIN)
        answer = made.cli("sync")
        if made.has(made.book + "latin.vcf"):
            assert "UTF-8" in _parked(answer, made.cli)["latin.vcf"]
        else:
            assert answer.code == 0
        assert {r["Email"] for r in made.rows("Contact")} == {s.key for s in GOOD}
        assert {r["Subject"] for r in made.rows("Event")} == {s.key for s in MEETINGS}


# ── servers that mean harm ───────────────────────────────────────────────────────────────────────────────────

BOMB = (
    '<?xml version="1.0"?><!DOCTYPE multistatus [<!ENTITY a0 "boom">'
    + "".join(f'<!ENTITY a{n} "{f"&a{n - 1};" * 10}">' for n in range(1, 12))
    + ']><multistatus xmlns="DAV:" xmlns:CR="urn:ietf:params:xml:ns:carddav"><response>'
    f'<href>{BOOK}bomb.vcf</href><propstat><prop><getetag>"e"</getetag>'
    "<CR:address-data>&a11;</CR:address-data></prop><status>HTTP/1.1 200 OK</status></propstat>"
    "</response></multistatus>"
).encode()


@pytest.fixture
def hostile(tmp_path: Path) -> Iterator[tuple[Quirky, Cli, Any]]:
    with quirky() as stub, embedded_crm() as crm:
        dav = DavServer(stub.url, USERS)
        source = (
            '\n[account.alice]\ncrm = "main"\ncrm_user = "alice@example.com"\n'
            f'[[account.alice.source]]\ntype = "carddav"\nurl = "{stub.url}"\n'
            'username = "alice"\npassword_file = "alice-password"\n'
        )
        config = write_config(tmp_path, dav, crm, crm.url, [source])
        for sample in GOOD:
            stub.set(sample.name, sample.text)
        yield stub, Cli(config), crm


def _emails(crm: EmbeddedCrm) -> set[str]:
    sf = client(crm, crm.sync)
    with sf.session:
        return {row["Email"] for row in sf.query("SELECT Email FROM Contact")["records"]}


def _bomb(request: Request) -> Reply | None:
    if request.method == "GET" and request.path.endswith("bomb.vcf"):
        return Reply(200, BOMB, {"ETag": '"e"', "Content-Type": "text/xml"})
    asked = "bomb.vcf" in request.body and "address-data" in request.body
    return Reply(207, BOMB, {"Content-Type": "text/xml"}) if asked else None


def test_a_bomb_of_nested_entities(hostile: tuple[Quirky, Cli, Any]) -> None:
    stub, cli, crm = hostile
    stub.set("bomb.vcf", "never read")
    stub.before = _bomb
    parked = _parked(cli("sync"), cli)
    assert parked.keys() == {"bomb.vcf"}
    assert _emails(crm) == {s.key for s in GOOD}


def test_a_bomb_in_the_list_of_changes(hostile: tuple[Quirky, Cli, Any]) -> None:
    """Then nothing is believed of that collection, for as long as it lasts."""
    stub, cli, crm = hostile
    stub.before = lambda request: (
        Reply(207, BOMB)
        if request.report == "sync-collection"
        or (request.method == "PROPFIND" and request.headers.get("Depth") == "1")
        else None
    )
    answer = cli("sync")
    assert answer.code == 1
    assert _emails(crm) == set()
    stub.before = lambda request: None
    assert cli("sync").code == 0
    assert _emails(crm) == {s.key for s in GOOD}


def test_bytes_that_are_no_text_in_a_multistatus(hostile: tuple[Quirky, Cli, Any]) -> None:
    stub, cli, crm = hostile
    stub.set("latin.vcf", LATIN)
    parked = _parked(cli("sync"), cli)
    assert parked.keys() == {"latin.vcf"}
    assert "UTF-8" in parked["latin.vcf"]
    assert _emails(crm) == {s.key for s in GOOD}


def test_control_characters_and_terminal_escapes_do_not_reach_the_terminal(
    hostile: tuple[Quirky, Cli, Any],
) -> None:
    stub, cli, _ = hostile
    stub.set("\x1b[31mred.vcf", _card("UID:e\x1b[2J", "FN:\x1b]0;title\x07", "N:;;;;", "BDAY:\x1b[1m"))
    for answer in (cli.plain("sync"), cli.plain("queue"), cli.plain("rejected")):
        assert "\x1b" not in answer.out + answer.err
