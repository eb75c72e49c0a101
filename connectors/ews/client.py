"""The transport: requests to one Exchange server through exchangelib. Nothing else here knows that library.

Taken from it are the envelope, the negotiation of versions, NTLM and the reading of SOAP faults; its services are
subclassed, because its own classes for items fill in what the server did not say, check what it did say against rules
of their own, and give up a whole batch over one item. Not taken are its retries (the engine decides), its cache of
connections (one per address and password, whatever the rest of the configuration says) and its forgiving parser, to
which a broken answer is a short one.
"""

import logging
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import requests
from exchangelib import DELEGATE, IMPERSONATION
from exchangelib import UTC as EWS_UTC
from exchangelib.account import Identity
from exchangelib.configuration import Configuration
from exchangelib.errors import (
    ErrorIncorrectSchemaVersion,
    ErrorInvalidRequest,
    ErrorInvalidSchemaVersionForMailboxVersion,
    ErrorInvalidServerVersion,
    ErrorServerBusy,
    EWSError,
    SOAPError,
)
from exchangelib.services.common import EWSAccountService
from exchangelib.transport import NOAUTH
from exchangelib.util import MNS, SOAPNS
from exchangelib.version import EXCHANGE_2013_SP1, Version
from lxml import etree
from urllib3.exceptions import HTTPError

from crmsync.connectors import nodes
from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError
from crmsync.connectors.ews.auth import ClientCredentials, Login, Tokens, authenticator
from crmsync.connectors.ews.faults import conversation
from crmsync.connectors.ews.sessions import Meter, Once, Options, Sessions, in_our_words
from crmsync.connectors.ews.wire import Element, M, T
from crmsync.connectors.http import TooLarge, unreachable, verified

# It logs requests and answers with all that is in them: at DEBUG always, at ERROR when something unforeseen happens.
logging.getLogger("exchangelib").setLevel(logging.CRITICAL + 1)


@dataclass(frozen=True, slots=True)
class Answer:
    """One response message."""

    code: str  # NoError, or the error's
    text: str
    back_off: float | None  # seconds
    element: Element

    @property
    def ok(self) -> bool:
        return self.code == "NoError"


class Exchange:
    """One login, in the name of one mailbox. Safe to use from several threads."""

    def __init__(
        self, url: str, login: Login, *, impersonate: str = "", options: Options | None = None
    ) -> None:
        self.options = options or Options()
        self.url = url
        self.where = _origin(url)
        self.meter = Meter(self.options.now)
        self._login = login
        self._impersonate = impersonate
        o = self.options
        self._tokens = (
            Tokens(login, ca_file=o.ca_file, verify=verified(o.verify, url, login.token_url), now=o.now)
            if isinstance(login, ClientCredentials)
            else None
        )
        self._account = self._opened(o)

    def call(self, operation: str, payload: Element, *, large: bool = False) -> list[Answer]:
        """One exchange. Raises what the whole of it failed with; each message in it is the caller's to judge.
        ``large``: a single text of the answer may have more than ten million characters."""
        try:
            return self._called(operation, payload, large=large)
        except AuthExpired:
            if self._tokens is None:
                raise
            self._tokens.forget()  # one that was withdrawn; the request was not looked at
            return self._called(operation, payload, large=large)

    def each(self, operation: str, payload: Element, count: int, *, large: bool = False) -> list[Answer]:
        """For requests about several things: a message for each of them, in their order."""
        answers = self.call(operation, payload, large=large)
        if len(answers) != count:
            raise ProtocolError(f"{self.where} answers {operation} for {len(answers)} of {count}")
        return answers

    def one(self, operation: str, payload: Element) -> Element:
        """For requests about one thing: its message, or the exception that it stands for."""
        (answer,) = self.each(operation, payload, 1)
        if not answer.ok:
            raise self.error(answer)
        return answer.element

    def error(self, answer: Answer) -> ConnectorError:
        return conversation(answer.code, answer.text, self.where, back_off=answer.back_off)

    def stream(self, operation: str, payload: Element, *, timeout: float) -> Iterator[bytes]:
        """The pieces of an answer that stays open, over a connection of its own; closed with the iterator."""
        account = self._opened(replace(self.options, connections=1, endless=True))
        service = _service(operation)(account=account, timeout=timeout)
        service.streaming = True
        try:
            with _translated(self.where):
                response = service._get_response(payload=payload, api_version=account.version.api_version)
                response.raw.decode_content = True
                yield from response.iter_content(4096)
        finally:
            service.stop_streaming()
            account.protocol.close()

    def close(self) -> None:
        self._account.protocol.close()
        if self._tokens:
            self._tokens.close()

    def _opened(self, options: Options) -> "_Account":
        config = Configuration(
            service_endpoint=self.url,
            auth_type=NOAUTH,
            retry_policy=Once(self.where, options.now),
            max_connections=options.connections,
        )
        protocol = Sessions(
            config, options, self.meter, lambda: authenticator(self._login, self._tokens), self.where
        )
        return _Account(protocol, self._impersonate)

    def _called(self, operation: str, payload: Element, *, large: bool) -> list[Answer]:
        with _translated(self.where):
            messages = _service(operation)(account=self._account).exchanged(payload, large=large)
        self._account.settled = True
        return [_answer(message) for message in messages]


