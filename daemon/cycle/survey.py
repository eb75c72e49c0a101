"""Survey: look at every changed ECS item that has no link, and sort out which of them want one.

Everything that is looked at goes into the match index (as hashes), tagged or not: a record that comes from the CRM must
find the person's own card instead of making a second one.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from crmsync.connectors.contract import SERIES, Gone, Hidden, Kind, Record, Side, Unreadable
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.cycle.apply import park
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.contradicted import listed_as_gone, wait_for_the_list
from crmsync.daemon.cycle.load import fetch_told, told
from crmsync.daemon.cycle.work import Answer, Work, linked_again
from crmsync.daemon.plan.match import addresses_of
from crmsync.daemon.plan.reconcile import DELETED, OUT_OF_SIGHT
from crmsync.state.model import Action, Change, Entry, IndexRow, Intent, Pair
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, qualified

FORGOTTEN = "this person was forgotten on request and is not imported again"


@dataclass(slots=True)
class Newcomer:
    """An item that is selected on its side and has no partner yet."""

    place: Place
    side: Side
    record: Record
    row: Change
    lost: bool = False  # it went before anyone heard what became of the create of its partner

    @property
    def item(self) -> tuple[str, str]:
        """Collection and id: by itself an id may stand in two collections."""
        return self.place.key, self.record.id


def survey(cx: Context, rows: Sequence[Change], *, decide: bool = True) -> tuple[list[Newcomer], list[Work]]:
    """The newcomers among these ECS rows, and the pairs that are linked again because their item was tagged again.

    ``decide`` false: the items are still being edited; they only enter the index.
    """
    newcomers: list[Newcomer] = []
    again: list[Work] = []
    for key in dict.fromkeys(r.collection for r in rows):
        place = cx.places.get(key)
        if place is None:
            continue
        some = [r for r in rows if r.collection == key]
        try:
            answers = fetch_told(cx, place, told(some))
        except ConnectorError as error:
            cx.broke(f"“{place.label}”", error, place.login)
            cx.places.pop(key, None)
            continue
        found, relinked = _sort_out(cx, place, some, answers, decide)
        newcomers += found
        again += relinked
    return newcomers, again


def _sort_out(
    cx: Context, place: Place, rows: Sequence[Change], answers: dict[str, Answer], decide: bool
) -> tuple[list[Newcomer], list[Work]]:
    newcomers: list[Newcomer] = []
    again: list[Work] = []
    left: list[tuple[Change, Record, str]] = []
    with cx.state.transaction() as tx:
        pairs = tx.pairs.by_ecs(cx.account.name, place.key, [r.item for r in rows])
        sent = _announced(cx, tx, place, answers)
        _index(cx, tx, place, answers, sent)
        if not decide:
            return [], []
        forgotten = people_forgotten(cx, tx, answers.values())
        for row in rows:
            answer = answers.get(row.item, Hidden(row.item))
            pair = pairs.get(row.item)
            match answer:
                case Gone() if not listed_as_gone([row]):
                    wait_for_the_list(cx, tx, place.key, [row])
                case Gone() if pair is None and row.item in sent:
                    newcomers.append(Newcomer(place, Side.ECS, sent[row.item], row, lost=True))
                case Gone() | Hidden():
                    _no_newcomer(cx, tx, row)
                case Unreadable():
                    _unreadable(cx, tx, row, answer)
                case Record() if pair is not None:
                    if (work := _unlinked(cx, tx, row, answer, pair)) is not None:
                        again.append(work)
                case Record() if row.item in sent:
                    newcomers.append(Newcomer(place, Side.ECS, sent[row.item], row, lost=True))
                case Record() if not cx.account.selected(answer):
                    _no_newcomer(cx, tx, row)
                case Record():
                    if reason := left_alone(cx, answer, forgotten):
                        left.append((row, answer, reason))
                    else:
                        newcomers.append(Newcomer(place, Side.ECS, answer, row))
    note_left(cx, place, Side.ECS, left)
    return newcomers, again


def _no_newcomer(cx: Context, tx: Tx, row: Change) -> None:
    tx.queue.done_unless_changed([row])
    tx.held.unwanted_items(cx.account.name, [(row.collection, row.item)])


def _announced(cx: Context, tx: Tx, place: Place, answers: dict[str, Answer]) -> dict[str, Record]:
    """Items that are gone, or not selected any more, and whose create in the CRM was announced, without anybody hearing
    of it: as they were. Others who see the item wait to hear of it, too."""
    over = {qualified(place.key, a.id): a.id for a in answers.values() if _is_over(cx, a)}
    sent = [i for i in (tx.intents.open(cx.account.name) if over else ()) if i.item in over]
    known = tx.index.get(cx.account.name, place.key, [over[i.item] for i in sent])
    uids = {item: row.uid for item, row in known.items()}
    return {
        over[i.item]: _as_sent(over[i.item], i.kind, i, uids)
        for i in sent
        if i.kind is not None and (i.action, i.side, i.pair_id) == (Action.CREATE, Side.CRM, None)
    }


def _is_over(cx: Context, answer: Answer) -> bool:
    return isinstance(answer, Gone) or (isinstance(answer, Record) and not cx.account.selected(answer))


def _as_sent(item: str, kind: Kind, sent: Intent, uids: Mapping[str, str]) -> Record:
    return Record(item, "", kind, decode_columns(kind, sent.columns), uid=uids.get(item, ""))


def _index(cx: Context, tx: Tx, place: Place, answers: dict[str, Answer], sent: Collection[str]) -> None:
    """``sent``: whose create nobody has heard of. Where one of these has gone to is found by its UID."""
    gone = [a.id for a in answers.values() if isinstance(a, Gone) and a.id not in sent]
    tx.index.drop(cx.account.name, place.key, gone)
    tx.index.put(
        cx.account.name,
        place.key,
        [index_row(cx, a) for a in answers.values() if isinstance(a, Record)],
    )


def index_row(cx: Context, record: Record) -> IndexRow:
    """What must be left alone has no keys: it is known, but never matched."""
    candidate = cx.signer.candidate(record)
    return IndexRow(
        item=record.id,
        uid=record.uid,
        version=record.version,
        keys=frozenset() if record.untouchable else candidate.keys,
        name=f"{candidate.name.first}|{candidate.name.last}",
        tagged=cx.account.selected(record),
    )


def _unreadable(cx: Context, tx: Tx, row: Change, answer: Unreadable) -> None:
    """A broken item is parked, unless it is plain that nobody tagged it."""
    wanted = cx.account.tag.casefold()
    ours = cx.account.select_all or answer.tags is None or any(t.casefold() == wanted for t in answer.tags)
    if ours:
        park(cx, tx, [row], row.item, "unreadable", answer.reason)
    else:
        tx.queue.done_unless_changed([row])


def _unlinked(cx: Context, tx: Tx, row: Change, record: Record, pair: Pair) -> Work | None:
    """An item whose link was given up: linked again once it has lost its tag and got it back."""
    if not cx.account.selected(record):
        if not pair.untagged:
            tx.pairs.save(replace(pair, untagged=True, ecs_version=record.version))
        tx.queue.done_unless_changed([row])
        return None
    if not may_be_linked_again(pair):
        tx.queue.done_unless_changed([row])
        return None
    linked = linked_again(pair)
    tx.pairs.save(linked)
    return Work(linked, [row])


def may_be_linked_again(pair: Pair) -> bool:
    """Of a link that was given up, now that its item is selected: it had lost its tag, or was not there."""
    return pair.untagged or pair.reason.startswith((OUT_OF_SIGHT, DELETED))


def left_alone(cx: Context, record: Record, forgotten: Collection[str]) -> str:
    """Why a selected item is not taken into the CRM, or nothing. ``forgotten``: ids of items of forgotten people."""
    if record.untouchable == SERIES:
        return f"it repeats: each of its dates is an item by itself, {record.id}#YEARMONTHDAY"
    if record.untouchable:
        return f"{record.untouchable}: such items are not exchanged yet and stay as they are"
    if cx.account.keeps_out(record):
        return "marked private: it stays out of the CRM"
    return FORGOTTEN if record.id in forgotten else ""


def people_forgotten(cx: Context, tx: Tx, answers: Iterable[Answer]) -> frozenset[str]:
    """Ids of those items that carry an address of somebody who was forgotten, or were a call with somebody."""
    hashes: dict[str, frozenset[str]] = {}
    for record in (a for a in answers if isinstance(a, Record)):
        if emails := addresses_of(record.columns):
            hashes[record.id] = cx.signer.forgotten(emails)
        elif record.kind is Kind.TASK:
            ids = (record.id, record.uid, str(record.columns.get("call_id") or ""))
            hashes[record.id] = cx.signer.forgotten_items(ids)
    known = tx.forgotten.any({h for some in hashes.values() for h in some})
    return frozenset(id for id, some in hashes.items() if some & known)


def note_left(cx: Context, place: Place, side: Side, left: Sequence[tuple[Change, Record, str]]) -> None:
    """``explain`` has to be able to say why nothing happens to an item that a person tagged."""
    if not left or cx.dry:
        return
    cycle = cx.cycle
    with cx.state.transaction() as tx:
        tx.history.add([left_entry(cx, cycle, place, side, record, reason) for _, record, reason in left])
        tx.queue.done_unless_changed([row for row, _, _ in left])


def left_entry(cx: Context, cycle: int, place: Place, side: Side, record: Record, reason: str) -> Entry:
    ecs = side is Side.ECS
    return Entry(
        cycle=cycle,
        account=cx.account.name,
        kind=record.kind,
        ecs_collection=place.key if ecs else "",
        ecs_id=record.id if ecs else "",
        crm_collection="" if ecs else place.key,
        crm_id="" if ecs else record.id,
        at=cx.now(),
        side=side,
        action=Action.LEAVE,
        reason=reason,
    )
