"""What a request must look like: which elements stand in which, and in which order.

The order is that of Microsoft's published schema (types.xsd, messages.xsd of EWS), cut down to what is used here; with
``CRMSYNC_EWS_XSD`` (a folder that holds those two files) every request is validated against the schema itself.
"""

import os
from functools import cache
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

from lxml import etree

S = "{http://schemas.xmlsoap.org/soap/envelope/}"
M = "{http://schemas.microsoft.com/exchange/services/2006/messages}"
T = "{http://schemas.microsoft.com/exchange/services/2006/types}"
E = "{http://schemas.microsoft.com/exchange/services/2006/errors}"

Element = etree._Element


def words(text: str) -> list[str]:
    return text.split()


_ITEM = words("""
    MimeContent ItemId ParentFolderId ItemClass Subject Sensitivity Body Attachments DateTimeReceived Size
    Categories Importance InReplyTo IsSubmitted IsDraft IsFromMe IsResend IsUnmodified InternetMessageHeaders
    DateTimeSent DateTimeCreated ResponseObjects ReminderDueBy ReminderIsSet ReminderNextTime
    ReminderMinutesBeforeStart DisplayCc DisplayTo DisplayBcc HasAttachments ExtendedProperty Culture
    EffectiveRights LastModifiedName LastModifiedTime IsAssociated WebClientReadFormQueryString
    WebClientEditFormQueryString ConversationId UniqueBody Flag StoreEntryId InstanceKey NormalizedBody
    EntityExtractionResult PolicyTag ArchiveTag RetentionDate Preview RightsManagementLicenseData
    PredictedActionReasons IsClutter BlockStatus HasBlockedImages TextBody
""")

_CONTACT = words("""
    FileAs FileAsMapping DisplayName GivenName Initials MiddleName Nickname CompleteName CompanyName
    EmailAddresses AbchEmailAddresses PhysicalAddresses PhoneNumbers AssistantName Birthday BusinessHomePage
    Children Companies ContactSource Department Generation ImAddresses JobTitle Manager Mileage OfficeLocation
    PostalAddressIndex Profession SpouseName Surname WeddingAnniversary HasPicture PhoneticFullName
    PhoneticFirstName PhoneticLastName Alias Notes Photo UserSMIMECertificate MSExchangeCertificate DirectoryId
    ManagerMailbox DirectReports
""")

_CALENDARITEM = words("""
    UID RecurrenceId DateTimeStamp Start End OriginalStart IsAllDayEvent LegacyFreeBusyStatus Location When
    IsMeeting IsCancelled IsRecurring MeetingRequestWasSent IsResponseRequested CalendarItemType MyResponseType
    Organizer RequiredAttendees OptionalAttendees Resources InboxReminders ConflictingMeetingCount
    AdjacentMeetingCount ConflictingMeetings AdjacentMeetings Duration TimeZone AppointmentReplyTime
    AppointmentSequenceNumber AppointmentState Recurrence FirstOccurrence LastOccurrence ModifiedOccurrences
    DeletedOccurrences MeetingTimeZone StartTimeZone EndTimeZone ConferenceType AllowNewTimeProposal
    IsOnlineMeeting MeetingWorkspaceUrl NetShowUrl EnhancedLocation StartWallClock EndWallClock StartTimeZoneId
    EndTimeZoneId IntendedFreeBusyStatus JoinOnlineMeetingUrl OnlineMeetingSettings IsOrganizer
""")

_TASK = words("""
    ActualWork AssignedTime BillingInformation ChangeCount Companies CompleteDate Contacts DelegationState
    Delegator DueDate IsAssignmentEditable IsComplete IsRecurring IsTeamTask Mileage Owner PercentComplete
    Recurrence StartDate Status StatusDescription TotalWork
""")

_MESSAGE = words("""
    Sender ToRecipients CcRecipients BccRecipients IsReadReceiptRequested IsDeliveryReceiptRequested
    ConversationIndex ConversationTopic From InternetMessageId IsRead IsResponseRequested References ReplyTo
    ReceivedBy ReceivedRepresenting
""")

_MEETINGMESSAGE = [
    *_MESSAGE,
    *words("AssociatedCalendarItemId IsDelegated IsOutOfDate HasBeenProcessed ResponseType UID"),
]

_DISTRIBUTIONLIST = words("""
    DisplayName FileAs ContactSource Members
""")

