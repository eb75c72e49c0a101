"""``crmsync check``: reach every server, log in, list what is there; and prove that it can be written."""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from crmsync.connectors.abilities import Lacking, Selecting
from crmsync.connectors.contract import Columns, Create, Delete, Done, Kind, Refused, Side
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.account import Mailbox
from crmsync.daemon.cycle.births import default_place
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.opening import open_crm, open_mailboxes
from crmsync.daemon.cycle.stamps import Signer
from crmsync.daemon.operations.repair import findings, mended
from crmsync.state.database import State
from crmsync.state.errors import StateError

_LONG_AGO = datetime(2000, 1, 1, 9, tzinfo=UTC)  # an appointment that reminds nobody, should it be left over
_SAMPLE: Mapping[Kind, Columns] = {
    Kind.CONTACT: {"last_name": "crmsync write check", "first_name": "Please delete"},
    Kind.TASK: {"subject": "crmsync write check, please delete"},
    Kind.EMAIL: {"subject": "crmsync write check, please delete"},
    Kind.APPOINTMENT: {
        "subject": "crmsync write check, please delete",
        "start": _LONG_AGO,
        "end": _LONG_AGO + timedelta(hours=1),
        "all_day": False,
    },
}


def check(
    state: State, signer: Signer, contexts: Sequence[Context], *, write: bool, repair: bool
) -> dict[str, Any]:
    checks = [_state(state)]
    if checks[0]["ok"]:
        found = (
            mended(state, signer, contexts)
            if repair
            else (f.line() for f in findings(state, signer, contexts))
        )
        checks += found
    for cx in contexts:
        checks += _servers(cx)
        checks += _collections(cx)
        checks += _condition(cx)
    if write:
        with _nobody_syncing(state, contexts):
            for cx in contexts:
                checks += _writes(cx)
    return {"ok": all(c["ok"] for c in checks), "checks": checks}


@contextmanager
def _nobody_syncing(state: State, contexts: Sequence[Context]) -> Iterator[None]:
    """What is made to try it is taken away again before anybody could sync it. Raises Locked."""
    with ExitStack() as stack:
        for name in sorted(cx.account.name for cx in contexts):
            stack.enter_context(state.lock(name))
        yield


def _state(state: State) -> dict[str, Any]:
    try:
        state.verify()
        with state.transaction() as tx:
            tx.meta.put("checked", state.now().isoformat())
    except StateError as error:
        return _line("state", False, error.message, error.hint)
    return _line("state", True, f"the state can be read and written ({state.size()} bytes)")


def _line(name: str, ok: bool, message: str, hint: str = "") -> dict[str, Any]:
    return {"name": name, "ok": ok, "message": message, "hint": hint}


def _servers(cx: Context) -> Iterator[dict[str, Any]]:
    for mailbox in cx.account.mailboxes:
        name = f"{cx.account.name}: {mailbox.type}"
        try:
            yield _line(name, True, f"logged in as {mailbox.source.identity()}; {_names(mailbox)}")
        except ConnectorError as error:
            yield _line(name, False, error.message, error.hint)
    name = f"{cx.account.name}: CRM {cx.crm}"
    if open_crm(cx):
        tables = ", ".join(sorted(p.label for p in cx.objects.values()))
        yield _line(name, True, f"organisation {cx.organisation}, user {cx.account.crm_user}; {tables}")
        yield from _fields(cx)
    else:
        yield from (_line(name, False, e["message"].removeprefix(f"CRM {cx.crm}: ")) for e in cx.errors)
        cx.errors.clear()


def _fields(cx: Context) -> Iterator[dict[str, Any]]:
    """A field of the default mapping may be switched off in an organisation; one that somebody wrote down is missed."""
    source, name = cx.account.crm.source, f"{cx.account.name}: mapping"
    try:
        absent = source.lacking() if isinstance(source, Lacking) else ()
    except ConnectorError as error:
        yield _line(name, False, error.message, error.hint)
        return
    asked = sorted(f for f in absent if f.partition(".")[2] in cx.account.crm.insisted)
    if asked:
        hint = "correct the name, create the field, or let the login see it; until then it is not exchanged"
        yield _line(name, False, f"the CRM has no {', '.join(asked)} for this login", hint)
    if left := sorted(set(absent) - set(asked)):
        yield _line(name, True, f"not exchanged, for the CRM has no {', '.join(left)} for this login")


def _condition(cx: Context) -> Iterator[dict[str, Any]]:
    selection = cx.account.selection(cx.user)
    if not selection.condition:
        return
    name = f"{cx.account.name}: crm_select"
    try:
        for place in cx.objects.values():
            if isinstance(place.connector, Selecting) and place.collection.kinds & cx.kinds():
                place.connector.selected([cx.user], selection)
    except ConnectorError as error:
        yield _line(name, False, error.message, "correct the condition `crm_select`")
        return
    yield _line(name, True, "the CRM understands the condition")


def _names(mailbox: Mailbox) -> str:
    found = [
        f"{c.name} ({', '.join(sorted(c.kinds))}{'' if c.writable else ', read-only'}"
        f"{f', of {c.owner}' if c.owner else ''})"
        for c in mailbox.source.collections()
    ]
    return "; ".join(found) or "no collections"


def _collections(cx: Context) -> Iterator[dict[str, Any]]:
    open_mailboxes(cx)
    for error in cx.errors:
        if error["code"] == "no_collection":
            yield _line(f"{cx.account.name}: {error['item']}", False, error["message"])
    cx.errors.clear()
    for kind in cx.account.default_collection:
        if kind in cx.kinds() and default_place(cx, kind) is None:
            wanted = cx.account.default_collection[kind]
            yield _line(
                f"{cx.account.name}: default_collection.{kind}",
                False,
                f"there is no collection “{wanted}” that holds a {kind}",
                "correct the name, or create the collection",
            )


def _writes(cx: Context) -> Iterator[dict[str, Any]]:
    for side, places in ((Side.ECS, cx.places), (Side.CRM, cx.objects)):
        for place in places.values():
            kind = next((k for k in _SAMPLE if k in place.collection.kinds), None)
            if kind is not None:
                yield _written(cx, side, place, kind)


def _written(cx: Context, side: Side, place: Place, kind: Kind) -> dict[str, Any]:
    """Make something, and take it away again."""
    name = f"{cx.account.name}: write {place.label}"
    key = f"crmsync-check-{secrets.token_hex(8)}"
    owner = cx.user if side is Side.CRM else ""
    try:
        (made,) = place.connector.apply([Create(key, kind, _SAMPLE[kind], owner=owner)])
        if not isinstance(made, Done):
            reason = made.reason if isinstance(made, Refused) else "the server did not take it now"
            return _line(name, False, reason, "give the login write access, or leave the collection out")
        (gone,) = place.connector.apply([Delete(made.id, made.version)])
    except ConnectorError as error:
        return _line(name, False, error.message, error.hint)
    if not isinstance(gone, Done):
        return _line(
            name, False, f"a test item was written, but could not be deleted: {made.id}", "delete it by hand"
        )
    return _line(name, True, "an item can be written and deleted")
