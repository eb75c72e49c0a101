"""The REST conversation with one organisation: session, requests, queries, describe. Safe to use from several threads.

It logs in before the first request, once more when the session has run out (401), and repeats nothing else.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crmsync.connectors import nodes
from crmsync.connectors.dates import http_date
from crmsync.connectors.errors import AuthExpired, ProtocolError
from crmsync.connectors.http import Http, Response, TooLarge, Transport, verified
from crmsync.connectors.salesforce import auth as oauth
from crmsync.connectors.salesforce import soap
from crmsync.connectors.salesforce.describe import Schema, parse
from crmsync.connectors.salesforce.faults import failure
from crmsync.connectors.salesforce.soql import encoded, id18, is_id

Row = Mapping[str, object]  # one record as the REST API writes it

_MAX_NODES = 2_000_000  # values of one answer; 2,000 rows have a tenth of that, and the commas in their texts
_USAGE = re.compile(r"api-usage=(\d+)/(\d+)")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    data: object  # the parsed JSON; None: no body
    at: datetime | None  # the server's clock when it took the request at the latest; None: it did not say
    told: datetime | None  # as it told it with the answer: whole seconds, renewed once a second


@dataclass(frozen=True, slots=True)
class QueryPage:
    rows: Sequence[Row]
    total: int  # rows of the whole query
    at: datetime | None  # as in Answer
    last: bool


@dataclass(slots=True)
class _Login:
    """What the threads share; guarded by ``lock``."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    session: oauth.Session | None = None
    attempts: int = 0
    refusal: AuthExpired | None = None


