"""The content-line layer: what nobody replaces comes back byte for byte, whatever it is."""

import time
import timeit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crmsync.connectors.dav.contentline import decode, escape, fold, line, parameter, split, unescape, without
from crmsync.connectors.dav.document import parse
from crmsync.connectors.dav.item import MAX_LINES, Malformed

CARD = (
    "BEGIN:VCARD\r\n"
    "VERSION:3.0\r\n"
    'item1.TEL;TYPE=WORK,VOICE;X-A="a:b;c":+44 20\r\n'
    "NOTE:one\r\n  two\r\n\tthree\r\n"
    "no colon here\r\n"
    "\r\n"
    "PHOTO;ENCODING=b:AAAA\r\n BBBB\r\n"
    "END:VCARD\r\n"
)


@pytest.mark.parametrize("eol", ["\r\n", "\n", "\r"])
def test_every_line_end_is_kept(eol: str) -> None:
    text = CARD.replace("\r\n", eol)
    document = parse(text)
    assert document.text == text
    assert document.components[0].first("NOTE").value == "one twothree"


@pytest.mark.parametrize("tail", ["", "\r\n", "\n\n", "trailing rubbish"])
def test_what_stands_after_the_end_is_kept(tail: str) -> None:
    assert parse(CARD + tail).text == CARD + tail


def test_group_name_parameters_and_value() -> None:
    (tel,) = parse(CARD).components[0].all("TEL")
    assert (tel.group, tel.name, tel.value) == ("item1", "TEL", "+44 20")
    assert tel.parameters == (("TYPE", ("WORK", "VOICE")), ("X-A", ("a:b;c",)))
    assert tel.types == {"work", "voice"}


@pytest.mark.parametrize(
    ("head", "types"),
    [
        ("TEL;TYPE=WORK;TYPE=pref", {"work", "pref"}),
        ("TEL;WORK;VOICE", {"work", "voice"}),  # vCard 2.1
        ('TEL;VALUE=uri;TYPE="work,voice"', {"work", "voice"}),  # vCard 4
        ("tel;type=Cell", {"cell"}),
        ("TEL", set()),
        ('TEL;TYPE="unclosed', {"unclosed"}),
        ("TEL;TYPE=", {""}),
    ],
)
def test_types(head: str, types: set[str]) -> None:
    found = parse(f"BEGIN:VCARD\n{head}:1\nEND:VCARD\n").components[0].first("TEL")
    assert found is not None
    assert found.types == types
    assert found.value == "1"


def test_a_folded_name_is_a_name() -> None:
    card = parse("BEGIN:VCARD\r\nNO\r\n TE:x\r\nEND:VCARD\r\n").components[0]
    assert card.first("NOTE").value == "x"


def test_a_byte_order_mark_is_tolerated() -> None:
    assert decode(b"\xef\xbb\xbfBEGIN:VCARD") == "BEGIN:VCARD"
    assert parse("\ufeff" + CARD).text == "\ufeff" + CARD


def test_invalid_utf_8_is_a_reason() -> None:
    with pytest.raises(Malformed, match="not UTF-8: byte 0xE4 at position 3"):
        decode(b"FN:\xe4")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=ISO-8859-1:Gr=FC=DFe", "Grüße"),
        ("NOTE;QUOTED-PRINTABLE:a=0D=0Ab", "a\\nb"),
        ("NOTE;ENCODING=QUOTED-PRINTABLE:one=\r\n two=\r\nthree", "one twothree"),
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=no-such:caf=C3=A9", "café"),
        ("NOTE;ENCODING=QUOTED-PRINTABLE;CHARSET=utf-8:caf=E9", "café"),  # a false claim
        ("NOTE;ENCODING=BASE64:Y2Fmw6k=", "café"),
        ("NOTE;CHARSET=UTF-8:café", "café"),
        ("NOTE:QUOTED-PRINTABLE ends with=", "QUOTED-PRINTABLE ends with="),
        ("NOTE:QUOTED-PRINTABLE and a=\r\n b", "QUOTED-PRINTABLE and a=b"),
    ],
)
def test_encodings_of_vcard_2_1(value: str, text: str) -> None:
    document = f"BEGIN:VCARD\r\n{value}\r\nTEL:1\r\nEND:VCARD\r\n"
    card = parse(document).components[0]
    assert card.first("NOTE").text_value == text
    assert card.first("TEL").value == "1"
    assert parse(document).text == document


