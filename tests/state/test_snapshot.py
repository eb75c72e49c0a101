import base64
import zlib
from dataclasses import replace
from importlib.resources import files

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from crmsync.connectors.columns import COLUMNS
from crmsync.connectors.contract import Kind, Side, Value
from crmsync.state.snapshot import (
    MAX_SIZE,
    Mark,
    Snapshot,
    SnapshotError,
    from_text,
    from_xml,
    to_text,
    to_xml,
)
from tests.state.samples import snapshot
from tests.state.test_values import ANY_TEXT, MOMENTS, OF_TYPE, TRICKY

SCHEMA = etree.RelaxNG(etree.fromstring(files("crmsync.state").joinpath("snapshot.rng").read_bytes()))

TEXTS = ANY_TEXT | TRICKY
MARKS = st.builds(Mark, TEXTS, TEXTS, MOMENTS | st.none())


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    kind = draw(st.sampled_from(Kind))
    names = sorted(COLUMNS.get(kind, {}))

    def columns() -> dict[str, Value]:
        chosen = draw(st.lists(st.sampled_from(names), unique=True, max_size=6)) if names else []
        drawn = {name: draw(OF_TYPE[COLUMNS[kind][name].type] | st.none()) for name in chosen}
        return {
            name: None if value == "" else value for name, value in drawn.items()
        }  # the same in a snapshot

    kept = {side: held for side in Side if (held := columns())}
    return Snapshot(kind, draw(MOMENTS), draw(MARKS), draw(MARKS), columns(), kept)


@settings(suppress_health_check=[HealthCheck.too_slow])  # the machine's speed proves nothing
@given(snapshots())
def test_every_snapshot_is_valid_and_comes_back(one: Snapshot) -> None:
    data = to_xml(one)
    SCHEMA.assertValid(etree.fromstring(data))
    assert from_xml(data) == one


def test_the_written_form_does_not_change() -> None:
    kept = {Side.CRM: {"phone_work": "+44 20", "email": None}}
    assert to_xml(snapshot(kept=kept)).decode() == (
        '<item xmlns="urn:crmsync:snapshot:1" kind="contact" synced="2026-11-22T10:00:00.123456Z">\n'
        '<ecs id="item-1.vcf" version="&quot;1&quot;" modified="2026-11-22T09:59:59.123456Z"/>\n'
        '<crm id="003000000000001AAA" version="2026-11-22T09:59:58Z"/>\n'
        '<column name="first_name">Ada</column>\n'
        '<column name="notes">one &amp; two\n&lt;three&gt;&#13;\n</column>\n'
        '<column name="birthday">1815-12-10</column>\n'
        '<column name="email"/>\n'
        '<column name="categories">["CRM", "Friends"]</column>\n'
        '<kept side="crm" name="phone_work">+44 20</kept>\n'
        '<kept side="crm" name="email"/>\n'
        "</item>\n"
    )


def test_an_empty_text_and_none_are_the_same() -> None:
    assert from_xml(to_xml(snapshot(columns={"email": "", "notes": " "}))).columns == {
        "email": None,
        "notes": " ",
    }


def test_the_example_of_the_design_is_read() -> None:
    data = b"""<?xml version="1.0"?>
    <item xmlns="urn:crmsync:snapshot:1" kind="contact" synced="2026-11-22T10:00:00Z">
      <ecs id="a" version="1" modified="2026-11-22T09:59:01Z"/>
      <crm id="003" version="2" modified="2026-11-22T09:58:40Z"/>
      <column name="first_name">Ada</column>
      <column name="birthday"/>            <!-- known to be empty -->
    </item>"""
    SCHEMA.assertValid(etree.fromstring(data))
    assert from_xml(data).columns == {"first_name": "Ada", "birthday": None}


_GOOD = to_xml(snapshot()).decode()
_BOMB = (
    '<!DOCTYPE item [<!ENTITY a "aaaaaaaaaa">'
    + "".join(f'<!ENTITY {x} "{f"&{y};" * 10}">' for x, y in zip("bcdefgh", "abcdefg", strict=True))
    + "]>"
)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "<item",
        "<item/>",
        "no XML",
        _GOOD.replace("urn:crmsync:snapshot:1", "urn:another"),
        _GOOD.replace('kind="contact"', 'kind="pet"'),
        _GOOD.replace('kind="contact"', ""),
        _GOOD.replace("10:00:00.123456Z", "10:00:00"),
        _GOOD.replace("<crm ", "<cmr "),
        _GOOD.replace('<column name="email"/>', "<column/>"),
        _GOOD.replace('<column name="email"/>', '<kept name="email"/>'),
        _GOOD.replace('<column name="email"/>', '<colour name="email"/>'),
        _GOOD.replace("1815-12-10", "long ago"),
        _BOMB + _GOOD.replace("Ada", "&h;"),
        '<!DOCTYPE item SYSTEM "file:///etc/passwd">' + _GOOD,
        _GOOD.replace("Ada", "&unknown;"),
        _GOOD.replace("Ada", "A" * MAX_SIZE),
    ],
)
def test_what_is_no_snapshot_is_refused(text: str) -> None:
    with pytest.raises(SnapshotError, match="not a snapshot"):
        from_xml(text.encode())


def test_a_document_in_another_encoding_hides_nothing() -> None:
    with pytest.raises(SnapshotError):
        from_xml((_BOMB + _GOOD).encode("utf-16"))


def test_one_that_is_too_large_is_not_written() -> None:
    with pytest.raises(SnapshotError, match="too large"):
        to_xml(snapshot(columns={"notes": "n" * MAX_SIZE}))


def test_one_with_a_moment_without_a_zone_is_not_written() -> None:
    naive = replace(snapshot(), synced=snapshot().synced.replace(tzinfo=None))
    with pytest.raises(SnapshotError, match="no time zone"):
        to_xml(naive)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(snapshots())
def test_as_text_on_an_item_it_comes_back_too(one: Snapshot) -> None:
    text = to_text(one, 1_000_000)
    assert text.isprintable() or len(text) <= 1_000
    assert from_text(text) == one
    assert to_text(one, len(text) - 1) == ""


@pytest.mark.parametrize("text", ["", "x", "zlib:", "zlib:!", "zlib:eJw=", "zlib:" + "A" * 1000, "<item/>"])
def test_what_is_no_such_text(text: str) -> None:
    assert from_text(text) is None


def test_a_text_that_grows_without_end_is_none() -> None:
    bomb = base64.b64encode(zlib.compress(b" " * (4 * MAX_SIZE))).decode()
    assert from_text(f"zlib:{bomb}") is None
