"""Contacts: the columns of a vCard (RFC 6350, RFC 2426, vCard 2.1), one row each, both ways."""

from collections.abc import Mapping
from datetime import UTC, datetime, tzinfo

import vobject

from crmsync.connectors.carddav.fields import Day, Email, Part, Phone, version
from crmsync.connectors.carddav.names import (
    NAMES,
    SOURCES,
    follow,
    formatted_name,
    names_from_formatted,
    read_formatted,
)
from crmsync.connectors.columns import COLUMNS, Type
from crmsync.connectors.contract import Columns, Kind, Stamp, Value
from crmsync.connectors.dav.document import Component, Document, parse
from crmsync.connectors.dav.fields import (
    Categories,
    Row,
    Rows,
    Text,
    Uri,
    project_rows,
    read_rows,
    write_rows,
)
from crmsync.connectors.dav.item import Item, Malformed
from crmsync.connectors.dav.patch import (
    Editor,
    categories,
    changes,
    chosen,
    put_now,
    put_stamp,
    put_tag,
    stamp_of,
)
from crmsync.connectors.dav.strictness import said_once, whole_values
from crmsync.connectors.dav.values import clean, text_of


def _address(kind: str) -> dict[str, Row]:
    """ADR: post office box; extended; street; locality; region; code; country (RFC 6350 6.3.1)."""
    return {
        f"address_{kind}_street": Part(kind, 2, Type.LONG),
        f"address_{kind}_city": Part(kind, 3),
        f"address_{kind}_region": Part(kind, 4),
        f"address_{kind}_postal_code": Part(kind, 5),
        f"address_{kind}_country": Part(kind, 6),
    }


_ROWS: Rows = {
    "prefix": Part("N", 3),
    "first_name": Part("N", 1),
    "middle_name": Part("N", 2),
    "last_name": Part("N", 0),
    "suffix": Part("N", 4),
    "nickname": Text("NICKNAME"),
    "company": Part("ORG", 0),
    "department": Part("ORG", 1),
    "job_title": Text("TITLE"),
    "email": Email(0),
    "email_2": Email(1),
    "email_3": Email(2),
    "phone_work": Phone("work"),
    "phone_mobile": Phone("mobile"),
    "phone_home": Phone("home"),
    "phone_fax": Phone("fax"),
    "phone_other": Phone("other"),
    **_address("work"),
    **_address("home"),
    "website": Uri("URL"),
    "birthday": Day(("BDAY",)),
    # Before vCard 4 there was none, and every address book made its own.
    "anniversary": Day(("ANNIVERSARY", "X-ANNIVERSARY", "X-EVOLUTION-ANNIVERSARY")),
    "notes": Text("NOTE", Type.LONG),
    "categories": Categories(),
}

_FREE_TEXT = frozenset({"NICKNAME", "ORG", "TITLE", "ADR", "NOTE", "CATEGORIES"})
_ONCE = frozenset({"UID", "N", "BDAY", "ANNIVERSARY", "KIND"})  # in vCard 4; the older ones do not say

READ_ONLY: Mapping[Kind, frozenset[str]] = {}
HOLDS: Mapping[Kind, frozenset[str]] = {Kind.CONTACT: frozenset(_ROWS) & frozenset(COLUMNS[Kind.CONTACT])}


def project(kind: Kind, columns: Columns) -> Columns:
    """``columns`` as they would be read back; what cannot be held is absent."""
    return project_rows(_ROWS, columns) if kind is Kind.CONTACT else {}


