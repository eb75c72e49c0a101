"""Open: log in on both sides, find out who we are and which collections there are."""

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from crmsync.connectors.abilities import Copying, Homing, Restricting, Unfolding, Whole
from crmsync.connectors.contract import Collection, Connector, Kind
from crmsync.connectors.errors import ConnectorError, Forbidden, NotFound, Throttled, Unreachable
from crmsync.daemon.account import Crm, Mailbox
from crmsync.daemon.cycle.context import Context, Place

USER_KNOWN = timedelta(days=1)  # how long the id of a CRM user is believed


def open_mailboxes(cx: Context, *, known_for: timedelta = timedelta(0)) -> None:
    """Find the account's collections; what was found less than ``known_for`` ago, and has answered since, is believed.
    A login that fails costs the account nothing but that login."""
    for number, mailbox in enumerate(cx.account.mailboxes):
        try:
            _respect_pause(cx, mailbox)
            if not _known(cx, mailbox, known_for):
                mailbox.collections = tuple(_discovered(cx, number, mailbox))
                mailbox.discovered_at = cx.now()
        except ConnectorError as error:
            cx.broke(f"{mailbox.type} source", error, mailbox)
            mailbox.answered, mailbox.barred = False, isinstance(error, Forbidden | NotFound)
            continue
        mailbox.answered, mailbox.barred = True, False
        for collection in _chosen(cx, mailbox):
            key = mailbox.key(collection)
            if key in cx.places:
                cx.fail(
                    collection.name,
                    "same_collection",
                    f"two {mailbox.type} sources of this account offer {collection.id}, and only the first one is "
                    "used; name the collections of each in `collections`",
                    retry=False,
                )
                continue
            connector = _as_held(cx, key, collection, mailbox.source.open(collection))
            cx.chosen[key] = collection.kinds
            cx.places[key] = Place(key, collection, connector, mailbox)


def _as_held(cx: Context, key: str, collection: Collection, connector: Connector) -> Connector:
    """A series goes as it is into a CRM that has fields for its rules and exceptions, else occurrence by occurrence.
    A calendar whose occurrences are linked stays with them: read as a whole they would all be missing, and what the CRM
    has on each of its events would be deleted with them. Where another account has linked them, this one would bring
    the series in beside them."""
    if Kind.APPOINTMENT not in collection.kinds:
        return connector
    fields = cx.account.crm.rules.get(Kind.APPOINTMENT, {})
    if isinstance(connector, Whole) and {"recurrence", "exceptions"} <= fields.keys():
        with cx.state.reading() as tx:
            linked = tx.pairs.occurrence({cx.account.name, *(a.name for a in cx.bound)}, key)
        if not linked:
            return connector.whole()
        cx.notices.append(
            f"the CRM has fields for whole series by now, but occurrences of the calendar “{collection.name}” are "
            f"linked one by one ({linked} is one of them), and go on to be so: nothing is deleted in the CRM without "
            "anybody's word; delete them there, or `crmsync unlink` each of them, to have its series as a whole"
        )
    return connector.unfolded(cx.account.window) if isinstance(connector, Unfolding) else connector


def _known(cx: Context, mailbox: Mailbox, known_for: timedelta) -> bool:
    there = {name for c in mailbox.collections for name in (c.name, c.id)}
    fresh = mailbox.discovered_at is not None and cx.now() - mailbox.discovered_at < known_for
    return fresh and there.issuperset(mailbox.only)


def _respect_pause(cx: Context, login: Crm | Mailbox) -> None:
    """Whoever asked for a pause is not asked anything before it is over."""
    if login.resume_at is not None and cx.now() < login.resume_at:
        raise Throttled(f"it asked for a pause until {login.resume_at:%H:%M:%S}, which is kept")


def _discovered(cx: Context, number: int, mailbox: Mailbox) -> Sequence[Collection]:
    """What the login offers now. Where it is to be found is remembered from one run to the next."""
    source, scope = mailbox.source, f"home/{cx.account.name}/{number}/{mailbox.address}"
    if not isinstance(source, Homing):
        return source.collections()
    with cx.state.reading() as tx:
        known = tx.meta.get(scope)
    source.home = source.home or known
    found = source.collections()
    if source.home is not None and source.home != known:
        with cx.state.transaction() as tx:
            tx.meta.put(scope, source.home)
    return found


def open_crm(cx: Context, *, copy: bool = False) -> bool:
    """Who we are in the CRM, and its collections. ``copy``: its copy will do while it is away, as for a cycle, which
    looks again at what it left there; nobody else would."""
    crm = cx.account.crm
    try:
        _respect_pause(cx, crm)
        with crm.lock:
            crm.organisation = crm.organisation or crm.source.identity()
            cx.user = user_id(cx, cx.account.crm_user)
        for collection in crm.source.collections():
            connector = crm.source.open(collection)
            if isinstance(connector, Copying) and connector.stands_in and not copy:
                raise Unreachable("it is away, and its copy on this machine will not do for this")
            cx.objects[collection.id] = Place(collection.id, collection, connector, crm)
    except ConnectorError as error:
        cx.broke(f"CRM {crm.name}", error, crm)
        return False
    return True


def user_id(cx: Context, username: str) -> str:
    """The user's id, asked for once a day: whoever is no longer active must not go on for ever."""
    crm = cx.account.crm
    if username in crm.users and cx.now() - crm.users[username][1] <= USER_KNOWN:
        return crm.users[username][0]
    scope = f"user/{crm.name}/{crm.organisation}/{username}"
    with cx.state.reading() as tx:
        noted = json.loads(tx.meta.get(scope) or "{}")
    if not noted or cx.now() - datetime.fromisoformat(noted["at"]) > USER_KNOWN:
        noted = {"id": crm.source.user_id(username), "at": cx.now().isoformat()}  # type: ignore[attr-defined]
        with cx.state.transaction() as tx:
            tx.meta.put(scope, json.dumps(noted))
    crm.users[username] = (noted["id"], datetime.fromisoformat(noted["at"]))
    return crm.users[username][0]


def _chosen(cx: Context, mailbox: Mailbox) -> Iterable[Collection]:
    if not mailbox.only:
        return [c for c in mailbox.collections if c.kinds]
    # another person's calendar may be called the same: the login's own come first
    found = {c.name: c for c in reversed(mailbox.collections)} | {c.id: c for c in mailbox.collections}
    for name in mailbox.only:
        if name not in found:
            there = ", ".join(sorted(c.name for c in mailbox.collections)) or "none"
            cx.fail(
                name,
                "no_collection",
                f"{mailbox.type}: there is no collection “{name}” (there is: {there}); "
                "correct `collections` in the configuration, or create it",
                retry=True,
            )
    return [found[n] for n in dict.fromkeys(mailbox.only) if n in found]


def restricting(place: Place) -> Restricting | None:
    return (
        place.connector
        if isinstance(place.connector, Restricting) and place.connector.capabilities.access
        else None
    )
