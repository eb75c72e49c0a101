"""Contacts both ways: real-life cards, and what must never change."""

import time
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import vobject
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.carddav.mapping import HOLDS, build, patch, project, read
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.contentline import decode
from crmsync.connectors.dav.item import Malformed
from tests.connectors.dav.corpora import changed_names, files, lines, needs_corpora

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
STAMP = Stamp("00D1", "0031", "u-1", 3, "mac")


def card(*body: str, version: str = "3.0") -> str:
    return "".join(f"{each}\r\n" for each in ("BEGIN:VCARD", f"VERSION:{version}", *body, "END:VCARD"))


def contact(*body: str, version: str = "3.0") -> str:
    return card("UID:u-1", "FN:Ada King", "N:King;Ada;;;", *body, version=version)


# ── Reading ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("line", "columns"),
    [
        ("ORG:Engines Ltd;Research;Looms", {"company": "Engines Ltd", "department": "Research"}),
        ("ORG:A\\;B\\, C", {"company": "A;B, C", "department": None}),
        ("TITLE:Analyst\\nand more", {"job_title": "Analyst and more"}),
        ("NICKNAME:Countess,Ada", {"nickname": "Countess,Ada"}),  # an unescaped comma cuts nothing off
        ("NOTE:one\\ntwo\\, three\\\\n", {"notes": "one\ntwo, three\\n"}),
        ("NOTE:Hello, this is not a list", {"notes": "Hello, this is not a list"}),
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=FC=DFe=0D=0ABob", {"notes": "Grüße\nBob"}),
        ("NOTE:   ", {"notes": None}),
        ("item1.URL;type=WORK:http\\://example.com/a\\,b", {"website": "http://example.com/a,b"}),
        ("URL:https://example.com/?a=1;b=2,3", {"website": "https://example.com/?a=1;b=2,3"}),
        ("TEL;TYPE=WORK,VOICE:+1 1", {"phone_work": "+1 1"}),
        ("TEL;WORK;VOICE:+1 1", {"phone_work": "+1 1"}),
        ("TEL;type=CELL;type=VOICE;type=pref:+1 1", {"phone_mobile": "+1 1"}),
        ("TEL;TYPE=WORK,cell:+1 1", {"phone_mobile": "+1 1", "phone_work": None}),
        ("TEL;TYPE=HOME,FAX:+1 1", {"phone_fax": "+1 1", "phone_home": None}),
        ("TEL;TYPE=WORK,PAGER:+1 1", {"phone_work": None, "phone_other": None}),
        ("TEL;TYPE=WORK,VOICE,BBS:+1 1", {"phone_work": "+1 1"}),
        ("EMAIL:mailto:a@x", {"email": "a@x"}),
        ("item1.TEL:+1 1", {"phone_other": "+1 1"}),
        ('TEL;VALUE=uri;TYPE="work,voice":tel:+1-555;ext=12', {"phone_work": "+1-555 ext. 12"}),
        (
            "ADR;TYPE=WORK:Box;Ext;1 Main St, Apt 5;London;;N1;UK;more",
            {"address_work_street": "1 Main St, Apt 5"},
        ),
        ("ADR;HOME:;;a\\nb;c;d;e;f", {"address_home_street": "a\nb", "address_home_country": "f"}),
        ("ADR:;;untyped;;;;", {"address_work_street": None, "address_home_street": None}),
        ("BDAY:1815-12-10", {"birthday": date(1815, 12, 10)}),
        ("BDAY;VALUE=date:18151210", {"birthday": date(1815, 12, 10)}),
        ("X-EVOLUTION-ANNIVERSARY:2001-02-03", {"anniversary": date(2001, 2, 3)}),
        (
            "item2.X-ABDATE:2001-02-03\r\nitem2.X-ABLabel:_$!<Anniversary>!$_",
            {"anniversary": date(2001, 2, 3)},
        ),
        ("item2.X-ABDATE:2001-02-03\r\nitem2.X-ABLabel:other", {"anniversary": None}),
        ("CATEGORIES:b,a\\,x\r\nCATEGORIES:b,c", {"categories": ("a,x", "b", "c")}),
        (
            "EMAIL:a@x\r\nEMAIL;TYPE=WORK,PREF:b@x\r\nEMAIL:\r\nEMAIL:c@x\r\nEMAIL:d@x",
            {"email": "b@x", "email_2": "a@x", "email_3": "c@x"},
        ),
        ("EMAIL;PREF=20:a@x\r\nEMAIL;PREF=1:b@x", {"email": "b@x", "email_2": "a@x"}),
    ],
)
def test_read(line: str, columns: dict[str, Value]) -> None:
    found = read(contact(line)).columns
    assert {name: found[name] for name in columns} == columns


