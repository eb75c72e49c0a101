"""Contacts as they are found in address books: every one a vCard, and beside it what the CRM must show of it.

The expectation is written down from the same facts as the card, never computed from the card.
"""

import base64
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

_FIRST = (
    *("Ada", "Łukasz", "François", "Ирина", "美咲", "Zoë", "O'Neil", "Jean-Luc"),
    *("Σοφία", "Ørjan", "Ünal", "نور", "Þóra", "Anne Marie"),
)
_LAST = (
    "Müller",
    "van der Berg",
    "O’Brien",
    "Иванова",
    "山田",
    "García Márquez",
    "Ng",
    "Sørensen-Ægir",
    "d'Arc",
    "Example",
)
_STREETS = (
    "1 Long Road",
    "Große Straße 7\nHinterhaus",
    "Ring 5; Tor 3, links",
    "Κηφισίας 44",
    "Back\\Slash Lane 2",
)
_CITIES = ("Köln", "São Paulo", "Kraków", "大阪", "Example, North")
_TITLES = ("Head of R&D", "CTO, EMEA", "Ärztin; Leiterin", "Sales", "“Quoted” Title")


@dataclass(frozen=True)
class Sample:
    name: str  # of the resource
    uid: str
    text: str
    row: Mapping[str, Any]  # fields of the CRM record
    key: str  # value of the field that tells it apart in the CRM


@dataclass(frozen=True)
class Facts:
    number: int
    uid: str
    first: str
    last: str
    email: str
    tag: str
    random: random.Random


def contact(number: int, seed: int = 7, tag: str = "CRM") -> Sample:
    rng = random.Random(seed * 100_003 + number)
    facts = Facts(
        number=number,
        uid=f"{rng.getrandbits(64):016x}-{number}@example.com" if number % 7 else f"urn:uuid:{_uuid(rng)}",
        first=rng.choice(_FIRST),
        last=f"{rng.choice(_LAST)} {number}",
        email=f"person.{number}@example.com",
        tag=tag,
        random=rng,
    )
    style = _STYLES[number % len(_STYLES)]
    lines, row = style(facts)
    text = "\r\n".join(folded(line) for line in ["BEGIN:VCARD", *lines, "END:VCARD"]) + "\r\n"
    full = {"LastName": facts.last, "FirstName": facts.first, "Email": facts.email, **row}
    return Sample(f"contact-{number:04}.vcf", facts.uid, text, full, facts.email)


def escaped(text: str) -> str:
    for plain, written in (("\\", "\\\\"), (",", "\\,"), (";", "\\;"), ("\n", "\\n")):
        text = text.replace(plain, written)
    return text


def folded(line: str) -> str:
    """RFC 6350 3.2: at 75 octets, never inside a character."""
    parts, current = [], b""
    for character in line:
        octets = character.encode()
        if len(current) + len(octets) > 74:
            parts.append(current)
            current = b" "
        current += octets
    return b"\r\n".join([*parts, current]).decode()


def _uuid(rng: random.Random) -> str:
    digits = f"{rng.getrandbits(128):032x}"
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


Styled = tuple[list[str], dict[str, Any]]


def _plain(f: Facts) -> Styled:
    """Version 3, little in it."""
    return [
        "VERSION:3.0",
        f"UID:{f.uid}",
        f"FN:{escaped(f.first)} {escaped(f.last)}",
        f"N:{escaped(f.last)};{escaped(f.first)};;;",
        f"EMAIL;TYPE=INTERNET:{f.email}",
        f"CATEGORIES:{f.tag}",
    ], {"MiddleName": None, "Phone": None, "Title": None, "Birthdate": None, "MailingCity": None}


