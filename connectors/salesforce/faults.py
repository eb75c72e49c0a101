"""Salesforce's error codes told apart: what ends the conversation, and what becomes of one row. Pure.

Codes: SOAP API Developer Guide, "Core Data Types, StatusCode". Messages are not passed on, except where they cannot
hold a record's content: several repeat the refused value in full.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from crmsync.connectors.contract import Deferred, Outcome, Refused, Stale
from crmsync.connectors.errors import (
    ConnectorError,
    Forbidden,
    NotFound,
    ProtocolError,
    Throttled,
    Unreachable,
)
from crmsync.connectors.told import brief


@dataclass(frozen=True, slots=True)
class Fault:
    code: str
    message: str
    fields: tuple[str, ...] = ()


class InvalidField(ProtocolError):
    """A query or write names a field that the object does not have for this login."""


class Inapplicable(ProtocolError):
    """An operator's condition names a field that the object does not have for this login."""


class Malformed(ProtocolError):
    """The server refuses a request as a whole (400): one of its rows, or the request itself, is at fault."""

    def __init__(self, message: str, fault: Fault, *, hint: str = "") -> None:
        super().__init__(message, hint=hint)
        self.fault = fault


_NONE = Fault("", "")


def faults(reply: object) -> list[Fault]:
    """The errors of a REST reply (``errorCode``) or of one row of a collections reply (``statusCode``)."""
    rows = reply if isinstance(reply, list) else [reply]
    return [_fault(row) for row in rows if isinstance(row, Mapping)]


def _fault(row: Mapping[str, object]) -> Fault:
    code = row.get("errorCode") or row.get("statusCode") or row.get("error") or ""
    fields = row.get("fields")
    named = tuple(str(f) for f in fields) if isinstance(fields, list) else ()
    return Fault(_word(code), str(row.get("message") or ""), tuple(_word(f) for f in named))


def _word(text: object) -> str:
    return re.sub(r"[^\w.]", "", str(text))[:80]


def failure(status: int, reply: object, what: str) -> ConnectorError:
    """The exception for an answer that is no success. ``what``: the object or address, for the sentence."""
    fault = next(iter(faults(reply)), _NONE)
    said = f"{status} {fault.code}".strip()
    if fault.code == "REQUEST_LIMIT_EXCEEDED":
        return Throttled("the CRM's request limit for this organisation is used up", retry_after=900.0)
    if status >= 500 or fault.code in _BUSY:
        return Unreachable(f"the CRM failed on {what} ({said})")
    if fault.code == "INVALID_FIELD":
        return InvalidField(
            f"the CRM knows no {_column(fault)} in {what}", hint="see the mapping and crm_select"
        )
    if fault.code == "INVALID_TYPE":
        return NotFound(f"the CRM has no {what} for this login", hint="its user needs access to the object")
    if status == 403:
        return Forbidden(f"the CRM does not allow {what} ({said})", hint=_FORBIDDEN.get(fault.code, ""))
    if status == 404:
        return NotFound(f"the CRM does not know {what} ({said})", hint="check url and api_version")
    if status == 400:
        return Malformed(f"the CRM does not accept the request for {what} ({said})", fault)
    return ProtocolError(f"the CRM answered {what} with {said}")


_BUSY = frozenset({"QUERY_TIMEOUT", "SERVER_UNAVAILABLE", "REQUEST_RUNNING_TOO_LONG", "UNABLE_TO_LOCK_ROW"})
_FORBIDDEN = {
    "API_DISABLED_FOR_ORG": "this edition of the CRM comes without API access",
    "API_CURRENTLY_DISABLED": "the API is switched off for this user: see the user's profile",
}


def _column(fault: Fault) -> str:
    """The column that a message of the form "No such column 'X' on entity 'Y'" names."""
    found = re.search(r"No such column '([\w.]{1,80})'", fault.message)
    return f"column {found[1]}" if found else "such column"


# ── One row ──────────────────────────────────────────────────────────────────────────────────────────────────

