"""What may be asked of the engine from outside, by the command line and over the control socket: one fixed table.

Light to import: the command line loads it before it knows whether an engine is needed at all.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from crmsync.daemon.engine import Engine

Progress: TypeAlias = Callable[[str, str, int], None]  # account, what, how many more

LARGEST = 2**63 - 1  # of the databases' whole numbers
_EXITS = {"usage": 2, "config": 2, "state": 2}


class Failure(Exception):
    """A command could not be carried out. ``code`` is short and stable, the message answers the operator."""

    def __init__(self, code: str, message: str, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details = dict(details or {})  # more fields of the ``--json`` answer

    @property
    def exit_code(self) -> int:
        """2 for what only another command line or configuration puts right, else 1."""
        return _EXITS.get(self.code, 1)


class Kind(Enum):
    """What an argument is, as JSON."""

    TEXT = "a text"
    TEXTS = "a list of texts"
    FLAG = "true or false"
    NUMBER = "a whole number"

    def accepts(self, value: object) -> bool:
        match self:
            case Kind.TEXT:
                return isinstance(value, str)
            case Kind.TEXTS:
                return isinstance(value, list | tuple) and all(isinstance(v, str) for v in value)
            case Kind.FLAG:
                return isinstance(value, bool)
            case Kind.NUMBER:
                return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= LARGEST


class Reach(Enum):
    """What a method needs for itself while it runs."""

    LOOK = "reads, or notes a decision that the next sync carries out"
    EACH = "syncs accounts, one after the other; tells its progress"
    ALL = "changes items of any account"
    REPLICA = "brings replicas in step; tells its progress"
    SERVICE = "is answered by the service itself, without the engine"


@dataclass(frozen=True, slots=True)
class Method:
    """One of Engine's, by the same name and with the same arguments; of Reach.SERVICE: Reception's. `part`: of that
    part of the engine."""

    reach: Reach = Reach.LOOK
    required: Mapping[str, Kind] | None = None
    optional: Mapping[str, Kind] | None = None
    part: str = ""

    @property
    def arguments(self) -> dict[str, Kind]:
        return {**(self.required or {}), **(self.optional or {})}


_NAMES = {"names": Kind.TEXTS}
_SOME = {**_NAMES, "limit": Kind.NUMBER}
_ITEM = {"item": Kind.TEXT}
_BY = {**_NAMES, "by": Kind.TEXT}  # only of these accounts; who says so, for the history
_SAID = {"by": Kind.TEXT}
_PARTNERS = {"item": Kind.TEXT, "record": Kind.TEXT}
_CRMS = {"crms": Kind.TEXTS}
_CRM = {"crm": Kind.TEXT}
_VALUES = {"values": Kind.TEXTS, **_CRM}

METHODS: Mapping[str, Method] = {
    "sync": Method(Reach.EACH, optional={**_NAMES, "dry_run": Kind.FLAG, "full": Kind.FLAG}),
    "reconcile": Method(Reach.EACH, optional=_NAMES),
    "status": Method(optional=_NAMES),
    "pulse": Method(optional={**_NAMES, "days": Kind.NUMBER}),
    "visits": Method(optional={"limit": Kind.NUMBER}),
    "queue": Method(optional={**_NAMES, "troubled": Kind.FLAG, "limit": Kind.NUMBER}),
    "conflicts": Method(optional={**_SOME, "undecided": Kind.FLAG}),
    "deletions": Method(optional=_SOME),
    "matches": Method(optional={**_SOME, "item": Kind.TEXT}),
    "rejected": Method(optional=_SOME),
    "undecided": Method(optional=_NAMES),
    "explain": Method(required=_ITEM, optional=_NAMES),
    "item_history": Method(required=_ITEM, optional=_NAMES),
    "check": Method(optional={"repair": Kind.FLAG}),
    "check_write": Method(Reach.ALL, optional={"repair": Kind.FLAG}),
    "retry": Method(optional={"items": Kind.TEXTS, **_BY}),
    "resolve": Method(
        required={**_ITEM, "column": Kind.TEXT}, optional={"keep": Kind.TEXT, "value": Kind.TEXT, **_BY}
    ),
    "look_again": Method(required=_ITEM, optional=_NAMES),
    "decide_deletions": Method(required={"approve": Kind.FLAG}, optional={"items": Kind.TEXTS, **_BY}),
    "match_link": Method(Reach.ALL, required=_PARTNERS, optional=_BY),
    "match_create": Method(required=_ITEM, optional=_BY),
    "match_ignore": Method(required=_ITEM, optional=_BY),
    "reject_retry": Method(required=_ITEM, optional=_BY),
    "reject_abandon": Method(required=_ITEM, optional=_BY),
    "exchange_jobs": Method(optional={"limit": Kind.NUMBER}),
    "exchange_audit": Method(optional={"limit": Kind.NUMBER}),
    "decided": Method(optional=_SOME),
    "take_back": Method(required=_ITEM, optional=_BY),
    "reject_columns": Method(required=_ITEM, optional=_NAMES),
    "reject_edit": Method(
        Reach.ALL,
        required={**_ITEM, "version": Kind.TEXT, "columns": Kind.TEXTS, "values": Kind.TEXTS},
        optional=_BY,
    ),
    "link": Method(Reach.ALL, required=_PARTNERS, optional=_SAID),
    "unlink": Method(Reach.ALL, required=_ITEM, optional=_SAID),
    "undo": Method(Reach.ALL, required={"cycle": Kind.NUMBER}, optional=_BY),
    "forget": Method(Reach.ALL, required={"address": Kind.TEXT}, optional={"everywhere": Kind.FLAG}),
    "telephones": Method(Reach.SERVICE),
    "replica_status": Method(optional=_CRMS, part="replicas"),
    "replica_sync": Method(Reach.REPLICA, optional=_CRMS, part="replicas"),
    "replica_conflicts": Method(optional={**_CRMS, "undecided": Kind.FLAG}, part="replicas"),
    "replica_resolve": Method(
        required=_ITEM,
        optional={"keep": Kind.TEXT, "fields": Kind.TEXTS, **_VALUES, **_SAID},
        part="replicas",
    ),
    "replica_rejected": Method(optional=_CRMS, part="replicas"),
    "replica_fields": Method(required=_ITEM, optional=_CRM, part="replicas"),
    "replica_retry": Method(required=_ITEM, optional={**_VALUES, **_SAID}, part="replicas"),
    "replica_abandon": Method(required=_ITEM, optional={**_CRM, **_SAID}, part="replicas"),
    "replica_mode": Method(optional={"mode": Kind.TEXT, **_CRM}, part="replicas"),
    "softphone_pair": Method(Reach.SERVICE, required={"account": Kind.TEXT}),
    "softphone_calls": Method(Reach.SERVICE, required={"account": Kind.TEXT}),
    "softphone_paired": Method(Reach.SERVICE, required={"account": Kind.TEXT}),
    "softphone_revoke": Method(Reach.SERVICE, required={"account": Kind.TEXT}, optional={"id": Kind.TEXT}),
    "login_link": Method(Reach.SERVICE, optional={"account": Kind.TEXT, "admin": Kind.FLAG}),
}


def checked(name: str, arguments: object) -> tuple[Method, dict[str, Any]]:
    """The method of that name and its arguments, if they fit. Raises Failure."""
    method = METHODS.get(name)
    if method is None:
        raise Failure("usage", f"there is no method “{name[:40]}”")
    if not isinstance(arguments, Mapping):
        raise Failure("usage", f"{name}: the arguments are not a JSON object")
    known = method.arguments
    for key, value in arguments.items():
        if key not in known:
            raise Failure("usage", f"{name} has no argument “{str(key)[:40]}”")
        if not known[key].accepts(value):
            raise Failure("usage", f"{name}: “{key}” has to be {known[key].value}")
    if missing := sorted(set(method.required or ()) - set(arguments)):
        raise Failure("usage", f"{name} needs “{missing[0]}”")
    return method, dict(arguments)


def invoke(engine: "Engine", name: str, arguments: object, progress: Progress) -> Any:
    """The method's answer. Raises Failure, and whatever the engine raises (see ``explained``)."""
    method, fitting = checked(name, arguments)
    if method.reach in (Reach.EACH, Reach.REPLICA):
        fitting["progress"] = progress
    part = getattr(engine, method.part) if method.part else engine
    return getattr(part, name)(**fitting)


def explained(error: Exception) -> Failure | None:
    """An exception of the engine as an answer to the operator; None for one that nobody foresaw."""
    from sqlalchemy.exc import DBAPIError

    from crmsync.connectors.errors import ConnectorError
    from crmsync.daemon.engine import NoSuchAccount
    from crmsync.daemon.operations.finding import NoSuchItem
    from crmsync.state.errors import Locked, StateError

    match error:
        case Failure():
            return error
        case NoSuchAccount() | NoSuchItem():
            return Failure("usage", str(error))
        case Locked():
            return Failure("busy", str(error))
        case StateError():
            return Failure("state_failed", str(error))
        case ConnectorError():
            return Failure(error.code, str(error))
        case DBAPIError():  # of a replica: those of the state are StateErrors
            return Failure("state_failed", f"the database of a replica failed: {error.orig}")
        case _:
            return None