@pytest.mark.parametrize(
    "value",
    [":--0415", ":1985", ":1985-04", ";VALUE=text:circa 1800", ":19960415T231000Z", ":T231000", ":2006-02-30", ":foo",
     ";X-APPLE-OMIT-YEAR=1604:1604-04-16", ":16040416"],
)  # fmt: skip
def test_a_partial_date_is_no_opinion(value: str) -> None:
    text = contact(f"BDAY{value}")
    assert "birthday" not in read(text).columns
    assert patch(text, {"birthday": None, "notes": None}, now=NOW) == text
    written = patch(text, {"birthday": date(2000, 1, 2)}, now=NOW)
    assert read(written).columns["birthday"] == date(2000, 1, 2)


@pytest.mark.parametrize(
    "value", [":19960415T000000Z", ":1996-04-15T23:10:00", ";VALUE=date-time:1996-04-15T20:12:43+04:00"]
)
def test_the_time_of_a_birth_stays_until_the_day_is_another_one(value: str) -> None:
    text = contact(f"BDAY{value}")
    assert read(text).columns["birthday"] == date(1996, 4, 15)
    assert patch(text, {"birthday": date(1996, 4, 15)}, now=NOW) == text
    written = patch(text, {"birthday": date(2000, 1, 2)}, now=NOW)
    assert read(written).columns["birthday"] == date(2000, 1, 2)
    assert "T" not in written.partition("BDAY")[2].partition("\r\n")[0].partition(":")[2]


def test_uid_tags_stamp_and_class() -> None:
    item = read(contact("CATEGORIES:CRM,x", "X-CRMSYNC-LINK:v1 00D1 0031 u-1 3 mac", "CLASS:CONFIDENTIAL"))
    assert (item.uid, item.tags, item.stamp, item.private) == ("u-1", {"CRM", "x"}, STAMP, True)
    bare = read(card("FN:x"))
    assert (bare.uid, bare.tags, bare.stamp, bare.private, bare.untouchable) == (
        "",
        frozenset(),
        None,
        False,
        "",
    )


def test_a_card_with_fn_only_has_a_name() -> None:
    text = card("UID:u", "FN:Augusta Ada King", version="4.0")
    columns = read(text).columns
    assert (columns["first_name"], columns["last_name"]) == ("Augusta Ada", "King")
    after = patch(text, {"last_name": "Byron"}, now=NOW)
    assert "N:Byron;Augusta Ada;;;\r\n" in after
    assert "FN:Augusta Ada Byron\r\n" in after
    assert read(card("FN:Engines", "ORG:Engines")).columns["last_name"] is None


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        (card("UID:u"), "without a name"),
        (card("FN:", "N:;;;;"), "without a name"),
        (contact("NOTE:" + "x" * 5_000_000), "NOTE has 5000000 characters"),
        (contact("NOTE:a\x07b"), "control character 0x07"),
        (contact("NOTE;ENCODING=QUOTED-PRINTABLE:a=00b"), "control character 0x00"),
        (contact("X-Y:a\0b"), "NUL"),
        ("BEGIN:VCALENDAR\nEND:VCALENDAR\n", "no BEGIN:VCARD"),
        (contact("NOTE:one", "two"), "after its NOTE stands a line that is no property"),
        (card("FN:a", "N:a;;;;", "N:b;;;;", version="4.0"), "more than one N "),
        (contact()[:-13], "has no END"),
    ],
)
def test_a_broken_card_names_the_rule(text: str, rule: str) -> None:
    with pytest.raises(Malformed, match=rule):
        read(text)


