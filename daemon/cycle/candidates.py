"""Who could be the partner of an item: what the CRM finds, and what the match index knows of the ECS side."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from crmsync.connectors.abilities import Probe, Searchable
from crmsync.connectors.contract import Kind, Record, Side
from crmsync.daemon.cycle.context import Context, Place
from crmsync.daemon.cycle.load import items_gone, rights
from crmsync.daemon.cycle.owners import owner_account
from crmsync.daemon.plan.match import EMAILS, IDENTIFYING, PHONES, Candidate, Name
from crmsync.daemon.plan.normalise import same
from crmsync.state.model import HeldState, IndexRow, Intent, Pair, PairState, QueueState
from crmsync.state.transaction import Tx
from crmsync.state.values import decode_columns, qualified, split


@dataclass(slots=True)
class Likes:
    """What shares a key with newcomers of the other side: what is free; whose other half is gone, which is not settled
    yet; the same, where a person has to say whether it shall go, too; and what was linked, and the link given up."""

    free: list[Candidate] = field(default_factory=list)
    deserted: list[Candidate] = field(default_factory=list)
    disputed: list[Candidate] = field(default_factory=list)
    let_go: list[Candidate] = field(default_factory=list)

    def everything(self) -> list[Candidate]:
        return [*self.free, *self.deserted, *self.disputed, *self.let_go]

    def lost(self, candidate: Candidate, state: QueueState) -> None:
        """``state``: of the row that says that its other half is gone."""
        match state:
            case QueueState.HELD | QueueState.PARKED:
                self.disputed.append(candidate)
            case QueueState.ABANDONED:  # a person said that it may stay
                self.let_go.append(candidate)
            case _:
                self.deserted.append(candidate)


def search(cx: Context, place: Place, records: Sequence[Record]) -> list[Candidate]:
    """What the CRM holds that shares a key with one of the records, is visible to the account's user and not linked."""
    return search_all(cx, place, records).free


def search_all(cx: Context, place: Place, records: Sequence[Record]) -> Likes:
    """As ``search``, with what is linked and may be free soon, or was linked. A link that was given up, and whose item
    is no longer there, binds nothing."""
    connector = place.connector
    if not isinstance(connector, Searchable) or not connector.capabilities.searchable:
        return Likes()
    kind = records[0].kind if records else Kind.CONTACT
    probes = [p for r in records if (p := probe_of(r)) is not None]
    if not probes:
        return Likes()
    found = [r for r in connector.search(kind, probes) if not r.untouchable]
    foreign = [r.id for r in found if r.owner != cx.user]
    visible = dict(zip(foreign, rights(cx, place, foreign), strict=True)) if foreign else {}
    with cx.state.reading() as tx:
        pairs = tx.pairs.by_crm(cx.account.name, cx.crm, place.key, [r.id for r in found])
        deserted = {id: state for id, pair in pairs.items() if (state := _deserted(tx, pair, Side.ECS))}
        under_way = [i for i in tx.intents.open(cx.account.name) if i.key and i.side is Side.CRM]
    gone, unknown = items_gone(cx, [p for p in pairs.values() if p.state is PairState.UNLINKED])
    seen = [r for r in found if r.id not in visible or visible[r.id].read]
    likes = Likes()
    for record in seen:
        pair, candidate = pairs.get(record.id), cx.signer.candidate(record)
        if pair is None or pair.id in gone:
            likes.free.append(replace(candidate, born=born(place, record, under_way)))
        elif record.id in deserted:
            likes.lost(candidate, deserted[record.id])
        elif pair.id in unknown:
            likes.deserted.append(candidate)
        elif pair.state is PairState.UNLINKED:
            likes.let_go.append(candidate)
    return likes


def _deserted(tx: Tx, pair: Pair, side: Side) -> QueueState | None:
    """State of the row that says that its half on this side is gone, if nothing has come of that yet. Where a person
    has to say whether the link shall be given up: held until then, and due until it has been done."""
    asked = tx.held.for_pair([pair.id]).get(pair.id)
    if asked is not None:
        return QueueState.HELD if asked.state is HeldState.HELD else QueueState.DUE
    collection, id = pair.on(side)
    rows = tx.queue.get(pair.account, side, collection, [id]) if pair.state is PairState.LINKED else ()
    return next((r.state for r in rows if r.gone), None)


