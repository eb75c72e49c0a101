"""The commands, each a process of its own, between a real DAV server and a CRM that is stopped and started again."""

import json
import sqlite3
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest

from tests.daemon.replica.test_service import configured
from tests.daemon.test_service import SECRETS, once
from tests.servers.dav import DavServer
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm
from tests.servers.radicale import radicale

pytestmark = pytest.mark.server

CARD = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:ada\r\nFN:Ada Lovelace\r\nN:Lovelace;Ada;;;\r\nEMAIL:ada@example.com\r\n"
    "CATEGORIES:CRM\r\nTITLE:Analyst\r\nEND:VCARD\r\n"
)


def put(dav: DavServer, title: str) -> None:
    """Also over what the sync has stamped."""
    url = f"{dav.book_url('Contacts')}ada.vcf"
    old = dav.send("GET", url)
    text = old.data.decode().replace("TITLE:Analyst", f"TITLE:{title}") if old.status == 200 else CARD
    assert dav.send("PUT", url, text, headers={"Content-Type": "text/vcard"}).status in (201, 204)


def told(config: Path, *arguments: str, code: int = 0) -> Any:
    answer = once(config, *arguments, "--json")
    assert answer.returncode == code, answer
    return json.loads(answer.stdout)


def in_crm(crm: EmbeddedCrm) -> list[Any]:
    with crm.crm.store.database.read() as connection:
        return list(connection.execute(crm.crm.store.database.tables["Contact"].select()).mappings())


def in_replica(folder: Path) -> list[Any]:
    with closing(sqlite3.connect(f"file:{folder / 'replica-main.db'}?mode=ro", uri=True)) as connection:
        return connection.execute('SELECT Id, Title FROM "Contact"').fetchall()


def test_an_edit_while_the_crm_is_stopped(tmp_path: Path):
    users = {"alice": SECRETS["ALICE_PASSWORD"]}
    with ExitStack() as stack, radicale(tmp_path / "dav", users=users) as dav:
        crm = stack.enter_context(embedded_crm(directory=tmp_path / "crm"))
        config = configured(tmp_path, crm)
        config.write_text(config.read_text().replace("http://127.0.0.1:9/alice/", dav.principal_url()))
        dav.make_book()
        put(dav, "Analyst")
        told(config, "sync")
        told(config, "crm", "replica", "sync")
        ((record, title),) = in_replica(tmp_path)
        assert title == "Analyst"

        stack.close()
        put(dav, "Countess")
        away = told(config, "sync")
        assert (away["writes"], away["errors"]) == (0, [])
        assert in_replica(tmp_path) == [(record, "Countess")]
        assert [row["code"] for row in told(config, "queue")] == ["provisional"]
        assert told(config, "status")["replicas"][0]["light"] == "offline"

        port, known = int(crm.url.rpartition(":")[2]), (crm.client_id, crm.client_secret)
        crm = stack.enter_context(embedded_crm(directory=tmp_path / "crm", port=port, credentials=known))
        told(config, "crm", "replica", "sync")
        assert [(row["Id"], row["Title"]) for row in in_crm(crm)] == [(record, "Countess")]
        assert told(config, "sync")["writes"] == 0
        assert told(config, "conflicts") == []


def event(subject: str, *more: str) -> str:
    lines = (
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//test//EN", "BEGIN:VEVENT", "UID:talk",
        "DTSTAMP:20261101T100000Z", "DTSTART:20261201T090000Z", "DTEND:20261201T100000Z", f"SUMMARY:{subject}",
        "CATEGORIES:CRM", *more, "END:VEVENT", "END:VCALENDAR", "",
    )  # fmt: skip
    return "\r\n".join(lines)


def events_in_replica(folder: Path) -> list[str]:
    with closing(sqlite3.connect(f"file:{folder / 'replica-main.db'}?mode=ro", uri=True)) as connection:
        return [subject for (subject,) in connection.execute('SELECT Subject FROM "Event"')]


def test_a_meeting_while_the_crm_is_stopped_with_the_settings_as_they_come(tmp_path: Path):
    users = {"alice": SECRETS["ALICE_PASSWORD"]}
    with ExitStack() as stack, radicale(tmp_path / "dav", users=users) as dav:
        crm = stack.enter_context(embedded_crm(directory=tmp_path / "crm"))
        config = configured(tmp_path, crm)
        text = config.read_text().replace("http://127.0.0.1:9/alice/", dav.principal_url())
        config.write_text(text.replace('type = "carddav"', 'type = "caldav"'))
        dav.make_calendar()
        url = f"{dav.calendar_url('Calendar')}talk.ics"
        dav.put(url, event("Talk"))
        told(config, "sync")
        told(config, "crm", "replica", "sync")
        assert events_in_replica(tmp_path) == ["Talk"]

        stack.close()
        stamped = dav.send("GET", url).data.decode()
        invited = "ATTENDEE:mailto:ada@example.com\r\nSUMMARY:Review"
        dav.put(url, stamped.replace("SUMMARY:Talk", invited))
        assert told(config, "sync")["errors"] == []
        assert events_in_replica(tmp_path) == ["Review"]
        (account,) = told(config, "status")["accounts"]
        assert account["light"] == "waiting"
        assert "for the CRM itself: who is invited" in account["notices"][0]