MEETINGS = ("MeetingMessage", "MeetingRequest", "MeetingResponse", "MeetingCancellation")  # they are mail
ITEMS = {
    "Contact": [*_ITEM, *_CONTACT],
    "CalendarItem": [*_ITEM, *_CALENDARITEM],
    "Task": [*_ITEM, *_TASK],
    "Message": [*_ITEM, *_MESSAGE],
    **{n: [*_ITEM, *_MEETINGMESSAGE] for n in MEETINGS},
    "DistributionList": [*_ITEM, *_DISTRIBUTIONLIST],
    "Item": _ITEM,
}
FOLDER = words("""
    FolderId ParentFolderId FolderClass DisplayName TotalCount ChildFolderCount ExtendedProperty
    ManagedFolderInformation EffectiveRights DistinguishedFolderId PermissionSet UnreadCount
""")

_PATHS = ["FieldURI", "IndexedFieldURI", "ExtendedFieldURI"]
_TESTS = words("""
    Contains Excludes Exists IsEqualTo IsNotEqualTo IsGreaterThan IsGreaterThanOrEqualTo IsLessThan IsLessThanOrEqualTo
    And Not Or
""")
_FOLDER_IDS = ["FolderId", "DistinguishedFolderId"]
_ITEM_IDS = ["ItemId", "OccurrenceItemId", "RecurringMasterItemId"]

