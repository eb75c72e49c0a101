"""vCards and calendar objects as plain text: written line by line, read by looking for a line.

On purpose not the content-line layer that the connectors use: what reads back must not share their mistakes.
"""

import base64
import re
import struct
import zlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

ZONE = "Europe/Berlin"
_NL = "\r\n"

_VTIMEZONE = f"""BEGIN:VTIMEZONE
TZID:{ZONE}
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=10
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
TZNAME:CET
END:STANDARD
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYDAY=-1SU;BYMONTH=3
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
TZNAME:CEST
END:DAYLIGHT
END:VTIMEZONE""".splitlines()


def card(uid: str, first: str, last: str, email: str, phone: str, *more: str, tagged: bool) -> str:
    lines = [
        "BEGIN:VCARD", "VERSION:3.0", f"UID:{uid}", f"FN:{first} {last}", f"N:{last};{first};;;",
        f"EMAIL;TYPE=INTERNET,WORK:{email}", f"TEL;TYPE=CELL:{phone}", *more,
        *(["CATEGORIES:CRM"] if tagged else []), "END:VCARD",
    ]  # fmt: skip
    return folded(lines)


def event(uid: str, subject: str, start: datetime, length: timedelta, *more: str, tagged: bool) -> str:
    """``start``: local time in ZONE."""
    return _calendar(
        "VEVENT",
        [
            f"UID:{uid}", f"DTSTAMP:{_utc(start)}", f"DTSTART;TZID={ZONE}:{start:%Y%m%dT%H%M%S}",
            f"DTEND;TZID={ZONE}:{start + length:%Y%m%dT%H%M%S}", f"SUMMARY:{subject}",
            *(["CATEGORIES:CRM"] if tagged else []), *more,
        ],
        zone=True,
    )  # fmt: skip


def task(uid: str, subject: str, due: datetime, *more: str, tagged: bool) -> str:
    tag = ["CATEGORIES:CRM"] if tagged else []
    lines = [f"UID:{uid}", f"DTSTAMP:{_utc(due)}", f"DUE;VALUE=DATE:{due:%Y%m%d}", f"SUMMARY:{subject}"]
    return _calendar("VTODO", [*lines, "STATUS:NEEDS-ACTION", *tag, *more], zone=False)


def _calendar(kind: str, lines: Sequence[str], *, zone: bool) -> str:
    head = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//crmsync demo//sample data//EN"]
    return folded(
        [*head, *(_VTIMEZONE if zone else []), f"BEGIN:{kind}", *lines, f"END:{kind}", "END:VCALENDAR"]
    )


def _utc(local: datetime) -> str:
    return local.replace(tzinfo=ZoneInfo(ZONE)).astimezone(ZoneInfo("UTC")).strftime("%Y%m%dT%H%M%SZ")


def mail(id: str, sender: str, to: str, subject: str) -> bytes:
    lines = [
        f"Message-ID: <{id}>", f"From: Ben Sample <{sender}>", f"To: {to}", "Date: Mon, 02 Mar 2026 09:00:00 +0100",
        f"Subject: {subject}", "MIME-Version: 1.0", "Content-Type: text/plain; charset=utf-8", "",
        "Dear Alice,", "", "they taste as they should.", "", "Ben", "",
    ]  # fmt: skip
    return _NL.join(lines).encode()


def folded(lines: Sequence[str]) -> str:
    """RFC 5545 3.1 and RFC 6350 3.2; the lines here are ASCII."""
    whole = []
    for line in lines:
        whole.append(line[:75])
        whole += [" " + line[at : at + 74] for at in range(75, len(line), 74)]
    return _NL.join(whole) + _NL


def photo(red: int, green: int, blue: int, size: int = 24) -> str:
    """A PHOTO line with a PNG of one colour, not compressed: a photo has many lines."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = (b"\0" + bytes((red, green, blue)) * size) * size
    header = struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0)
    png = (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(rows, 0))
        + chunk(b"IEND", b"")
    )
    return f"PHOTO;ENCODING=b;TYPE=PNG:{base64.b64encode(png).decode()}"


# ── Reading and changing ─────────────────────────────────────────────────────────────────────────────────────


def value(text: str, name: str, having: str = "") -> str:
    """Of the first line of that name (with ``having`` in its parameters), unfolded; empty when there is none."""
    for line in text.replace("\r\n", "\n").replace("\n ", "").split("\n"):
        head, _, rest = line.partition(":")
        if head.partition(";")[0].upper() == name and having.upper() in head.upper():
            return rest
    return ""


def raw(text: str, name: str) -> str:
    """The first line of that name as it stands there, with its folds and line ends."""
    found = re.search(rf"^{name}[;:].*\r?\n(?:[ \t].*\r?\n)*", text, re.MULTILINE)
    return found[0] if found else ""


def tagged(text: str) -> bool:
    return "CRM" in value(text, "CATEGORIES").split(",")


def with_line(text: str, line: str, before: str) -> str:
    """``line`` in front of the first line that says ``before``."""
    return re.sub(rf"^{before}\r?$", f"{line}\r\n{before}\r", text, count=1, flags=re.MULTILINE)


def without(text: str, name: str) -> str:
    return text.replace(raw(text, name), "", 1)


def replaced(text: str, name: str, line: str) -> str:
    """The first line of that name gives way to ``line``."""
    return text.replace(raw(text, name), line + _NL, 1)
