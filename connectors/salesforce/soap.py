"""What Salesforce has in SOAP only: the envelope, and convertLead of the partner WSDL. Bytes and values, no I/O."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.connectors import nodes
from crmsync.connectors.contract import Done, Outcome
from crmsync.connectors.errors import ProtocolError
from crmsync.connectors.http import TooLarge
from crmsync.connectors.salesforce import faults
from crmsync.connectors.salesforce.soql import clean, id18, is_id

LEADS = 100  # of one call (SOAP API Developer Guide, "convertLead()")
_MAX_NODES = 1_000_000  # elements and attributes of one answer
_ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
_PARTNER = "urn:partner.soap.sforce.com"


class Conversion(Protocol):
    """What is asked for; ids that are None mean a new record."""

    @property
    def lead(self) -> str: ...

    @property
    def status(self) -> str: ...

    @property
    def account(self) -> str | None: ...

    @property
    def contact(self) -> str | None: ...

    @property
    def opportunity(self) -> str | None: ...

    @property
    def opportunity_name(self) -> str | None: ...

    @property
    def create_opportunity(self) -> bool: ...

    @property
    def overwrite_source(self) -> bool: ...

    @property
    def owner(self) -> str | None: ...


def convert_lead(token: str, leads: Sequence[Conversion]) -> bytes:
    """The elements stand in the WSDL's order, nobody is sent an e-mail."""
    body = "".join(f"<leadConverts>{''.join(_elements(_lead(each)))}</leadConverts>" for each in leads)
    return envelope(token, f"<convertLead>{body}</convertLead>")


def envelope(token: str, body: str) -> bytes:
    """`body`: XML, whose unprefixed elements are the partner API's."""
    return (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{_ENVELOPE}" xmlns="{_PARTNER}">'
        f"<soapenv:Header><SessionHeader><sessionId>{escape(token)}</sessionId></SessionHeader></soapenv:Header>"
        f"<soapenv:Body>{body}</soapenv:Body></soapenv:Envelope>"
    ).encode("utf-8", "replace")


def _lead(asked: Conversion) -> dict[str, str | bool | None]:
    return {
        "accountId": asked.account,
        "contactId": asked.contact,
        "convertedStatus": asked.status,
        "doNotCreateOpportunity": not asked.create_opportunity,
        "leadId": asked.lead,
        "opportunityId": asked.opportunity,
        "opportunityName": asked.opportunity_name,
        "overwriteLeadSource": asked.overwrite_source,
        "ownerId": asked.owner,
        "sendNotificationEmail": False,
    }


def _elements(values: Mapping[str, str | bool | None]) -> Iterator[str]:
    for name, value in values.items():
        if value is not None:
            shown = str(value).lower() if isinstance(value, bool) else escape(clean(value))
            yield f"<{name}>{shown}</{name}>"


# ── Answers ──────────────────────────────────────────────────────────────────────────────────────────────────


def fault(body: bytes) -> faults.Fault | None:
    """What an answer refuses the whole message for; None: it is none that we know."""
    root = parsed(body)
    found = None if root is None else next(named(root, "Fault"), None)
    if found is None:
        return None
    code = text(found, "exceptionCode") or text(found, "faultcode").rpartition(":")[2]
    return faults.Fault(code[:80], text(found, "exceptionMessage") or text(found, "faultstring"))


def outcomes(body: bytes, leads: Sequence[Conversion]) -> list[Outcome]:
    """One for each lead, in order."""
    root = parsed(body)
    results = [] if root is None else list(named(root, "result"))
    if len(results) != len(leads):
        raise ProtocolError("the CRM did not say what became of each lead")
    return [_outcome(asked.lead, result) for asked, result in zip(leads, results, strict=True)]


def _outcome(lead: str, result: etree._Element) -> Outcome:
    if text(result, "success") in ("true", "1"):
        told = text(result, "leadId")
        return Done(id18(told) if is_id(told) else lead, "")
    return faults.outcome(lead, errors(result))


def errors(result: etree._Element) -> list[faults.Fault]:
    """Why it is no success."""
    said = [
        {
            "statusCode": text(each, "statusCode"),
            "message": text(each, "message"),
            "fields": [field.text or "" for field in named(each, "fields")],
        }
        for each in named(result, "errors")
    ]
    return faults.faults(said)


def parsed(body: bytes) -> etree._Element | None:
    """None: it is no XML. Raises TooLarge."""
    if nodes.in_xml(body) > _MAX_NODES:
        raise TooLarge(f"the CRM's answer has more than {_MAX_NODES} parts")
    parser = etree.XMLParser(
        resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8"
    )
    try:
        return etree.fromstring(body, parser)
    except (etree.XMLSyntaxError, ValueError):
        return None


def named(element: etree._Element, name: str) -> Iterator[etree._Element]:
    """Whatever prefix the server has chosen."""
    return (e for e in element.iter() if isinstance(e.tag, str) and etree.QName(e).localname == name)


def text(element: etree._Element, name: str) -> str:
    return next((e.text or "" for e in named(element, name)), "").strip()