@pytest.mark.parametrize(
    "odd", ["X-Y:a\x07b", "no colon", ";;;:", 'PHOTO;X="a:b', "=20", "TEL;=:", "GEO:x", "\tfold"]
)
def test_an_odd_line_loses_nothing(odd: str) -> None:
    text = contact(odd, "TITLE:Analyst")
    assert read(text).columns["job_title"] == "Analyst"
    assert odd in patch(text, {"job_title": "x"}, now=NOW)


def test_what_may_be_the_rest_of_a_line_stays_with_it() -> None:
    """As an iPhone wrote it: a blank line within a picture. A new line between the two would be torn by the rest."""
    picture = "PHOTO;ENCODING=b:AAAA\r\n BBBB\r\n\r\n CCCC"
    after = patch(contact(picture), {"notes": "n"}, now=NOW)
    assert f"{picture}\r\nNOTE:n\r\n" in after
    assert read(patch(after, {"notes": None}, now=NOW)).columns["notes"] is None
    text = contact("TITLE:x", "TEL;TYPE=WORK:1", "of it")
    assert read(patch(text, {"phone_work": None}, now=NOW)).columns["job_title"] == "x"


def test_a_name_in_two_languages_is_one_name() -> None:
    text = card("FN:a", "N;ALTID=1;LANGUAGE=en:a;;;;", "N;ALTID=1;LANGUAGE=fr:b;;;;", version="4.0")
    assert read(text).columns["last_name"] == "a"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (contact() + contact(), "several items"),
        (card("FN:Team", "KIND:group", version="4.0"), "list"),
        (card("FN:Team", "X-ADDRESSBOOKSERVER-KIND:group"), "list"),
        (contact("KIND:individual"), ""),
    ],
)
def test_untouchable(text: str, why: str) -> None:
    assert read(text).untouchable == why


