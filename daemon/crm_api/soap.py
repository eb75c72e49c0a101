"""The one SOAP call that REST clients make: `login` (partner WSDL), for simple-salesforce's password log-in."""

import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from lxml import etree

from crmsync.daemon.crm_api.bodies import unzip
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.state.replica.sessions import LoginRefused, TooManyAttempts

__all__ = ["answer"]

ENVELOPE = "http://schemas.xmlsoap.org/soap/envelope/"
PARTNER = "urn:partner.soap.sforce.com"
FAULT = "urn:fault.partner.soap.sforce.com"
MOST_BYTES = 100_000
_VERSION = re.compile(r"\d{1,3}(?:\.0)?")


def answer(crm: Crm, path: tuple[str, ...], body: bytes, headers: Mapping[str, str], origin: str) -> Reply:
    """POST /services/Soap/u/XX.0"""
    version = path[3] if len(path) > 3 and _VERSION.fullmatch(path[3]) else "59.0"
    plain = unzip(body, headers.get("content-encoding", ""))
    login = _login(plain) if len(plain) <= MOST_BYTES else None
    if login is None:
        return _fault(
            "INVALID_OPERATION", "This endpoint answers login only; everything else is in the REST API"
        )
    try:
        user_id = crm.sessions.log_in(*login)
        token = crm.sessions.open(user_id)
    except TooManyAttempts:
        return _fault("LOGIN_RATE_EXCEEDED", "Login rate exceeded; wait a minute and try again")
    except LoginRefused:
        what = "Invalid username, password, security token; or user locked out."
        return _fault("INVALID_LOGIN", what)
    return _logged_in(crm, user_id, token, f"{origin}/services/Soap/u/{version}/{crm.org.id[:15]}")


def _login(body: bytes) -> tuple[str, str] | None:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False)
    try:
        root = etree.fromstring(body, parser)
    except etree.XMLSyntaxError:
        return None
    login = root.find(f"{{{ENVELOPE}}}Body/{{*}}login")
    if login is None:
        return None
    username, password = login.findtext("{*}username"), login.findtext("{*}password")
    return username or "", password or ""


def _logged_in(crm: Crm, user_id: str, token: str, server_url: str) -> Reply:
    user = crm.store.read(crm.store.caller(user_id), "User", user_id)
    info = {
        "organizationId": crm.org.id,
        "organizationName": crm.org.name,
        "profileId": user["ProfileId"],
        "userEmail": user["Email"],
        "userFullName": user["Name"],
        "userId": user_id,
        "userLanguage": user["LanguageLocaleKey"],
        "userLocale": user["LocaleSidKey"],
        "userName": user["Username"],
        "userTimeZone": user["TimeZoneSidKey"],
        "userType": "Standard",
    }
    lines = "".join(f"<{name}>{escape(str(value))}</{name}>" for name, value in info.items())
    return _envelope(
        200,
        f'<loginResponse xmlns="{PARTNER}"><result><metadataServerUrl>{escape(server_url)}</metadataServerUrl>'
        "<passwordExpired>false</passwordExpired><sandbox>false</sandbox>"
        f"<serverUrl>{escape(server_url)}</serverUrl><sessionId>{escape(token)}</sessionId>"
        f"<userId>{user_id}</userId><userInfo>{lines}</userInfo></result></loginResponse>",
    )


def _fault(code: str, message: str) -> Reply:
    return _envelope(
        500,
        f"<soapenv:Fault><faultcode>sf:{code}</faultcode><faultstring>{code}: {escape(message)}</faultstring>"
        f'<detail><sf:LoginFault xsi:type="sf:LoginFault"><sf:exceptionCode>{code}</sf:exceptionCode>'
        f"<sf:exceptionMessage>{escape(message)}</sf:exceptionMessage></sf:LoginFault></detail></soapenv:Fault>",
    )


def _envelope(status: int, body: str) -> Reply:
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?><soapenv:Envelope xmlns:soapenv="{ENVELOPE}" xmlns:sf="{FAULT}" '
        f'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><soapenv:Body>{body}</soapenv:Body>'
        "</soapenv:Envelope>"
    )
    return Reply(status, text.encode(), {"Content-Type": "text/xml;charset=UTF-8"})