class Client:
    def __init__(
        self,
        url: str,
        auth: oauth.Auth,
        *,
        api_version: str = "59.0",
        ca_file: str | None = None,
        verify: bool = True,
        timeout: float = 60.0,
        now: Callable[[], datetime],
        transport: Transport | None = None,
    ) -> None:
        """``timeout``: seconds without a byte from the server. ``transport``: what carries the requests, if it is not
        the network."""
        if not re.fullmatch(r"[0-9]{2,3}\.[0-9]", api_version):
            raise ValueError(f"{api_version!r} is no API version such as 59.0")
        self.url = url.rstrip("/")
        self.root = f"/services/data/v{api_version}"
        self.usage = 0.0  # share of the organisation's daily requests that is used up, as last told
        self._auth, self._ca_file, self._verify, self._now = auth, ca_file, verify, now
        self._timeout, self._transport = timeout, transport
        self._https = {self.url: self._http(self.url)}  # by address
        self._login = _Login()
        self._schemas: dict[str, Schema] = {}
        self._schema_lock = threading.Lock()

    # ── Session ──────────────────────────────────────────────────────────────────────────────────────────────

    def session(self) -> oauth.Session:
        """The session, logging in first where there is none."""
        attempts = self._login.attempts
        return self._login.session or self._renewed(None, attempts)

    def _renewed(self, stale: oauth.Session | None, attempts: int) -> oauth.Session:
        """A session other than ``stale``, which was in use when there had been so many ``attempts``. Of many threads
        that need one, a single one logs in; if it is refused, none of the others tries the same password again:
        organisations lock users out."""
        login = self._login
        with login.lock:
            if login.session is not None and login.session is not stale:
                return login.session
            if login.attempts != attempts and login.refusal is not None:
                raise AuthExpired(login.refusal.message, hint=login.refusal.hint)
            login.attempts += 1
            login.session = login.refusal = None
            try:
                session = oauth.log_in(self._https[self.url], self.url, self._auth, self._now)
            except AuthExpired as refusal:
                login.refusal = refusal
                raise
            if session.instance not in self._https:
                self._https[session.instance] = self._http(session.instance)
            login.session = session
            return session

    def _http(self, address: str) -> Transport:
        verify = verified(self._verify, self.url, address)
        return self._transport or Http(
            address, ca_file=self._ca_file, verify=verify, timeout=self._timeout, now=self._now
        )

    def who(self) -> tuple[str, str]:
        """Ids of the organisation and of the user we are, 18 characters each."""
        session = self.session()
        if session.organisation:
            return session.organisation, session.user
        info = self.get("/services/oauth2/userinfo", "the login").data
        told = (
            [str(info.get(k) or "") for k in ("organization_id", "user_id")] if isinstance(info, dict) else []
        )
        if len(told) != 2 or not all(is_id(t) for t in told):
            raise ProtocolError("the CRM does not say which organisation and user the login belongs to")
        return id18(told[0]), id18(told[1])

    # ── Requests ─────────────────────────────────────────────────────────────────────────────────────────────

    def get(self, path: str, what: str, headers: Mapping[str, str] | None = None) -> Answer:
        return self.call("GET", path, what, headers=headers)

    def call(
        self,
        method: str,
        path: str,
        what: str,
        *,
        body: object = None,
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset({200, 201, 204}),
    ) -> Answer:
        """One request below the instance, authorised. ``what`` names it in errors; a status that is not in ``accept``
        raises what ``faults.failure`` makes of it."""
        sent = None if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "replace")
        session = self.session()
        attempts = self._login.attempts
        response, took = self._send(session, method, path, sent, headers)
        if response.status == 401:
            response, took = self._send(self._renewed(session, attempts), method, path, sent, headers)
        if response.status == 401:
            raise AuthExpired(
                "the CRM does not accept the session that it has just opened",
                hint="is the API switched on for this user, and this network in its login range?",
            )
        data = _json(response, what)
        if response.status in accept:
            told = http_date(response.headers.get("Date"))
            return Answer(response.status, data, None if told is None else told - took, told)
        raise failure(response.status, data, what)

    def soap(self, message: Callable[[str], bytes], what: str) -> bytes:
        """One SOAP request of the partner API, which `message` writes for a session's token; the answer."""
        session = self.session()
        attempts = self._login.attempts
        status, body = self._post_soap(session, message)
        refused = None if status == 200 else soap.fault(body)
        if refused is not None and refused.code == "INVALID_SESSION_ID":
            status, body = self._post_soap(self._renewed(session, attempts), message)
            refused = None if status == 200 else soap.fault(body)
        if status == 200:
            return body
        if refused is None or refused.code == "UNKNOWN_EXCEPTION":
            raise failure(status, None, what)
        # SOAP answers every refusal with 500, which says nothing of the server's health
        raise failure(400, {"errorCode": refused.code, "message": refused.message}, what)

    def _post_soap(self, session: oauth.Session, message: Callable[[str], bytes]) -> tuple[int, bytes]:
        version = self.root.rpartition("/v")[2]
        response = self._https[session.instance].request(
            "POST",
            f"{session.instance}/services/Soap/u/{version}",
            body=message(session.token),
            headers={"Content-Type": "text/xml; charset=UTF-8", "SOAPAction": '""'},
        )
        return response.status, response.body

    def _send(
        self,
        session: oauth.Session,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str] | None,
    ) -> tuple[Response, timedelta]:
        """The response, and how long the whole exchange took."""
        given = {"Authorization": f"Bearer {session.token}", "Accept": "application/json", **(headers or {})}
        if body is not None:
            given["Content-Type"] = "application/json; charset=UTF-8"
        begun = self._now()
        response = self._https[session.instance].request(
            method, session.instance + path, body=body, headers=given
        )
        if used := _USAGE.search(response.headers.get("Sforce-Limit-Info", "")):
            self.usage = int(used[1]) / max(int(used[2]), 1)
        return response, max(self._now() - begun, timedelta(0))

    # ── Queries ──────────────────────────────────────────────────────────────────────────────────────────────

    def query(self, soql: str, what: str, *, deleted: bool = False) -> Iterator[QueryPage]:
        """The pages of a query, complete or an exception; ``deleted``: with what lies in the recycle bin, and archived
        activities. Raises ``InvalidField`` and ``Malformed`` with the first page only."""
        verb = "queryAll" if deleted else "query"
        path = f"{self.root}/{verb}?q={encoded(soql)}"
        count = 0
        while path:
            answer = self.get(path, what)
            page, following = _query_page(answer, what)
            count += len(page.rows)
            if following and (not page.rows or following == path):
                raise ProtocolError(f"the CRM's listing of {what} does not come to an end")
            if not following and count != page.total:
                raise ProtocolError(f"the CRM announced {page.total} rows of {what} and sent {count}")
            yield page
            path = following

    def rows(self, soql: str, what: str, *, deleted: bool = False) -> Iterator[Row]:
        for page in self.query(soql, what, deleted=deleted):
            yield from page.rows

    def describe(self, table: str, *, again: bool = False) -> Schema:
        """What ``table`` can hold; asked once, or ``again``."""
        with self._schema_lock:
            if again or table not in self._schemas:
                answer = self.get(f"{self.root}/sobjects/{table}/describe", table)
                self._schemas[table] = parse(answer.data)
            return self._schemas[table]

    def described(self, table: str) -> Schema | None:
        """What is known of ``table`` without asking."""
        return self._schemas.get(table)

    # ── Upkeep ───────────────────────────────────────────────────────────────────────────────────────────────

    def requests(self) -> int:
        return sum(http.requests for http in list(self._https.values()))

    def clock_offset(self) -> timedelta:
        session = self._login.session
        return self._https[session.instance if session else self.url].clock_offset

    def close(self) -> None:
        for http in list(self._https.values()):
            http.close()


def _json(response: Response, what: str) -> object:
    if not response.body:
        return None
    if nodes.in_json(response.body) > _MAX_NODES:
        raise TooLarge(f"the CRM's answer for {what} has more than {_MAX_NODES} parts")
    try:
        value: object = json.loads(response.body)
    except (ValueError, RecursionError) as error:
        if response.status >= 300:
            return None  # a proxy's error page: the status says enough
        raise ProtocolError(f"the CRM's answer for {what} is no JSON") from error
    return value


def _query_page(answer: Answer, what: str) -> tuple[QueryPage, str]:
    """A page and the address of the next one, empty for the last."""
    data = answer.data
    if not isinstance(data, dict):
        raise ProtocolError(f"the CRM's listing of {what} has an unknown form")
    rows, total, done = data.get("records"), data.get("totalSize"), data.get("done")
    if not isinstance(rows, list) or not isinstance(total, int) or not all(isinstance(r, dict) for r in rows):
        raise ProtocolError(f"the CRM's listing of {what} has an unknown form")
    following = str(data.get("nextRecordsUrl") or "")
    if not done and not following.startswith("/"):
        raise ProtocolError(f"the CRM's listing of {what} breaks off without an address for the rest")
    return QueryPage(rows, total, answer.at, bool(done)), "" if done else following