def _business(f: Facts) -> Styled:
    """Version 3 with everything that a phone's address book writes: several numbers and addresses, groups, notes."""
    street, city, title = (f.random.choice(some) for some in (_STREETS, _CITIES, _TITLES))
    born = date(1950, 1, 1) + timedelta(days=f.random.randrange(18_000))
    note = "Private: likes “tea”, no sugar;\nsecond line " + "x" * (f.number % 90)
    work, mobile, fax, other = (f"+49 221 {f.number:04}{n}" for n in range(1, 5))
    lines = [
        "VERSION:3.0",
        "PRODID:-//Example Corp.//Phone 12.0//EN",
        f"UID:{f.uid}",
        f"FN:Dr. {escaped(f.first)} {escaped(f.last)}",
        f"N:{escaped(f.last)};{escaped(f.first)};Maria;Dr.;Jr.",
        f"NICKNAME:Nick{f.number}",
        "ORG:Example\\, Sons & Co.;Research",
        f"TITLE:{escaped(title)}",
        f"item1.EMAIL;type=INTERNET;type=WORK;type=pref:{f.email}",
        "item1.X-ABLabel:_$!<Work>!$_",
        f"EMAIL;TYPE=INTERNET,HOME:home.{f.number}@example.com",
        f"EMAIL;TYPE=INTERNET:third.{f.number}@example.com",
        f"TEL;TYPE=WORK,VOICE:{work}",
        f"TEL;TYPE=CELL,VOICE,pref:{mobile}",
        f"TEL;TYPE=WORK,FAX:{fax}",
        f"TEL;TYPE=HOME,VOICE:+49 30 {f.number}",
        f"TEL;TYPE=VOICE:{other}",
        "TEL;TYPE=PAGER:+1 555 0199",
        f"item2.ADR;TYPE=WORK:;;{escaped(street)};{escaped(city)};NRW;5067{f.number % 10};Germany",
        "item2.X-ABADR:de",
        "ADR;TYPE=HOME:;;Private Lane 1;Hometown;;12345;Germany",
        f"BDAY:{born.isoformat()}",
        f"NOTE:{escaped(note)}",
        f"URL:https://www.example.com/~{f.number}?a=1&b=2",
        f"CATEGORIES:Friends,{f.tag},Büro",
        "X-SOCIALPROFILE;type=example;x-user=someone:https://social.example.com/u/1",
        f'X-CUSTOM-{f.number};X-P="quoted; value":kept as it is \\, and \\; here',
        "REV:2025-11-02T10:11:12Z",
    ]
    return lines, {
        "Salutation": "Dr.",
        "MiddleName": "Maria",
        "Suffix": "Jr.",
        "Department": "Research",
        "Title": title,
        "Phone": work,
        "MobilePhone": mobile,
        "Fax": fax,
        "OtherPhone": other,
        "HomePhone": None,  # private: these stay out unless somebody asks for them
        "OtherStreet": None,
        "OtherCity": None,
        "Description": None,
        "MailingStreet": street,
        "MailingCity": city,
        "MailingState": "NRW",
        "MailingPostalCode": f"5067{f.number % 10}",
        "MailingCountry": "Germany",
        "Birthdate": born.isoformat(),
    }


def _photo(f: Facts) -> Styled:
    """Version 3 with a picture and a long number of X- properties."""
    picture = base64.b64encode(f.random.randbytes(1500 + f.number % 3000)).decode()
    mobile = f"0171 {f.number:07}"
    lines, row = _plain(f)
    return [
        *lines,
        f"PHOTO;ENCODING=b;TYPE=JPEG:{picture}",
        f"TEL;TYPE=CELL:{mobile}",
        *(f"X-EXAMPLE-{n}:value {n} of {f.number}" for n in range(12)),
        "KEY;ENCODING=b:" + base64.b64encode(f.random.randbytes(60)).decode(),
    ], {**row, "MobilePhone": mobile}


def _version4(f: Facts) -> Styled:
    """Version 4: URIs, PREF, GENDER, LANG, dates without dashes."""
    born = date(1960, 2, 1) + timedelta(days=f.random.randrange(15_000))
    lines = [
        "VERSION:4.0",
        f"UID:{f.uid}",
        "KIND:individual",
        f"FN:{escaped(f.first)} {escaped(f.last)}",
        f"N:{escaped(f.last)};{escaped(f.first)};;;",
        f"EMAIL;PREF=2:second.{f.number}@example.com",
        f"EMAIL;PREF=1:{f.email}",
        f"TEL;VALUE=uri;TYPE=work:tel:+1-555-{f.number:04}",
        f"BDAY:{born:%Y%m%d}",
        "ANNIVERSARY:20090808T1430-0500",
        "GENDER:F",
        "LANG;PREF=1:fr",
        "TZ:Europe/Berlin",
        f"CATEGORIES:{f.tag}",
        "ORG:Example Four",
    ]
    row = {"Phone": f"+1-555-{f.number:04}", "Birthdate": born.isoformat(), "Department": None}
    return lines, row


def _shared_number(f: Facts) -> Styled:
    """Colleagues: one switchboard, one address, and now and then one name."""
    lines, row = _plain(f)
    return [*lines, "TEL;TYPE=WORK:+44 20 7946 0000", "ADR;TYPE=WORK:;;1 Main St;London;;N1;UK"], {
        **row,
        "Phone": "+44 20 7946 0000",
        "MailingStreet": "1 Main St",
        "MailingCity": "London",
        "MailingCountry": "UK",
    }


_STYLES: tuple[Callable[[Facts], Styled], ...] = (_plain, _business, _photo, _version4, _shared_number)
