"""Messages that carry no data and no grant: something has happened in the CRM, so its accounts are looked at early.

A plain webhook names accounts, or nobody. A Salesforce outbound message (the SOAP envelope that a workflow rule or a
flow sends) names records: whoever is linked to one of them, or owns it, is woken; where nobody is known, everybody is.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from lxml import etree

from crmsync.config.exchange import Credential
from crmsync.daemon.adaptor.messages import document, texts
from crmsync.daemon.adaptor.refusals import Refusal, Rule
from crmsync.daemon.turns import Turns

LARGEST = 1024 * 1024  # bytes; an outbound message has up to a hundred notifications
MOST = 100  # notifications, says Salesforce
_SOAP = "{http://schemas.xmlsoap.org/soap/envelope/}"
_OUTBOUND = "{http://soap.sforce.com/2005/09/outbound}"
_SHORT_ID = 15  # an id is the same with and without its three letters of checksum

ACKNOWLEDGED = (
    b'<?xml version="1.0" encoding="UTF-8"?>\n'
    b'<soapenv:Envelope xmlns:soapenv="http://schemas.xmlsoap.org/soap/envelope/"><soapenv:Body>'
    b'<notificationsResponse xmlns="http://soap.sforce.com/2005/09/outbound"><Ack>true</Ack></notificationsResponse>'
    b"</soapenv:Body></soapenv:Envelope>"
)


@dataclass(frozen=True, slots=True)
class Outbound:
    organisation: str
    records: tuple[str, ...]
    owners: tuple[str, ...] = ()


def outbound(body: bytes) -> Outbound:
    """Raises Refusal. Of the fields that come along none is read but the owner's id: what is in the CRM is asked of the
    CRM. The session id, which such a message may hold, is not even looked at."""
    root = _parsed(body)
    if root.tag != f"{_SOAP}Envelope":
        raise _malformed("it is no SOAP envelope")
    told = root.findall(f"{_SOAP}Body/{_OUTBOUND}notifications")
    if len(told) != 1:
        raise _malformed("it is no outbound message")
    notifications = told[0].findall(f"{_OUTBOUND}Notification")
    if not 1 <= len(notifications) <= MOST:
        raise _malformed(f"an outbound message has 1 to {MOST} notifications")
    objects = [n.find(f"{_OUTBOUND}sObject") for n in notifications]
    return Outbound(
        organisation=(told[0].findtext(f"{_OUTBOUND}OrganizationId") or "").strip(),
        records=_ids(objects, "Id"),
        owners=_ids(objects, "OwnerId"),
    )


def _parsed(body: bytes) -> etree._Element:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        raise _malformed("the body is not XML") from None
    about: Any = root.getroottree().docinfo
    if about.internalDTD is not None or about.doctype:
        raise _malformed("a document type has no place in a message")
    return root


def _ids(objects: Iterable[etree._Element | None], name: str) -> tuple[str, ...]:
    """Whatever namespace the organisation's objects have."""
    found = [
        (child.text or "").strip()
        for one in objects
        if one is not None
        for child in one
        if isinstance(child.tag, str) and etree.QName(child).localname == name
    ]
    return tuple(dict.fromkeys(id for id in found if id.isascii() and id.isalnum() and len(id) in (15, 18)))


def named(body: bytes) -> tuple[str, ...]:
    """The accounts that a webhook names; none: all. Raises Refusal."""
    if not body.strip():
        return ()
    return texts(document(body).get("accounts", []), "accounts")  # whatever else it says is not for us


@dataclass(slots=True)
class Wakeups:
    turns: Turns
    soon: Callable[[str], None]

    def webhook(self, body: bytes, credential: Credential) -> list[str]:
        """Whom it has woken. Raises Refusal."""
        accounts = named(body)
        if strange := [a for a in accounts if not credential.covers(a)]:
            raise Refusal(Rule.ACCOUNT, f"this credential may not wake account “{strange[0][:64]}”")
        return self._wake(accounts, credential)

    def outbound(self, body: bytes, credential: Credential) -> list[str]:
        """Likewise."""
        message = outbound(body)
        if credential.organisation is None:
            raise Refusal(Rule.ORGANISATION, "this credential is of no organisation: `organisation` names it")
        if message.organisation[:_SHORT_ID] != credential.organisation[:_SHORT_ID]:
            raise Refusal(Rule.ORGANISATION, "it comes from another organisation")
        return self._wake(self._concerned(message), credential)

    def _concerned(self, message: Outbound) -> Sequence[str]:
        with self.turns.looking() as engine, engine.state.reading() as tx:
            linked = {pair.account for id in message.records for pair in tx.pairs.find(id)}
            owners = {id[:_SHORT_ID] for id in message.owners}
            for account in engine.accounts.values():
                user, _ = account.crm.users.get(account.crm_user, ("", None))
                if user and user[:_SHORT_ID] in owners:
                    linked.add(account.name)
        return sorted(linked)

    def _wake(self, accounts: Sequence[str], credential: Credential) -> list[str]:
        """Nobody named: everybody."""
        with self.turns.looking() as engine:
            known = list(engine.accounts)
        woken = [name for name in known if credential.covers(name) and (not accounts or name in accounts)]
        for name in woken:
            self.soon(name)
        return woken


def _malformed(sentence: str) -> Refusal:
    return Refusal(Rule.MALFORMED, sentence)