def born(place: Place, record: Record, under_way: Sequence[Intent]) -> str:
    """Key of the create under way that made this record: its external id; without one, everything that was sent."""
    if place.connector.capabilities.links:
        return record.link if any(i.key == record.link for i in under_way) else ""
    return next((i.key for i in under_way if i.kind is record.kind and _shows(place, record, i)), "")


def _shows(place: Place, record: Record, intent: Intent) -> bool:
    sent = place.connector.project(record.kind, decode_columns(record.kind, intent.columns))
    return all(n in record.columns and same(record.columns[n], v) for n, v in sent.items())


def probe_of(record: Record) -> Probe | None:
    columns = record.columns
    if record.kind is Kind.CONTACT:
        emails, phones = (
            tuple(v for n in names if isinstance(v := columns.get(n), str) and v)
            for names in (EMAILS, PHONES)
        )
        return Probe(emails, phones) if emails or phones else None
    names = IDENTIFYING.get(record.kind, ())
    if not all(columns.get(n) for n in names[:2]):
        return None
    return Probe(columns={n: columns.get(n) for n in names})


class Pool:
    """Candidates by what they can be found by: each newcomer is compared with those only that share something."""

    def __init__(self, candidates: Sequence[Candidate]) -> None:
        self._by_key: dict[str, list[Candidate]] = defaultdict(list)
        for candidate in candidates:
            for key in {*candidate.keys, *([candidate.born] if candidate.born else [])}:
                self._by_key[key].append(candidate)

    def near(self, keys: Iterable[str]) -> list[Candidate]:
        return list({id(c): c for key in keys for c in self._by_key.get(key, ())}.values())

    def around(self, candidates: Iterable[Candidate]) -> list[Candidate]:
        return self.near({key for c in candidates for key in c.keys})


def own_items(cx: Context, tx: Tx, keys: Sequence[str]) -> list[Candidate]:
    """Unlinked ECS items that share a key; their id names the collection too. What stands in another account's
    collection is that one's to match."""
    return all_own_items(cx, tx, keys).free


def all_own_items(cx: Context, tx: Tx, keys: Sequence[str]) -> Likes:
    """As ``own_items``, with what is linked and may be free soon, or was linked."""
    rows: dict[tuple[str, str], IndexRow] = {}
    for some in tx.index.find(cx.account.name, keys).values():
        rows.update({(r.collection, r.item): r for r in some if r.tagged or _can_be_tagged(cx, r.collection)})
    pairs: dict[tuple[str, str], Pair] = {}
    for collection in {c for c, _ in rows}:
        if (place := cx.places.get(collection)) is not None and owner_account(cx, place) is not None:
            rows = {at: row for at, row in rows.items() if at[0] != collection}
            continue
        items = [i for c, i in rows if c == collection]
        pairs |= {(collection, i): p for i, p in tx.pairs.by_ecs(cx.account.name, collection, items).items()}
    likes = Likes()
    for (collection, item), row in rows.items():
        pair = pairs.get((collection, item))
        candidate = Candidate(qualified(collection, item), row.keys, _name(row))
        if pair is None:
            likes.free.append(candidate)
        elif pair.state is PairState.UNLINKED:
            likes.let_go.append(candidate)
        elif state := _deserted(tx, pair, Side.CRM):
            likes.lost(candidate, state)
    return likes


def spoken_for(cx: Context, tx: Tx, items: Sequence[Candidate]) -> Mapping[str, frozenset[str]]:
    """By ECS item, the record to which other accounts have linked it (records, while they do not agree); an item that
    nobody else has linked is absent. What several accounts see has one record."""
    found: dict[str, frozenset[str]] = {}
    places = [(i.id, *split(i.id)) for i in items]
    for collection in {c for _, c, _ in places}:
        known = tx.pairs.of_items(cx.crm, collection, [item for _, c, item in places if c == collection])
        for id, c, item in places:
            others = [p for p in known.get(item, ()) if p.account != cx.account.name]
            records = frozenset(p.crm_id for p in others if p.state is PairState.LINKED)
            if c == collection and records:
                found[id] = records
    return found


def free_for(record: str, items: Sequence[Candidate], taken: Mapping[str, frozenset[str]]) -> list[Candidate]:
    return [i for i in items if record in taken.get(i.id, {record})]


def _can_be_tagged(cx: Context, collection: str) -> bool:
    place = cx.places.get(collection)
    return place is not None and place.connector.capabilities.writable


def _name(row: IndexRow) -> Name:
    first, _, last = row.name.partition("|")
    return Name(first, last)
