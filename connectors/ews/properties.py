"""Properties of Exchange's items, whatever transports them: name -> value.

The names are those of the EWS schema, with the key of an entry and the part of an address behind a slash
(``PhoneNumbers/MobilePhone``, ``PhysicalAddresses/Home/City``). ``None``, and a name that is absent, mean that the item
does not have the property. Times are aware and in UTC; a time zone is its Windows name.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import TypeAlias

Property: TypeAlias = str | bool | int | datetime | tuple[str, ...] | None
Properties: TypeAlias = Mapping[str, Property]

# Our own: named properties (strings) under a GUID of our own. They never travel with an invitation.
LINK = "crmsync-link"  # the link stamp
AGREED = "crmsync-agreed"  # what both sides agreed on when the stamp was written
KEY = "crmsync-key"  # what the engine called the item when it made it
REMINDED = "crmsync-reminder"  # a reminder that Exchange cannot hold as it is: see reminder.py
SEARCH_KEY = "SearchKey"  # MS-OXCPRPT 2.2.1.9: given by the server, kept when the item is moved
FLAG = "FlagStatus"  # MS-OXOFLAG 2.2.1.1, of every version: EWS itself shows flags from Exchange 2013 on
FLAGGED, DEALT_WITH = "2", "1"
MESSAGE_FLAGS = "MessageFlags"  # MS-OXCMSG 2.2.1.6: without it, what is made is a draft
SENT_AND_READ = "1"
COMMITTED = "LocalCommitTimeMax"  # MS-OXCFOLD: of a folder, when anything in it changed last
REMOVED = "DeletedCountTotal"  # MS-OXCFOLD: of a folder, how much has left it so far
PREFIX = "DisplayNamePrefix"  # MAPI 0x3A45: EWS shows it in CompleteName only, which cannot be written


class Malformed(ValueError):
    """What the server says of an item cannot be; ``rule`` is the sentence for the operator."""

    def __init__(self, rule: str) -> None:
        super().__init__(rule)
        self.rule = rule


def text(properties: Properties, name: str) -> str:
    value = properties.get(name)
    return value if isinstance(value, str) else ""


def moment(properties: Properties, name: str) -> datetime | None:
    value = properties.get(name)
    return value if isinstance(value, datetime) else None
