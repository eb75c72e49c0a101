"""POST /services/Soap/u/XX.0: which operation answers a message, for whom, and faults."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Reply
from crmsync.daemon.crm_api.soap import describing, identity, reading, wire, writing
from crmsync.daemon.crm_api.soap.session import Soap
from crmsync.daemon.crm_api.soap.wire import Message
from crmsync.state.replica.faults import Fault
from crmsync.state.replica.sessions import LoginRefused, TooManyAttempts
from crmsync.state.replica.soql import SoqlError

__all__ = ["Endpoint"]

_VERSION = re.compile(r"\d{1,3}(?:\.0)?")
Operation = Callable[[Soap, Message], Any]

OPERATIONS: Mapping[str, Operation] = {
    "getUserInfo": identity.user_info,
    "getServerTimestamp": identity.timestamp,
    "logout": identity.log_out,
    "invalidateSessions": identity.invalidate,
    "describeGlobal": describing.describe_global,
    "describeSObject": describing.describe_object,
    "describeSObjects": describing.describe_objects,
    "describeLayout": describing.describe_layout,
    "describeTabs": describing.describe_tabs,
    "query": reading.query,
    "queryAll": reading.query_all,
    "queryMore": reading.query_more,
    "search": reading.search,
    "retrieve": reading.retrieve,
    "getUpdated": reading.updated,
    "getDeleted": reading.deleted,
    "create": writing.create,
    "update": writing.update,
    "upsert": writing.upsert,
    "delete": writing.delete,
    "undelete": writing.undelete,
    "emptyRecycleBin": writing.empty_recycle_bin,
    "merge": writing.merge,
    "convertLead": writing.convert_lead,
}
_XML = {"Content-Type": "text/xml;charset=UTF-8"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    crm: Crm

    def answer(
        self, path: tuple[str, ...], body: Callable[[], bytes], origin: str, address: str = ""
    ) -> Reply:
        """`body` gives what was sent, unzipped; raises Fault."""
        try:
            message = wire.parse(body())
            url = self._server_url(path, origin)
            return Reply(
                200, wire.envelope(self._response(message, url, origin, address), self._limits()), _XML
            )
        except Fault as fault:
            return self.refused(fault)

    @staticmethod
    def refused(fault: Fault) -> Reply:
        cause = fault.__cause__
        place = (cause.row, cause.column) if isinstance(cause, SoqlError) else None
        return Reply(500, wire.fault(fault.code, fault.message, place), _XML)

    def _response(self, message: Message, url: str, origin: str, address: str) -> str:
        if message.operation == "login":
            result = self._login(message, url, address)
        else:
            operation = OPERATIONS.get(message.operation)
            if operation is None:
                raise Fault("INVALID_OPERATION", f"the operation {message.operation[:80]} is not supported")
            result = operation(self._soap(message, url, origin), message)
        content = "" if result is None else wire.to_xml("result", result)
        return f"<{message.operation}Response>{content}</{message.operation}Response>"

    def _soap(self, message: Message, url: str, origin: str) -> Soap:
        token = message.headers.get("SessionHeader/sessionId", "").strip()
        session = self.crm.sessions.use(token)
        if session is None:
            raise Fault("INVALID_SESSION_ID", "Invalid Session ID found in SessionHeader: Illegal Session")
        if not self.crm.usage.count():
            raise Fault("REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")
        return Soap(self.crm, session.caller, token, url, origin, message.headers)

    def _login(self, message: Message, url: str, address: str) -> dict[str, Any]:
        try:
            user_id = self.crm.sessions.log_in(message.text("username"), message.text("password"), address)
            token = self.crm.sessions.open(user_id)
        except TooManyAttempts:
            raise Fault("LOGIN_RATE_EXCEEDED", "Login rate exceeded; wait a minute and try again") from None
        except LoginRefused:
            what = "Invalid username, password, security token; or user locked out."
            raise Fault("INVALID_LOGIN", what) from None
        url = f"{url.rpartition('/')[0]}/{self.crm.org.id[:15]}"  # the very first login to a replica tells it
        return {
            "metadataServerUrl": url.replace("/Soap/u/", "/Soap/m/"),
            "passwordExpired": False,
            "sandbox": False,
            "serverUrl": url,
            "sessionId": token,
            "userId": user_id,
            "userInfo": identity.info(self.crm, user_id),
        }

    def _server_url(self, path: tuple[str, ...], origin: str) -> str:
        version = path[3] if len(path) > 3 and _VERSION.fullmatch(path[3]) else "59.0"
        return f"{origin}/services/Soap/u/{version}/{self.crm.org.id[:15]}"

    def _limits(self) -> str:
        usage = self.crm.usage
        info = {"current": usage.used, "limit": usage.limit, "type": "API REQUESTS"}
        return wire.to_xml("LimitInfoHeader", {"limitInfo": info})