# ── Patching ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("old", "columns", "new"),
    [
        ("item1.TEL;TYPE=WORK;X-A=1:1", {"phone_work": "2"}, "item1.TEL;TYPE=WORK;X-A=1:2"),
        ("TEL;TYPE=WORK:1\r\nTEL;TYPE=WORK:3", {"phone_work": "2"}, "TEL;TYPE=WORK:2\r\nTEL;TYPE=WORK:3"),
        (
            "TEL;TYPE=WORK:1\r\nTEL;TYPE=WORK:3",  # the second must not move up
            {"phone_work": None},
            "TEL;TYPE=WORK;X-CRMSYNC-EMPTY=1:\r\nTEL;TYPE=WORK:3",
        ),
        (
            "TEL;TYPE=WORK;X-CRMSYNC-EMPTY=1:\r\nTEL;TYPE=WORK:3",
            {"phone_work": "4"},
            "TEL;TYPE=WORK:4\r\nTEL;TYPE=WORK:3",
        ),
        ("TEL;TYPE=WORK:1", {"phone_work": None}, ""),
        ("TEL;VALUE=uri;TYPE=cell:tel:+1-5", {"phone_mobile": "+1-6 ext. 7"}, "TEL;VALUE=uri;TYPE=cell:tel:+1-6;ext=7"),
        ("TEL;VALUE=uri;TYPE=cell:tel:+1-5", {"phone_mobile": "+1 6"}, "TEL;TYPE=cell:+1 6"),
        ("ORG:A;B;C", {"department": "D, E"}, "ORG:A;D\\, E;C"),
        ("ORG:A;B", {"department": None}, "ORG:A"),
        ("ORG:A", {"company": None}, ""),
        (
            "ADR;TYPE=WORK:Box;Ext;1, Main;L;;N1;UK;more",
            {"address_work_city": "P"},
            "ADR;TYPE=WORK:Box;Ext;1, Main;P;;N1;UK;more",
        ),
        ("ADR;TYPE=WORK:;;s;;;;", {"address_work_street": None}, ""),
        ("BDAY:1815-12-10", {"birthday": date(1816, 1, 2)}, "BDAY:1816-01-02"),
        ("BDAY;VALUE=date:18151210", {"birthday": date(1816, 1, 2)}, "BDAY:18160102"),
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=UTF-8;X=1:=C3=BC", {"notes": "ü,\nx"}, "NOTE;X=1:ü\\,\\nx"),
        ("NOTE:", {"notes": "x"}, "NOTE:x"),
        ('NOTE;X-A="b;LANGUAGE=en:x', {"notes": 'a":b'}, "NOTE;X-A='b;LANGUAGE=en:a\":b"),
        (
            "ADR;HOME;QUOTED-PRINTABLE:;;a=0D=0Ab=\r\n c;d;;;",
            {"address_home_city": "x"},
            "ADR;HOME:;;a\\nb c;x;;;",
        ),
        ("CATEGORIES:b,a\\,x\r\nCATEGORIES:c", {"categories": ("b", "d")}, "CATEGORIES:b,d"),
        ("CATEGORIES:b", {"categories": None}, ""),
        ("EMAIL;TYPE=WORK:a@x\r\nEMAIL:b@x", {"email_2": None}, "EMAIL;TYPE=WORK:a@x"),
        ("EMAIL;TYPE=WORK:a@x\r\nEMAIL:b@x", {"email": None}, "EMAIL;TYPE=WORK;X-CRMSYNC-EMPTY=1:\r\nEMAIL:b@x"),
        ("EMAIL;TYPE=WORK:a@x\r\nEMAIL:b@x", {"email": None, "email_2": None}, ""),
        ("EMAIL:a@x\r\nEMAIL;TYPE=PREF:b@x", {"email": "c@x"}, "EMAIL:a@x\r\nEMAIL;TYPE=PREF:c@x"),
    ],
)  # fmt: skip
def test_patch(old: str, columns: Columns, new: str) -> None:
    after = patch(contact(*old.split("\r\n")), columns, now=NOW)
    assert after == contact(*(new.split("\r\n") if new else ()))
    assert patch(after, columns, now=NOW) == after


@pytest.mark.parametrize(
    ("version", "column", "value", "line"),
    [
        ("3.0", "phone_mobile", "1", "TEL;TYPE=CELL:1"),
        ("4.0", "phone_mobile", "1", "TEL;TYPE=cell:1"),
        ("2.1", "phone_fax", "1", "TEL;WORK;FAX:1"),
        ("3.0", "phone_fax", "1", "TEL;TYPE=WORK,FAX:1"),
        ("3.0", "phone_other", "1", "TEL;TYPE=VOICE:1"),
        ("3.0", "email", "a@x", "EMAIL;TYPE=INTERNET:a@x"),
        ("4.0", "email", "a@x", "EMAIL:a@x"),
        ("3.0", "birthday", date(2000, 1, 2), "BDAY:2000-01-02"),
        ("4.0", "anniversary", date(2000, 1, 2), "ANNIVERSARY:20000102"),
        ("3.0", "address_home_city", "P", "ADR;TYPE=HOME:;;;P;;;"),
        ("3.0", "department", "D", "ORG:;D"),
        ("3.0", "website", "http://x/a,b;c", "URL:http://x/a\\,b;c"),
        ("4.0", "website", "http://x/a,b;c", "URL:http://x/a\\,b;c"),
        ("3.0", "notes", "a\r\nb", "NOTE:a\\nb"),
        ("3.0", "categories", ("a,b", "c"), "CATEGORIES:a\\,b,c"),
    ],
)
def test_a_new_line(version: str, column: str, value: Value, line: str) -> None:
    text = contact("X-LAST:1", version=version)
    assert patch(text, {column: value}, now=NOW) == contact("X-LAST:1", line, version=version)