def test_nested_components_keep_their_lines() -> None:
    text = "BEGIN:VEVENT\nSUMMARY:a\nBEGIN:VALARM\nSUMMARY:b\nEND:VALARM\nLOCATION:c\nEND:VEVENT\n"
    event = parse(text).components[0]
    assert [each.value for each in event.all("SUMMARY")] == ["a"]
    assert [each.name for each in event.components] == ["VALARM"]


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("", "no BEGIN line"),
        ("FN:x\n", "no BEGIN line"),
        ("BEGIN:VCARD\nFN:x\n", "BEGIN:VCARD has no END"),
        ("END:VCARD\n", "END:VCARD has no BEGIN"),
        ("BEGIN:VEVENT\nBEGIN:VALARM\nEND:VEVENT\nEND:VALARM\n", "BEGIN:VALARM is closed by END:VEVENT"),
        ("BEGIN:VCARD\nFN:a\0b\nEND:VCARD\n", "NUL"),
        ("BEGIN:A\n" * 30 + "END:A\n" * 30, "nested more than"),
        ("BEGIN:A\n" + "X:1\n" * MAX_LINES + "END:A\n", "more than 20000 lines"),
    ],
)
def test_a_broken_object_names_the_rule(text: str, rule: str) -> None:
    with pytest.raises(Malformed, match=rule):
        parse(text)


def test_a_fold_has_75_octets_and_cuts_no_character() -> None:
    folded = fold("NOTE:" + "ü€😀" * 40)
    assert all(len(part.encode()) <= 75 for part in folded.split("\r\n"))
    assert folded.replace("\r\n ", "") == "NOTE:" + "ü€😀" * 40


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("a;b", ["a", "b"]),
        ("a;b;", ["a", "b", ""]),
        ("a\\;b;c", ["a\\;b", "c"]),
        ("a\\\\;b", ["a\\\\", "b"]),
        (";", ["", ""]),
        ("", [""]),
        ("a;b\\", ["a", "b\\\\"]),
    ],
)
def test_split(text: str, pieces: list[str]) -> None:
    assert split(text, ";") == pieces


def test_unescape_is_kind_to_what_nobody_should_write() -> None:
    assert unescape("http\\://x\\, C:\\dir \\N") == "http://x, C:\\dir \n"


def test_parameters_are_taken_out_and_quoted() -> None:
    head = 'item1.TEL;TYPE="a;VALUE=b";VALUE=uri;QUOTED-PRINTABLE;PREF=1'
    assert without(head, "VALUE", "ENCODING") == 'item1.TEL;TYPE="a;VALUE=b";PREF=1'
    assert parameter("TZID", 'a"b\r\nEVIL:c') == ';TZID="abEVIL:c"'


@given(st.text())
def test_escaping_round_trip(text: str) -> None:
    assert unescape(escape(text)) == text


@given(st.text(), st.sampled_from([";", ","]))
def test_escaped_text_is_one_piece(text: str, mark: str) -> None:
    assert split(escape(text), mark) == [escape(text)]


@given(st.text())
def test_no_value_makes_a_second_line(value: str) -> None:
    made = line("NOTE", value)
    document = f"BEGIN:VCARD\r\n{made.raw}END:VCARD\r\n"
    (found,) = parse(document).components[0].lines
    assert (found.name, found.value) == ("NOTE", made.value)
    assert len(document.splitlines()) == 2 + made.raw.count("\r\n")


@settings(max_examples=300)
@given(st.text(alphabet=st.sampled_from('AB:;.,="\\ \t\r\nBEGINEND-^ü'), max_size=200))
def test_whatever_it_is_it_comes_back_or_is_malformed(text: str) -> None:
    wrapped = f"BEGIN:VCARD\r\n{text}\r\nEND:VCARD\r\n"
    try:
        document = parse(wrapped)
    except Malformed:
        return
    for each in document.lines:
        _ = each.parameters, each.types, each.text_value
    assert document.text == wrapped


def test_time_grows_with_length_only() -> None:
    """Ten times the text takes about ten times as long, for the shapes that make careless patterns explode."""
    for piece in ("a", "a.", "a;", '";', " \r\n ", "=\r\n", "\\"):
        starts = "NOTE;ENCODING=QUOTED-PRINTABLE:" if "=" in piece else "NOTE;X"
        texts = [f"BEGIN:VCARD\r\n{starts}{piece * n}\r\nEND:VCARD\r\n" for n in (20_000, 200_000)]
        seconds = [_seconds(text) for text in texts]
        assert seconds[1] < 40 * seconds[0] + 0.05, piece


def _seconds(text: str) -> float:
    def work() -> None:
        for each in parse(text).lines:
            _ = each.parameters, each.text_value

    return min(
        timeit.repeat(work, timer=time.thread_time, number=1, repeat=5)
    )  # whatever else the machine does
