"""What Exchange takes out of a message that it is given, or that arrives."""

import base64
from email import message_from_bytes, policy
from email.utils import parsedate_to_datetime

from lxml import etree

from tests.servers.ews.place import Item
from tests.servers.ews.schema import T
from tests.servers.ews.settling import stamp

_HEADERS = {"Subject": "Subject", "Message-ID": "InternetMessageId", "In-Reply-To": "InReplyTo"}


def fill(item: Item, data: bytes) -> None:
    content = etree.Element(T + "MimeContent", CharacterSet="UTF-8")
    content.text = base64.b64encode(data).decode()
    item.fields["MimeContent"] = content
    message = message_from_bytes(data, policy=policy.compat32)
    for header, field in {**_HEADERS, "References": "References"}.items():
        if message[header]:
            item.put(field, " ".join(str(message[header]).split()))
    try:
        sent = parsedate_to_datetime(message["Date"])
    except (TypeError, ValueError):
        sent = item.created
    item.put("DateTimeSent", stamp(sent))
    item.put("DateTimeReceived", stamp(item.created))