@pytest.mark.parametrize("version", ["3.0", "4.0"])
@pytest.mark.parametrize("value", ["http://x/?a=b,c;d", "http://x/,", "http://x/a\\,b\\;c\\n", "a, b"])
def test_a_website_outlives_a_server_that_rewrites_it(version: str, value: str) -> None:
    """Radicale stores what vobject makes of a card, and vobject takes every value for a list of which it keeps the
    first."""
    written = patch(contact(version=version), {"website": value}, now=NOW)
    stored = vobject.readOne(written).serialize(validate=False)
    assert read(written).columns["website"] == read(stored).columns["website"] == value
    assert patch(stored, {"website": value}, now=NOW) == stored


@pytest.mark.parametrize("line", ["URL:http://x/a,b;c", "URL:http://x/a\\,b\\;c", "URL:http\\://x/a\\,b;c"])
def test_an_untouched_website_keeps_its_spelling(line: str) -> None:
    columns: Columns = {"website": "http://x/a,b;c", "job_title": "x"}
    assert patch(contact(line), columns, now=NOW) == contact(line, "TITLE:x")


@pytest.mark.parametrize(
    ("fn", "columns", "after"),
    [
        ("Ada King", {"last_name": "Byron"}, "Ada Byron"),
        ("King, Ada", {"last_name": "Byron"}, "Byron\\, Ada"),
        ("Countess of L.", {"last_name": "Byron"}, "Countess of L."),  # chosen by a person
        ("", {"last_name": "Byron"}, "Ada Byron"),
        ("Ada King", {"notes": "x"}, "Ada King"),
        ("Ada King", {"first_name": None, "last_name": None}, "Engines"),
    ],
)
def test_the_formatted_name_follows(fn: str, columns: Columns, after: str) -> None:
    text = card("UID:u", f"FN:{fn}", "N:King;Ada;;;", "ORG:Engines")
    assert f"FN:{after}\r\n" in patch(text, columns, now=NOW)


def test_a_card_never_loses_its_last_name() -> None:
    text = patch(contact(), {"first_name": None, "last_name": None}, now=NOW)
    assert "FN:Ada King\r\nN:;;;;\r\n" in text
    assert read(text).columns["last_name"] is None


def test_tag_and_stamp() -> None:
    text = contact("CATEGORIES:x", "REV:2020-01-01T00:00:00Z")
    after = patch(text, {}, tag="CRM", stamp=STAMP, now=NOW)
    assert after == contact(
        "CATEGORIES:x,CRM", "REV:2026-11-22T10:00:00Z", "X-CRMSYNC-LINK:v1 00D1 0031 u-1 3 mac"
    )
    assert patch(after, {}, tag="CRM", stamp=STAMP, now=datetime(2027, 1, 1, tzinfo=UTC)) == after
    newer = Stamp("00D1", "0031", "u-1", 4, "mac")
    assert read(patch(after, {}, stamp=newer, now=NOW)).stamp == newer


def test_line_ends_stay() -> None:
    text = contact("TITLE:x").replace("\r\n", "\n")
    after = patch(text, {"notes": "ü" * 200, "job_title": "y"}, now=NOW)
    assert "\r" not in after
    assert read(after).columns["notes"] == "ü" * 200


def test_a_card_within_a_card_is_not_the_card() -> None:
    text = contact("AGENT:", "BEGIN:VCARD", "FN:Agent", "TITLE:inner", "END:VCARD")
    assert read(text).columns["job_title"] is None
    after = patch(text, {"job_title": "outer"}, now=NOW)
    assert "TITLE:inner\r\nEND:VCARD" in after
    assert read(after).columns["job_title"] == "outer"


# ── Building ─────────────────────────────────────────────────────────────────────────────────────────────────

FULL: Columns = {
    "prefix": "Dr.",
    "first_name": "Ada",
    "middle_name": "Byron",
    "last_name": "King; née B., x",
    "company": "A;B, C",
    "department": "R\\D",
    "job_title": "Analyst",
    "email": "a@example.com",
    "email_3": "c@example.com",
    "phone_work": "+44 20 7946 0001",
    "phone_fax": "+44 20 7946 0002",
    "address_work_street": "12 Square,\nFloor 2",
    "address_work_city": "London",
    "website": "https://example.com/a,b;c",
    "birthday": date(1815, 12, 10),
    "notes": "x" * 100 + "\n;,\\n 😀",
    "categories": ("a,b", "c"),
}