def read(text: str, *, default_zone: tzinfo = UTC) -> Item:
    """Raises Malformed. ``default_zone`` is not needed: no column of a contact has a time of day."""
    document, card = _card(text)
    columns = _columns(card)
    if not read_formatted(card) and not any(columns.get(name) for name in NAMES):
        raise Malformed("it is a vCard without a name: FN and N are both missing or empty (RFC 6350 6.2.1)")
    uid = card.first("UID")
    sensitivity = card.first("CLASS")
    return Item(
        kind=Kind.CONTACT,
        uid=(text_of(uid, Type.TEXT) or "") if uid else "",
        columns=columns,
        tags=frozenset(categories(card)),
        stamp=stamp_of(card),
        untouchable=_untouchable(document, card),
        private=sensitivity is not None and sensitivity.value.strip().upper() not in ("", "PUBLIC"),
    )


def _card(text: str) -> tuple[Document, Component]:
    document = parse(text)
    card = next((root for root in document.components if root.name == "VCARD"), None)
    if card is None:
        raise Malformed("there is no BEGIN:VCARD in it (RFC 6350 6.1.1)")
    whole_values(card, _FREE_TEXT)
    if version(card) == "4.0":
        said_once(card, _ONCE - _with_alternatives(card), "RFC 6350 3.3")
    return document, card


def _with_alternatives(card: Component) -> set[str]:
    """Lines with one ALTID are one property, said in several languages (RFC 6350 5.4); the first one is read."""
    return {
        name
        for name in _ONCE
        if len(lines := card.all(name)) > 1 and len({each.parameter("ALTID") or each for each in lines}) == 1
    }


def _columns(card: Component) -> dict[str, Value]:
    columns = read_rows(_ROWS, card)
    columns.update(names_from_formatted(card, columns))
    return columns


def _untouchable(document: Document, card: Component) -> str:
    if len(document.components) > 1:
        return "several items"
    kind = chosen([*card.all("KIND"), *card.all("X-ADDRESSBOOKSERVER-KIND")])
    return "list" if kind and kind.value.strip().lower() == "group" else ""


def patch(
    text: str,
    columns: Columns,
    *,
    tag: str = "",
    stamp: Stamp | None = None,
    now: datetime,
    default_zone: tzinfo = UTC,
) -> str:
    """See ``dav.item.Format.patch``."""
    document, card = _card(text)
    edit = Editor(document, card)
    if columns:
        _write(edit, columns)
    if tag:
        put_tag(edit, tag)
    if stamp:
        put_stamp(edit, stamp)
    if not edit.changed:
        return text
    put_now(edit, "REV", now)
    return document.text


def _write(edit: Editor, columns: Columns) -> None:
    before = _columns(edit.component)
    wanted = changes(before, project(Kind.CONTACT, columns))
    if not wanted:
        return
    after = {**before, **wanted}
    if not edit.component.all("N") and any(name in wanted for name in NAMES):
        wanted.update({name: after[name] for name in NAMES if after.get(name)})  # those that came from FN
    write_rows(_ROWS, edit, wanted)
    if SOURCES & wanted.keys():
        follow(edit, before, after)


def build(
    kind: Kind,
    uid: str,
    columns: Columns,
    *,
    tag: str = "",
    stamp: Stamp | None = None,
    now: datetime,
    default_zone: tzinfo = UTC,
) -> str:
    """A vCard 3.0, which every server takes. Raises Malformed when there is nothing to make a name of."""
    if kind is not Kind.CONTACT:
        raise Malformed(f"a vCard cannot be a {kind.value}")
    held = project(kind, columns)
    name = formatted_name(held)
    if not name:
        raise Malformed(
            "a vCard must have a name, and there is no name, company or e-mail address (RFC 6350 6.2.1)"
        )
    card = vobject.vCard()
    card.add("uid").value = clean(uid, Type.TEXT) or ""
    card.add("fn").value = name
    parts = {part: str(held.get(column) or "") for part, column in zip(_VOBJECT_NAMES, NAMES, strict=True)}
    card.add("n").value = vobject.vcard.Name(**parts)
    return patch(card.serialize(), held, tag=tag, stamp=stamp, now=now)


_VOBJECT_NAMES = ("prefix", "given", "additional", "family", "suffix")
