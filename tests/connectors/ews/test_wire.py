"""XML out of properties and back, and what a server may send."""

from datetime import UTC, datetime

import pytest
from lxml import etree

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.places import OWN
from crmsync.connectors.ews.properties import KEY, LINK, PREFIX, Malformed, Properties
from crmsync.connectors.ews.wire import T
from tests.servers.ews.schema import check

CONTACT: Properties = {
    "GivenName": "Ada",
    "Surname": "Lovelace",
    "Body": "one\ntwo",
    "Categories": ("A", "B, with a comma"),
    "Birthday": datetime(1815, 12, 10, 11, 59, tzinfo=UTC),
    "EmailAddresses/EmailAddress3": "c@example.com",
    "EmailAddresses/EmailAddress1": "a@example.com",
    "PhoneNumbers/MobilePhone": "+49 1",
    "PhysicalAddresses/Home/City": "London",
    "PhysicalAddresses/Business/Street": "1 Long Road",
    "PhysicalAddresses/Business/City": "Köln",
    LINK: "link",
    KEY: "key",
    PREFIX: "Dr.",
}
TIMES = {"Start": datetime(2026, 1, 1, tzinfo=UTC), "End": datetime(2026, 1, 2, tzinfo=UTC)}
APPOINTMENT: Properties = {
    **TIMES,
    "UID": "u",
    "Subject": "Budget",
    "IsAllDayEvent": False,
    "StartTimeZone": "W. Europe Standard Time",
    "EndTimeZone": "W. Europe Standard Time",
    "LegacyFreeBusyStatus": "OOF",
    "Location": "Room 5",
}
TASK: Properties = {"Subject": "Call", "Status": "InProgress", "PercentComplete": 40, "Importance": "High"}
ALL = {Kind.CONTACT: CONTACT, Kind.APPOINTMENT: APPOINTMENT, Kind.TASK: TASK}


@pytest.mark.parametrize("kind", ALL)
def test_an_item_comes_back_and_stands_in_the_order_of_the_schema(kind: Kind) -> None:
    item = wire.new_item(kind, ALL[kind])
    check(wire.element("m:CreateItem", wire.element("m:Items", item)))
    assert wire.properties(kind, etree.fromstring(etree.tostring(item))) == ALL[kind]


@pytest.mark.parametrize("kind", ALL)
def test_each_change_is_one_property(kind: Kind) -> None:
    changes = wire.updates(kind, {**ALL[kind], **dict.fromkeys(list(ALL[kind])[:2])})
    change = wire.element("t:ItemChange", wire.item_id("i", "k"), changes)
    check(
        wire.element(
            "m:UpdateItem", wire.element("m:ItemChanges", change), ConflictResolution="NeverOverwrite"
        )
    )
    assert all(len(each) == (2 if each.tag == T + "SetItemField" else 1) for each in changes)
    assert all(len(each[1]) == 1 for each in changes if each.tag == T + "SetItemField")


def item(inside: str, name: str = "Contact") -> etree._Element:
    return etree.fromstring(f'<t:{name} xmlns:t="{T[1:-1]}">{inside}</t:{name}>')


@pytest.mark.parametrize(
    ("text", "back"),
    [
        ("2026-03-02T09:00:00Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2026-03-02T09:00:00.1234567Z", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2026-03-02T10:00:00+01:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2026-03-02T09:00:00", datetime(2026, 3, 2, 9, tzinfo=UTC)),
        ("2026-03-02Z", datetime(2026, 3, 2, tzinfo=UTC)),
        ("2026-03-02+01:00", datetime(2026, 3, 2, tzinfo=UTC)),
        ("4501-01-01T00:00:00Z", None),  # Exchange's "none"
    ],
)
def test_times(text: str, back: datetime | None) -> None:
    assert wire.properties(Kind.CONTACT, item(f"<t:Birthday>{text}</t:Birthday>")).get("Birthday") == back


@pytest.mark.parametrize(
    "inside",
    [
        "<t:Birthday>yesterday</t:Birthday>",
        "<t:Birthday>9999-12-31T23:59:59-14:00</t:Birthday>",
        f"<t:Body>{'x' * 1_100_000}</t:Body>",
    ],
)
def test_what_is_no_value_is_said(inside: str) -> None:
    with pytest.raises(Malformed):
        wire.properties(Kind.CONTACT, item(inside))


def test_a_body_of_html_is_read_as_its_text() -> None:
    html = "<html><head><style>p {}</style></head><body><p>One &amp;\ntwo</p><div>Three<br>four</div></body></html>"
    body = f'<t:Body BodyType="HTML">{html.replace("&", "&amp;").replace("<", "&lt;")}</t:Body>'
    assert wire.properties(Kind.TASK, item(body, "Task"))["Body"] == "One & two\nThree\nfour"


@pytest.mark.parametrize("number", ["1e999", "nan", "12x"])
def test_a_percentage_that_is_none(number: str) -> None:
    with pytest.raises(Malformed):
        wire.properties(Kind.TASK, item(f"<t:PercentComplete>{number}</t:PercentComplete>", "Task"))


def test_exchange_spells_extended_properties_as_it_likes() -> None:
    uri = f'<t:ExtendedFieldURI PropertySetId="{OWN.upper()}" PropertyName="link" PropertyType="String"/>'
    tag = '<t:ExtendedFieldURI PropertyTag="0x3A45" PropertyType="String"/>'
    found = wire.properties(
        Kind.CONTACT,
        item(
            f"<t:ExtendedProperty>{uri}<t:Value>l</t:Value></t:ExtendedProperty>"
            f"<t:ExtendedProperty>{tag}<t:Value>Dr.</t:Value></t:ExtendedProperty>"
        ),
    )
    assert (found[LINK], found[PREFIX]) == ("l", "Dr.")


def test_other_items_in_the_folder_are_no_contacts() -> None:
    post = wire.found(item('<t:ItemId Id="i" ChangeKey="k"/>', "PostItem"))
    assert post is not None
    assert post.kind is None
    assert wire.found(item("")) is None
