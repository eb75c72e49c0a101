"""Where each property stands in an item's XML, and how a request names it."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Final

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews.properties import (
    AGREED,
    COMMITTED,
    FLAG,
    KEY,
    LINK,
    MESSAGE_FLAGS,
    PREFIX,
    REMINDED,
    REMOVED,
    SEARCH_KEY,
)

OWN = "7b5a3c1e-6f0d-4e1b-9a57-6a1f2c0d9e42"  # the property set of what we write on items

ELEMENTS: Final = {
    Kind.CONTACT: "Contact",
    Kind.APPOINTMENT: "CalendarItem",
    Kind.TASK: "Task",
    Kind.EMAIL: "Message",
}
OTHERS: Final = {"DistributionList": Kind.CONTACT}  # stand in the same folders, and are left alone
MAIL: Final = frozenset(  # what is mail, too, and only bears another name
    {"MeetingMessage", "MeetingRequest", "MeetingResponse", "MeetingCancellation"}
)
FOLDER_CLASSES: Final = {
    "IPF.Contact": Kind.CONTACT,
    "IPF.Appointment": Kind.APPOINTMENT,
    "IPF.Task": Kind.TASK,
}


class Form(Enum):
    TEXT = "text"
    FLAG = "flag"
    NUMBER = "number"
    MOMENT = "moment"
    WORDS = "words"
    ZONE = "zone"
    BODY = "body"
    PEOPLE = "people"  # addresses, and what each has answered


@dataclass(frozen=True, slots=True)
class Place:
    """Where a property stands in an item, and how a request names it."""

    path: str  # of elements: ``Subject``, ``PhoneNumbers/MobilePhone``
    uri: str = ""
    form: Form = Form.TEXT
    index: str = ""  # of an entry
    extended: Mapping[str, str] | None = None  # the attributes of an ExtendedFieldURI


def _own(name: str) -> Place:
    attributes = {"PropertySetId": OWN, "PropertyName": name, "PropertyType": "String"}
    return Place("ExtendedProperty", extended=attributes)


def _tagged(tag: str, type: str) -> Place:
    return Place("ExtendedProperty", extended={"PropertyTag": tag, "PropertyType": type})


def _entries(element: str, uri: str, *keys: str) -> dict[str, Place]:
    return {f"{element}/{key}": Place(f"{element}/{key}", uri, index=key) for key in keys}


def _addresses(*kinds: str) -> dict[str, Place]:
    parts = ("Street", "City", "State", "CountryOrRegion", "PostalCode")
    return {
        (path := f"PhysicalAddresses/{kind}/{part}"): Place(
            path, f"contacts:PhysicalAddress:{part}", index=kind
        )
        for kind in kinds
        for part in parts
    }


def _plain(prefix: str, form: Form, *names: str) -> dict[str, Place]:
    return {name: Place(name, f"{prefix}:{name}", form) for name in names}


COMMON = {
    **_plain("item", Form.TEXT, "Subject", "Sensitivity", "Importance"),
    **_plain("item", Form.BODY, "Body"),
    **_plain("item", Form.WORDS, "Categories"),
    LINK: _own("link"),
    AGREED: _own("agreed"),
    KEY: _own("key"),
    SEARCH_KEY: _tagged("0x300b", "Binary"),
    **_plain("item", Form.TEXT, "LastModifiedName"),
    **_plain("item", Form.MOMENT, "LastModifiedTime"),
}
# In the order of the schema, but for what stands in every item: that comes first.
PLACES: Final[Mapping[Kind, Mapping[str, Place]]] = {
    Kind.CONTACT: {
        **COMMON,
        PREFIX: _tagged("0x3a45", "String"),
        **_plain("contacts", Form.TEXT, "FileAs", "DisplayName", "GivenName", "MiddleName", "Nickname"),
        **_plain("contacts", Form.TEXT, "CompanyName"),
        **_entries(
            "EmailAddresses", "contacts:EmailAddress", "EmailAddress1", "EmailAddress2", "EmailAddress3"
        ),
        **_addresses("Business", "Home"),
        **_entries(
            "PhoneNumbers",
            "contacts:PhoneNumber",
            *("BusinessFax", "BusinessPhone", "HomePhone", "MobilePhone", "OtherTelephone"),
        ),
        **_plain("contacts", Form.MOMENT, "Birthday"),
        **_plain(
            "contacts", Form.TEXT, "BusinessHomePage", "Department", "Generation", "JobTitle", "Surname"
        ),
        **_plain("contacts", Form.MOMENT, "WeddingAnniversary"),
    },
    Kind.APPOINTMENT: {
        **COMMON,
        **_plain("item", Form.FLAG, "ReminderIsSet"),
        **_plain("item", Form.NUMBER, "ReminderMinutesBeforeStart"),
        REMINDED: _own("reminder"),
        **_plain("calendar", Form.TEXT, "UID"),
        **_plain("calendar", Form.MOMENT, "Start", "End"),
        **_plain("calendar", Form.FLAG, "IsAllDayEvent"),
        **_plain("calendar", Form.TEXT, "LegacyFreeBusyStatus", "Location", "CalendarItemType"),
        **_plain("calendar", Form.PEOPLE, "Organizer", "RequiredAttendees", "OptionalAttendees"),
        **_plain("calendar", Form.ZONE, "StartTimeZone", "EndTimeZone"),
    },
    Kind.TASK: {
        **COMMON,
        **_plain("item", Form.MOMENT, "ReminderDueBy"),
        **_plain("item", Form.FLAG, "ReminderIsSet"),
        **_plain("task", Form.MOMENT, "CompleteDate", "DueDate"),
        **_plain("task", Form.FLAG, "IsRecurring"),
        **_plain("task", Form.NUMBER, "PercentComplete"),
        **_plain("task", Form.MOMENT, "StartDate"),
        **_plain("task", Form.TEXT, "Status"),
    },
    Kind.EMAIL: {
        **_plain("item", Form.TEXT, "MimeContent"),
        **_plain("item", Form.MOMENT, "DateTimeReceived"),
        **_plain("item", Form.NUMBER, "Size"),
        **_plain("item", Form.WORDS, "Categories"),
        **_plain("item", Form.TEXT, "InReplyTo"),
        FLAG: _tagged("0x1090", "Integer"),
        MESSAGE_FLAGS: _tagged("0x0e07", "Integer"),
        SEARCH_KEY: COMMON[SEARCH_KEY],
        **_plain("message", Form.TEXT, "InternetMessageId", "References"),
    },
}
OF_FOLDERS: Final[Mapping[str, Place]] = {
    COMMITTED: _tagged("0x670a", "SystemTime"),
    REMOVED: _tagged("0x670b", "Integer"),
}
