"""The operations about people and the server itself."""

from exchangelib.winzone import MS_TIMEZONE_TO_IANA_MAP
from lxml import etree

from tests.servers.ews.answers import message
from tests.servers.ews.folders import Caller
from tests.servers.ews.place import Place, Refusal
from tests.servers.ews.schema import Element, M, T

_FOLDERS = {"Calendar": "calendar", "Tasks": "tasks", "Inbox": "inbox", "Contacts": "contacts"}


class Directory:
    def __init__(self, place: Place) -> None:
        self.place = place

    def convert_id(self, caller: Caller, request: Element) -> list[Element]:
        """Asked by clients only to hear which version the server has."""
        sources = request.find(M + "SourceIds")
        return [
            message("ConvertId", error=Refusal("ErrorInvalidIdMalformed", "Id is malformed."))
            for _ in sources
        ]

    def get_server_time_zones(self, caller: Caller, request: Element) -> list[Element]:
        wanted = {e.text for e in request.iter(T + "Id")} or set(MS_TIMEZONE_TO_IANA_MAP)
        zones = etree.Element(M + "TimeZoneDefinitions")
        for id in sorted(set(MS_TIMEZONE_TO_IANA_MAP) & wanted):
            etree.SubElement(zones, T + "TimeZoneDefinition", Id=id, Name=id)
        return [message("GetServerTimeZones", zones)]

    def resolve_names(self, caller: Caller, request: Element) -> list[Element]:
        sought = (request.findtext(M + "UnresolvedEntry") or "").casefold()
        found = [
            m
            for m in self.place.mailboxes.values()
            if sought and (m.address.startswith(sought) or m.name.casefold().startswith(sought))
        ]
        if not found:
            return [
                message(
                    "ResolveNames", error=Refusal("ErrorNameResolutionNoResults", "No results were found.")
                )
            ]
        answer = etree.Element(
            M + "ResolutionSet", TotalItemsInView=str(len(found)), IncludesLastItemInRange="true"
        )
        for mailbox in found:
            box = etree.SubElement(etree.SubElement(answer, T + "Resolution"), T + "Mailbox")
            etree.SubElement(box, T + "Name").text = mailbox.name
            etree.SubElement(box, T + "EmailAddress").text = mailbox.address
            etree.SubElement(box, T + "RoutingType").text = "SMTP"
            etree.SubElement(box, T + "MailboxType").text = "Mailbox"
        result = message("ResolveNames", answer)
        if len(found) > 1:
            result.set("ResponseClass", "Warning")
            code = result.find(M + "ResponseCode")
            assert code is not None
            code.text = "ErrorNameResolutionMultipleResults"
        return [result]

    def get_delegate(self, caller: Caller, request: Element) -> list[Element]:
        address = (request.findtext(f"{M}Mailbox/{T}EmailAddress") or "").lower()
        mailbox = self.place.mailboxes.get(address)
        if mailbox is None or caller.user != address:
            raise Refusal("ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        people = sorted({user for folder in mailbox.folders.values() for user in folder.rights})
        return [self._delegate(address, user) for user in people]

    def _delegate(self, address: str, user: str) -> Element:
        mailbox = self.place.mailboxes[address]
        answer = message("DelegateUserResponseMessageType")
        answer.tag = M + "DelegateUserResponseMessageType"
        delegate = etree.SubElement(answer, M + "DelegateUser")
        who = etree.SubElement(delegate, T + "UserId")
        etree.SubElement(who, T + "PrimarySmtpAddress").text = user
        levels = etree.SubElement(delegate, T + "DelegatePermissions")
        for title, known in _FOLDERS.items():
            level = etree.SubElement(levels, f"{T}{title}FolderPermissionLevel")
            level.text = mailbox.known(known).rights.get(user, "None")
        etree.SubElement(delegate, T + "ReceiveCopiesOfMeetingMessages").text = "false"
        etree.SubElement(delegate, T + "ViewPrivateItems").text = "false"
        return answer
