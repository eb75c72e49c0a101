"""Which object holds items of a kind, and which of its fields a column, unless the configuration says otherwise."""

from collections.abc import Mapping

from crmsync.connectors.contract import Kind
from crmsync.connectors.salesforce import mail_fields as mail
from crmsync.connectors.salesforce.invited import FILES, INVITED

TABLES: Mapping[Kind, str] = {
    Kind.CONTACT: "Contact",
    Kind.APPOINTMENT: "Event",
    Kind.TASK: "Task",
    Kind.EMAIL: "EmailMessage",
}
OWNERLESS = frozenset({Kind.EMAIL})  # their objects have no OwnerId

_PLACE = {
    "street": "Street",
    "city": "City",
    "region": "State",
    "postal_code": "PostalCode",
    "country": "Country",
}

DEFAULT_FIELDS: Mapping[Kind, Mapping[str, str]] = {
    Kind.CONTACT: {
        "prefix": "Salutation",
        "first_name": "FirstName",
        "middle_name": "MiddleName",
        "last_name": "LastName",
        "suffix": "Suffix",
        "company": "Account.Name",  # a parent's: read only
        "department": "Department",
        "job_title": "Title",
        "email": "Email",
        "phone_work": "Phone",
        "phone_mobile": "MobilePhone",
        "phone_home": "HomePhone",
        "phone_fax": "Fax",
        "phone_other": "OtherPhone",
        **{f"address_work_{c}": f"Mailing{f}" for c, f in _PLACE.items()},
        **{f"address_home_{c}": f"Other{f}" for c, f in _PLACE.items()},
        "birthday": "Birthdate",
        "notes": "Description",
    },
    Kind.APPOINTMENT: {
        "subject": "Subject",
        "location": "Location",
        "description": "Description",
        "start": "StartDateTime",
        "end": "EndDateTime",
        "all_day": "IsAllDayEvent",
        "show_as": "ShowAs",
        "sensitivity": "IsPrivate",
        "reminder": "ReminderDateTime",
        "attendees": INVITED,
        "attachments": FILES,
    },
    Kind.TASK: {
        "subject": "Subject",
        "description": "Description",
        "due": "ActivityDate",
        "status": "Status",
        "priority": "Priority",
        "activity": "TaskSubtype",  # and Type: see ``activity.activity_of``
        "completed_at": "CompletedDateTime",  # set by the server: read only
        "reminder": "ReminderDateTime",
        "direction": "CallType",
        "duration": "CallDurationInSeconds",
        "disposition": "CallDisposition",
        "call_id": "CallObject",
    },
    Kind.EMAIL: {
        "subject": "Subject",
        "body_text": "TextBody",
        "body_html": "HtmlBody",
        "from": "FromAddress",
        "to": "ToAddress",
        "cc": "CcAddress",
        "sent_at": "MessageDate",
        "message_id": "MessageIdentifier",
        "thread": "ThreadIdentifier",
        "direction": "Incoming",
        "status": "Status",
        "regarding": mail.ABOUT,
    },
}