_OTHER_VERSION = (
    ErrorIncorrectSchemaVersion,
    ErrorInvalidRequest,
    ErrorInvalidSchemaVersionForMailboxVersion,
    ErrorInvalidServerVersion,
)


class _Account:
    """What exchangelib's services ask of an account."""

    def __init__(self, protocol: "Sessions", impersonate: str) -> None:
        self.protocol = protocol
        self.primary_smtp_address = impersonate
        self.identity = Identity(primary_smtp_address=impersonate) if impersonate else None
        self.access_type = IMPERSONATION if impersonate else DELEGATE
        self.version = Version(build=EXCHANGE_2013_SP1)  # until the server has said its own
        self.settled = False  # the server has taken a request of this version
        self.affinity_cookie = None
        self.default_timezone = EWS_UTC  # all times travel in UTC


class _Service(EWSAccountService):  # type: ignore[misc]  # exchangelib has no types
    def _extra_headers(self) -> dict[str, str]:
        return {"X-AnchorMailbox": a} if (a := self.account.primary_smtp_address) else {}

    def exchanged(self, payload: Element, *, large: bool) -> list[Element]:
        """The response messages. Other versions are tried before the first success only, and what is raised in the end
        is what the server said: ErrorInvalidRequest has many other reasons, too."""
        refused: EWSError | None = None
        for version in self._api_versions_to_try():
            response = self._get_response(payload=payload, api_version=version)
            header, body = _soap_parts(response, large=large)
            if header is not None:
                self._update_api_version(api_version=version, header=header)
            try:
                return list(self._get_soap_messages(body=body))
            except _OTHER_VERSION as error:
                refused = error
                if self.account.settled:
                    break
        assert refused is not None
        raise refused

    @classmethod
    def _get_soap_parts(cls, response: Any) -> tuple[Element | None, Element]:
        return _soap_parts(response, large=False)


def _soap_parts(response: Any, *, large: bool) -> tuple[Element | None, Element]:
    root = _parsed(response.content, large=large)
    body = root.find(f"{{{SOAPNS}}}Body")
    if body is None:
        raise ProtocolError("the server answers with XML that is no SOAP")
    return root.find(f"{{{SOAPNS}}}Header"), body


def _service(operation: str) -> type[_Service]:
    return type(operation, (_Service,), {"SERVICE_NAME": operation})


def _answer(message: Element) -> Answer:
    code = message.findtext(f"{{{MNS}}}ResponseCode") or ""
    if message.get("ResponseClass") == "Success" and not code:
        code = "NoError"
    back_off = None
    for value in message.iterfind(f"{M}MessageXml/{T}Value"):
        if value.get("Name") == "BackOffMilliseconds" and (value.text or "").strip().isdigit():
            back_off = int(value.text.strip()[:9]) / 1000
    return Answer(code, message.findtext(M + "MessageText") or "", back_off, message)


# ── XML ──────────────────────────────────────────────────────────────────────────────────────────────────────────

_MAX_NODES = 1_000_000  # elements and attributes of one answer, which may be of 500 items
_ILLEGAL = re.compile(rb"&#(?:0*(?:[0-8]|1[124-9]|2\d|3[01])|[xX]0*(?:[0-8bcBC]|[eEfF]|1[0-9a-fA-F]));")
_DECLARED = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml[^>]{0,100}?encoding=[\"']utf-8[\"']|[A-Za-z])", re.IGNORECASE
)
_CONTROL = re.compile(b"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def _parsed(data: bytes, *, large: bool) -> Element:
    """Strictly: an answer that was cut off must not look like a short one. Exchange itself writes characters that XML
    forbids, when they stand in an item (seen in all versions); they become question marks."""
    if nodes.in_xml(data) > _MAX_NODES:
        raise TooLarge(f"the server's answer has more than {_MAX_NODES} parts")
    large = large and _has_no_doctype(data)
    for attempt in (data, _CONTROL.sub(b"?", _ILLEGAL.sub(b"?", data))):
        parser = etree.XMLParser(
            resolve_entities=False, no_network=True, load_dtd=False, huge_tree=large, encoding="utf-8"
        )
        try:
            root = etree.fromstring(attempt, parser)
        except (etree.XMLSyntaxError, ValueError):
            continue
        if etree.ElementTree(root).docinfo.doctype:  # type: ignore[attr-defined]
            raise ProtocolError("the server answers with a DOCTYPE, which SOAP has none of")
        return root
    raise ProtocolError("the server answers with what is no XML, or not the whole of it")


def _has_no_doctype(data: bytes) -> bool:
    """For certain. A parser that takes texts of any length takes entities of any size as well."""
    head = _DECLARED.match(data)
    return head is not None and b"<!DOCTYPE" not in data


class _translated:
    """exchangelib's exceptions as ours; ours pass."""

    def __init__(self, where: str) -> None:
        self._where = where

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        match error:
            case ErrorServerBusy():
                pause = error.back_off
                raise conversation("ErrorServerBusy", str(error), self._where, back_off=pause) from error
            case SOAPError():
                raise ProtocolError(f"{self._where} answers with a SOAP fault") from error
            case EWSError():
                raise conversation(type(error).__name__, str(error), self._where) from error
            case requests.RequestException():
                raise in_our_words(self._where, error) from error
            case HTTPError():
                raise unreachable(self._where, error) from error


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
