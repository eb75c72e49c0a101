"""Is this a person's user name and password? SOAP's login() says, and who that is. No connected app is needed.

SOAP API Developer Guide, "login()". Salesforce answers it in the versions of the API up to 64.0.
"""

from dataclasses import dataclass
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.connectors.errors import AuthExpired, ProtocolError, Throttled, Unreachable
from crmsync.connectors.http import Http
from crmsync.connectors.salesforce import soap
from crmsync.connectors.salesforce.soql import id18, is_id

PATH = "/services/Soap/u/59.0"
_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Person:
    """Who logged in; texts as the CRM writes them."""

    organisation: str
    user: str
    username: str
    organisation_name: str
    name: str
    email: str
    profile: str
    language: str
    locale: str
    time_zone: str


def log_in(http: Http, url: str, username: str, password: str) -> Person:
    """Raises AuthExpired when the CRM refuses, and what `Http` raises."""
    answer = http.request(
        "POST",
        url.rstrip("/") + PATH,
        body=_message(username, password),
        headers={"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'},
        limit=_MOST,
    )
    told = _texts(answer.body)
    if answer.status == 200:
        return _person(told)
    code = told.get("exceptionCode", "")
    if code == "LOGIN_RATE_EXCEEDED":
        raise Throttled("the CRM counts too many logins", retry_after=60.0)
    if code in _REFUSALS:
        raise AuthExpired("the CRM does not accept this user name and password")
    if answer.status >= 500 and not code:
        raise Unreachable(f"the CRM could not handle the login (status {answer.status})")
    raise ProtocolError(f"the CRM answered the login with status {answer.status}")


_REFUSALS = frozenset(
    {
        "INVALID_LOGIN", "LOGIN_MUST_USE_SECURITY_TOKEN", "INACTIVE_OWNER_OR_USER", "PASSWORD_LOCKOUT",
        "RESTRICTED_IP_ADDRESS", "API_DISABLED_FOR_ORG", "API_CURRENTLY_DISABLED", "INVALID_SSO_GATEWAY_URL",
        "ORG_LOCKED", "PASSWORD_EXPIRED",
    }
)  # fmt: skip


def _message(username: str, password: str) -> bytes:
    given = f"<n:username>{escape(username)}</n:username><n:password>{escape(password)}</n:password>"
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Body>'
        f'<n:login xmlns:n="urn:partner.soap.sforce.com">{given}</n:login></e:Body></e:Envelope>'
    ).encode("utf-8", "replace")


def _texts(body: bytes) -> dict[str, str]:
    """The text of each element, by local name; the first counts."""
    root = soap.parsed(body)
    if root is None:
        return {}
    found: dict[str, str] = {}
    for element in root.iter(etree.Element):
        found.setdefault(str(etree.QName(element).localname), (element.text or "").strip())
    return found


def _person(told: dict[str, str]) -> Person:
    organisation, user = told.get("organizationId", ""), told.get("userId", "")
    if not is_id(organisation) or not is_id(user):
        raise ProtocolError("the CRM answered the login in a form that we do not understand")
    names = ("userName", "organizationName", "userFullName", "userEmail", "profileId", "userLanguage",
             "userLocale", "userTimeZone")  # fmt: skip
    return Person(id18(organisation), id18(user), *(told.get(name, "") for name in names))