def test_what_is_built_reads_back() -> None:
    text = build(Kind.CONTACT, "u-1", FULL, tag="CRM", stamp=STAMP, now=NOW)
    item = read(text)
    want = {**dict.fromkeys(HOLDS[Kind.CONTACT]), **FULL, "categories": ("CRM", "a,b", "c")}
    assert item.columns == want
    assert (item.uid, item.stamp, item.tags) == ("u-1", STAMP, {"CRM", "a,b", "c"})
    assert all(len(line.encode()) <= 75 for line in text.split("\r\n"))


def test_another_reader_reads_what_is_built() -> None:
    parsed = vobject.readOne(build(Kind.CONTACT, "u-1", FULL, tag="CRM", stamp=STAMP, now=NOW))
    assert parsed.version.value == "3.0"
    assert parsed.fn.value == "Dr. Ada Byron King; née B., x"
    assert (parsed.n.value.family, parsed.n.value.given) == ("King; née B., x", "Ada")
    assert parsed.org.value == ["A;B, C", "R\\D"]
    assert parsed.adr.value.street == "12 Square,\nFloor 2"
    assert [each.value for each in parsed.contents["tel"]] == ["+44 20 7946 0001", "+44 20 7946 0002"]
    assert parsed.url.value == FULL["website"]
    assert parsed.note.value == FULL["notes"]
    assert parsed.bday.value == "1815-12-10"
    assert parsed.categories.value == ["a,b", "c", "CRM"]


@pytest.mark.parametrize(
    ("columns", "fn"),
    [
        ({"company": "Engines"}, "Engines"),
        ({"email": "a@x"}, "a@x"),
        ({"last_name": "King", "company": "E"}, "King"),
    ],
)
def test_the_name_of_a_new_card(columns: Columns, fn: str) -> None:
    assert f"FN:{fn}\r\n" in build(Kind.CONTACT, "u", columns, now=NOW)


def test_a_new_card_must_have_a_name() -> None:
    with pytest.raises(Malformed, match="must have a name"):
        build(Kind.CONTACT, "u", {"notes": "x"}, now=NOW)
    with pytest.raises(Malformed, match="cannot be a task"):
        build(Kind.TASK, "u", {"last_name": "x"}, now=NOW)


# ── Properties ───────────────────────────────────────────────────────────────────────────────────────────────


def _values(name: str) -> st.SearchStrategy[Value]:
    match COLUMNS[Kind.CONTACT][name].type:
        case Type.DATE:
            return st.none() | st.dates()
        case Type.LIST:
            return st.none() | st.lists(st.text(max_size=8), max_size=4).map(tuple)
        case _:
            return st.none() | st.text(max_size=40) | st.text(alphabet=',;:\\n\r\n\t "=^BEGIN', max_size=20)


def _some_columns() -> st.SearchStrategy[Columns]:
    names = sorted(HOLDS[Kind.CONTACT])
    return st.lists(st.sampled_from(names), unique=True, max_size=8).flatmap(
        lambda chosen: st.fixed_dictionaries({name: _values(name) for name in chosen})
    )


BODIES = (
    contact("REV:x"),
    contact(
        "EMAIL:a@x", "EMAIL;TYPE=pref:b@x", "EMAIL:c@x", "EMAIL:d@x", "TEL;TYPE=WORK:1", "TEL;TYPE=WORK:2"
    ),
    contact("ORG:A;B;C", "ADR;TYPE=WORK:1;2;3;4;5;6;7;8", "CATEGORIES:a,b", "CATEGORIES:c", version="4.0"),
    card(
        "N:King;Ada",
        "TEL;CELL;VOICE:1",
        "NOTE;ENCODING=QUOTED-PRINTABLE:a=\r\n b=3Dc",
        "BDAY:--0415",
        version="2.1",
    ),
    card("FN:Ada King", "TEL;VALUE=uri;TYPE=work:tel:+1-5", "URL:http\\://x", version="4.0").replace(
        "\r\n", "\n"
    ),
)