# Element -> what may stand in it, in this order; {"any": …}: in any order, as often as wanted.
_CONTENT: dict[str, list[str] | dict[str, list[str]]] = {
    **ITEMS,
    "GetFolder": ["FolderShape", "FolderIds"],
    "FindFolder": ["FolderShape", "IndexedPageFolderView", "Restriction", "ParentFolderIds"],
    "FindItem": [
        "ItemShape",
        "IndexedPageItemView",
        "CalendarView",
        "Restriction",
        "SortOrder",
        "ParentFolderIds",
        "QueryString",
    ],
    "SyncFolderItems": [
        "ItemShape",
        "SyncFolderId",
        "SyncState",
        "Ignore",
        "MaxChangesReturned",
        "SyncScope",
    ],
    "GetItem": ["ItemShape", "ItemIds"],
    "CreateItem": ["SavedItemFolderId", "Items"],
    "UpdateItem": ["SavedItemFolderId", "ItemChanges"],
    "DeleteItem": ["ItemIds"],
    "CreateFolder": ["ParentFolderId", "Folders"],
    "ParentFolderId": _FOLDER_IDS,
    "Folders": {"any": ["Folder"]},
    "Folder": FOLDER,
    "MoveItem": ["ToFolderId", "ItemIds", "ReturnNewItemIds"],
    "GetDelegate": ["Mailbox", "UserIds"],
    "ResolveNames": ["ParentFolderIds", "UnresolvedEntry"],
    "Subscribe": ["StreamingSubscriptionRequest"],
    "Unsubscribe": ["SubscriptionId"],
    "GetStreamingEvents": ["SubscriptionIds", "ConnectionTimeout"],
    "CreateAttachment": ["ParentItemId", "Attachments"],
    "GetAttachment": ["AttachmentShape", "AttachmentIds"],
    "ConvertId": ["SourceIds"],
    "GetServerTimeZones": ["Ids"],
    "StreamingSubscriptionRequest": ["FolderIds", "EventTypes"],
    "SubscriptionIds": {"any": ["SubscriptionId"]},
    "EventTypes": {"any": ["EventType"]},
    "FolderShape": ["BaseShape", "AdditionalProperties"],
    "ItemShape": [
        "BaseShape",
        "IncludeMimeContent",
        "BodyType",
        "FilterHtmlContent",
        "AdditionalProperties",
    ],
    "AttachmentShape": ["IncludeMimeContent", "BodyType", "FilterHtmlContent", "AdditionalProperties"],
    "AdditionalProperties": {"any": _PATHS},
    "FolderIds": {"any": _FOLDER_IDS},
    "ParentFolderIds": {"any": _FOLDER_IDS},
    "SyncFolderId": _FOLDER_IDS,
    "SavedItemFolderId": _FOLDER_IDS,
    "ToFolderId": _FOLDER_IDS,
    "DistinguishedFolderId": ["Mailbox"],
    "Mailbox": ["Name", "EmailAddress", "RoutingType", "MailboxType", "ItemId"],
    "ItemIds": {"any": _ITEM_IDS},
    "Ignore": {"any": _ITEM_IDS},
    "Items": {"any": [*ITEMS]},
    "ItemChanges": {"any": ["ItemChange"]},
    "ItemChange": [*_ITEM_IDS, "Updates"],
    "Updates": {"any": ["AppendToItemField", "SetItemField", "DeleteItemField"]},
    "SetItemField": [*_PATHS, *ITEMS],
    "DeleteItemField": _PATHS,
    "ExtendedProperty": ["ExtendedFieldURI", "Value", "Values"],
    "Values": {"any": ["Value"]},
    "Categories": {"any": ["String"]},
    "Children": {"any": ["String"]},
    "Companies": {"any": ["String"]},
    "EmailAddresses": {"any": ["Entry"]},
    "PhoneNumbers": {"any": ["Entry"]},
    "ImAddresses": {"any": ["Entry"]},
    "PhysicalAddresses": {"any": ["Entry"]},
    "Entry": ["Street", "City", "State", "CountryOrRegion", "PostalCode"],
    "RequiredAttendees": {"any": ["Attendee"]},
    "OptionalAttendees": {"any": ["Attendee"]},
    "Resources": {"any": ["Attendee"]},
    "Attendee": ["Mailbox", "ResponseType", "LastResponseTime"],
    "ToRecipients": {"any": ["Mailbox"]},
    "CcRecipients": {"any": ["Mailbox"]},
    "BccRecipients": {"any": ["Mailbox"]},
    "From": ["Mailbox"],
    "Sender": ["Mailbox"],
    "Attachments": {"any": ["ItemAttachment", "FileAttachment"]},
    "FileAttachment": words("""
        AttachmentId Name ContentType ContentId ContentLocation Size LastModifiedTime IsInline IsContactPhoto Content
    """),
    "AttachmentIds": {"any": ["AttachmentId"]},
    "Restriction": _TESTS,
    "And": {"any": _TESTS},
    "Or": {"any": _TESTS},
    "Not": _TESTS,
    "Contains": [*_PATHS, "Constant"],
    "Exists": _PATHS,
    **{name: [*_PATHS, "FieldURIOrConstant"] for name in _TESTS if name.startswith("Is")},
    "FieldURIOrConstant": [*_PATHS, "Constant"],
    "SortOrder": {"any": ["FieldOrder"]},
    "FieldOrder": _PATHS,
    "Recurrence": words("""
        RelativeYearlyRecurrence AbsoluteYearlyRecurrence RelativeMonthlyRecurrence AbsoluteMonthlyRecurrence
        WeeklyRecurrence DailyRecurrence DailyRegeneration WeeklyRegeneration MonthlyRegeneration YearlyRegeneration
        NoEndRecurrence EndDateRecurrence NumberedRecurrence
    """),
    "AbsoluteMonthlyRecurrence": ["Interval", "DayOfMonth"],
    "RelativeMonthlyRecurrence": ["Interval", "DaysOfWeek", "DayOfWeekIndex"],
    "AbsoluteYearlyRecurrence": ["DayOfMonth", "Month"],
    "RelativeYearlyRecurrence": ["DaysOfWeek", "DayOfWeekIndex", "Month"],
    "WeeklyRecurrence": ["Interval", "DaysOfWeek", "FirstDayOfWeek"],
    "DailyRecurrence": ["Interval"],
    "NoEndRecurrence": ["StartDate"],
    "EndDateRecurrence": ["StartDate", "EndDate"],
    "NumberedRecurrence": ["StartDate", "NumberOfOccurrences"],
    "UserIds": {"any": ["UserId"]},
    "UserId": ["SID", "PrimarySmtpAddress", "DisplayName", "DistinguishedUser", "ExternalUserIdentity"],
    "SourceIds": {"any": ["AlternateId"]},
    "Ids": {"any": ["Id"]},
    "StartTimeZone": ["Periods", "TransitionsGroups", "Transitions"],
    "EndTimeZone": ["Periods", "TransitionsGroups", "Transitions"],
}
_WORDS = {
    "Sensitivity": {"Normal", "Personal", "Private", "Confidential"},
    "Importance": {"Low", "Normal", "High"},
    "LegacyFreeBusyStatus": {"Free", "Tentative", "Busy", "OOF", "WorkingElsewhere", "NoData"},
    "Status": {"NotStarted", "InProgress", "Completed", "WaitingOnOthers", "Deferred"},
    "BaseShape": {"IdOnly", "Default", "AllProperties"},
    "BodyType": {"Best", "HTML", "Text"},
}
_MUST = {  # attributes
    "ItemId": ("Id",),
    "FolderId": ("Id",),
    "OccurrenceItemId": ("RecurringMasterId", "InstanceIndex"),
    "DistinguishedFolderId": ("Id",),
    "FieldURI": ("FieldURI",),
    "IndexedFieldURI": ("FieldURI", "FieldIndex"),
    "ExtendedFieldURI": ("PropertyType",),
    "Body": ("BodyType",),
    "FindItem": ("Traversal",),
    "FindFolder": ("Traversal",),
    "DeleteItem": ("DeleteType",),
    "UpdateItem": ("ConflictResolution",),
    "Constant": ("Value",),
    "Entry": ("Key",),
}