_LATER = frozenset(
    {
        "UNABLE_TO_LOCK_ROW",
        "REQUEST_LIMIT_EXCEEDED",
        "REQUEST_RUNNING_TOO_LONG",
        "SERVER_UNAVAILABLE",
        "STORAGE_LIMIT_EXCEEDED",
        "ALL_OR_NONE_OPERATION_ROLLED_BACK",
        "PROCESSING_HALTED",
        "OPERATION_TOO_LARGE",
        "QUERY_TIMEOUT",
    }
)
_ROW_LATER = _LATER - {"REQUEST_LIMIT_EXCEEDED", "SERVER_UNAVAILABLE"}
_ABSENT = frozenset({"ENTITY_IS_DELETED", "NOT_FOUND", "INVALID_CROSS_REFERENCE_KEY", "MALFORMED_ID"})
_REFUSED: Mapping[str, tuple[str, str]] = {
    "STRING_TOO_LONG": ("too_long", "is longer than the CRM's field"),
    "REQUIRED_FIELD_MISSING": ("required", "must not be empty in the CRM"),
    "INSUFFICIENT_ACCESS_OR_READONLY": ("forbidden", "may not be written with the CRM login"),
    "INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY": (
        "forbidden",
        "points to a record closed to the CRM login",
    ),
    "INVALID_FIELD_FOR_INSERT_UPDATE": ("read_only", "cannot be written in the CRM"),
    "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY": ("rule", "is refused by a trigger in the CRM"),
    "CANNOT_EXECUTE_FLOW_TRIGGER": ("rule", "is refused by a flow in the CRM"),
    "FIELD_CUSTOM_VALIDATION_EXCEPTION": ("rule", "breaks a validation rule of the CRM"),
    "FIELD_FILTER_VALIDATION_EXCEPTION": ("rule", "does not pass a lookup filter of the CRM"),
    "DUPLICATES_DETECTED": ("duplicate", "looks like a record that the CRM has already"),
    "DUPLICATE_VALUE": ("duplicate", "has a value that another record of the CRM has already"),
    "DUPLICATE_EXTERNAL_ID": ("duplicate", "stands in the CRM more than once"),
    "INVALID_EMAIL_ADDRESS": ("invalid", "is no e-mail address to the CRM"),
    "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST": ("invalid", "is none of the values that the CRM allows"),
    "BAD_CUSTOM_ENTITY_PARENT_DOMAIN": ("invalid", "is not valid in the CRM"),
    "INACTIVE_OWNER_OR_USER": ("owner", "would belong to an inactive user of the CRM"),
    "DELETE_FAILED": ("in_use", "cannot be deleted: other records of the CRM need it"),
    "DELETE_OPERATION_TOO_LARGE": ("in_use", "cannot be deleted: too many records of the CRM depend on it"),
}


def concerns_row(fault: Fault) -> bool:
    """Whether a code says something of one record, and nothing of the conversation."""
    return fault.code in _REFUSED or fault.code in _ABSENT or fault.code in _ROW_LATER


def outcome(item: str, given: Sequence[Fault]) -> Outcome:
    """What became of a row that was not written. ``item``: its id, or the key of a create."""
    fault = given[0] if given else _NONE
    if fault.code in _LATER:
        return Deferred(item, f"the CRM is busy with this record ({fault.code})")
    if fault.code in _ABSENT and not fault.fields:
        return Stale(item)
    code, why = _REFUSED.get(fault.code, (fault.code.lower() or "refused", "is refused by the CRM"))
    return Refused(item, code, _sentence(fault, why))


def _sentence(fault: Fault, why: str) -> str:
    subject = ", ".join(fault.fields) or "the record"
    told = ""
    if fault.code == "FIELD_CUSTOM_VALIDATION_EXCEPTION":  # in the administrator's words
        told = ": " + brief(fault.message)
    return f"{subject} {why}{told} ({fault.code or 'no reason given'})"