@settings(max_examples=250)
@given(st.sampled_from(BODIES), _some_columns())
def test_patch_then_read(text: str, columns: Columns) -> None:
    after = patch(text, columns, now=NOW)
    found = read(after).columns
    wanted = project(Kind.CONTACT, columns)
    before = read(text).columns
    for name, value in wanted.items():
        assert found.get(name, "unread") == value or (value is None and name not in before)
    for name in before.keys() - wanted.keys():
        assert found[name] == before[name], name
    assert patch(after, columns, now=NOW) == after
    assert patch(after, found, now=NOW) == after
    assert project(Kind.CONTACT, wanted) == wanted


@settings(max_examples=100)
@given(
    st.sampled_from(BODIES),
    _some_columns(),
    st.text(),
    st.builds(Stamp, st.text(), st.text(), st.text(), st.integers(0, 9), st.text()),
)
def test_no_value_makes_a_line(text: str, columns: Columns, tag: str, stamp: Stamp) -> None:
    after = patch(text, columns, tag=tag, stamp=stamp, now=NOW)
    names = {line.partition(":")[0].partition(";")[0].rpartition(".")[2].upper() for line in lines(after)}
    known = (
        "BEGIN END VERSION UID FN N REV NICKNAME ORG TITLE EMAIL TEL ADR URL BDAY ANNIVERSARY NOTE CATEGORIES"
    )
    assert names <= {*known.split(), "X-CRMSYNC-LINK", ""} | {name for name in names if name in text}
    assert after.upper().count("BEGIN:VCARD\r\n" if "\r" in text else "BEGIN:VCARD\n") == 1
    assert max(map(len, after.splitlines())) <= 75
    assert len(after.splitlines()) == after.count("\n")
    read(after)


@settings(max_examples=60)
@given(_some_columns(), st.text(min_size=1))
def test_build_then_read(columns: Columns, last: str) -> None:
    columns = {**columns, "last_name": last, "company": "E"}
    found = read(build(Kind.CONTACT, "u", columns, now=NOW)).columns
    assert found == {**dict.fromkeys(HOLDS[Kind.CONTACT]), **project(Kind.CONTACT, columns)}


# ── Corpora ──────────────────────────────────────────────────────────────────────────────────────────────────

PROPERTY: dict[str, tuple[Value, set[str]]] = {
    "last_name": ("Xyz", {"N", "FN"}),
    "company": ("Xyz", {"ORG", "FN"}),
    "job_title": ("Xyz", {"TITLE"}),
    "email": ("xyz@example.com", {"EMAIL", "FN"}),
    "email_3": ("xyz@example.com", {"EMAIL"}),
    "phone_mobile": ("+1 555 0100", {"TEL"}),
    "address_work_city": ("Xyz", {"ADR"}),
    "website": ("https://example.com/", {"URL"}),
    "birthday": (date(2001, 2, 3), {"BDAY"}),
    "notes": ("Xyz\n" + "ü" * 100, {"NOTE"}),
    "categories": (("Xyz",), {"CATEGORIES"}),
}


@needs_corpora
@pytest.mark.parametrize("path", files("vcard"), ids=lambda path: path.stem)
def test_real_cards(path: Path) -> None:
    started = time.process_time()
    try:
        text = decode(path.read_bytes())
        item = read(text)
    except Malformed:
        return
    assert patch(text, {}, now=NOW) == text
    assert patch(text, item.columns, now=NOW) == text
    for column, (value, names) in PROPERTY.items():
        after = patch(text, {column: value}, now=NOW)
        assert changed_names(text, after) <= names | {"REV"}, column
        assert read(after).columns[column] == value
        emptied = patch(after, {column: None}, now=NOW)
        assert read(emptied).columns[column] is None
        assert changed_names(text, emptied) <= names | {"REV"}, column
    assert time.process_time() - started < 2