class Violation(Exception):
    """ErrorSchemaValidation."""


def check(request: Element) -> None:
    """Raises Violation for what a server of Microsoft's refuses before it looks at the request's meaning."""
    if folder := os.environ.get("CRMSYNC_EWS_XSD"):
        schema = _schema(folder)
        if not schema.validate(request):
            raise Violation(str(schema.error_log.last_error))
    _check(request)


@cache
def _schema(folder: str) -> etree.XMLSchema:
    """As published, but for two things that libxml2 does not take: an import without a place, and a sequence of
    elements that may each stand for the others."""
    types = (Path(folder) / "types.xsd").read_text("utf-8-sig")
    types = types.replace(
        f'import namespace="{_XML}"/>', f'import namespace="{_XML}" schemaLocation="xml.xsd"/>'
    )
    begin = types.index("<xs:sequence>", types.index('name="ArrayOfTransitionsType"'))
    end = types.index("</xs:sequence>", begin)
    any_of_them = '<xs:element ref="t:Transition" minOccurs="0" maxOccurs="unbounded"/>'
    types = f"{types[:begin]}<xs:sequence>{any_of_them}{types[end:]}"
    with TemporaryDirectory() as made:
        (Path(made) / "types.xsd").write_text(types, "utf-8")
        (Path(made) / "xml.xsd").write_text(_LANG, "utf-8")
        messages = (Path(folder) / "messages.xsd").read_text("utf-8-sig")
        (Path(made) / "messages.xsd").write_text(messages, "utf-8")
        return etree.XMLSchema(etree.parse(Path(made) / "messages.xsd"))


_XML = "http://www.w3.org/XML/1998/namespace"
_LANG = f"""<xs:schema targetNamespace="{_XML}" xmlns:xs="http://www.w3.org/2001/XMLSchema">
<xs:attribute name="lang" type="xs:language"/></xs:schema>"""


def name(element: Element) -> str:
    return str(etree.QName(element).localname)


def _check(element: Element) -> None:
    here = name(element)
    content = _CONTENT.get(here)
    children = [child for child in element if isinstance(child.tag, str)]
    for attribute in _MUST.get(here, ()):
        if element.get(attribute) is None:
            raise Violation(f"The required attribute '{attribute}' is missing from the element '{here}'.")
    if here in _WORDS and (element.text or "") not in _WORDS[here]:
        raise Violation(f"The '{here}' element is invalid - The value '{element.text}' is invalid.")
    if children and content is None:
        raise Violation(f"The element '{here}' cannot contain child element '{name(children[0])}'.")
    if isinstance(content, dict):
        _among(here, children, content["any"])
    elif content is not None:
        _in_order(here, children, content)
    for child in children:
        _check(child)


def _among(here: str, children: list[Element], known: list[str]) -> None:
    for child in children:
        if name(child) not in known:
            raise Violation(f"The element '{here}' has invalid child element '{name(child)}'.")


def _in_order(here: str, children: list[Element], order: list[str]) -> None:
    _among(here, children, order)
    repeatable = {"ExtendedProperty", "UnresolvedEntry"}
    for before, after in pairwise(children):
        one, two = order.index(name(before)), order.index(name(after))
        if two < one or (one == two and name(after) not in repeatable):
            raise Violation(f"The element '{here}' has invalid child element '{name(after)}' there.")
