"""Everything that can be wrong with a server or the line to it, at every place of a sync where it can be.

Nothing is lost, nothing is there twice, nothing is deleted without proof, the operator reads what is wrong, and once it
is over both sides agree and nothing is left to do.

``CRMSYNC_TORTURE=full`` tries all of them on two groupware servers; every test run, a few of each.
"""

import base64
import os
import shutil
import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.bars.office import Office, office
from tests.faults.places import LISTINGS, PLACES, WRITES, Where
from tests.faults.scene import AFTER, BEFORE, CARD, Scene, scene
from tests.servers import faults
from tests.servers.proxy import Asked, Trouble

FULL = os.environ.get("CRMSYNC_TORTURE") == "full"
pytestmark = [pytest.mark.server, pytest.mark.timeout(300)]
SERVERS = ("radicale", "xandikos")

LINE = {
    "refuse": faults.refuse,
    "break_request": faults.break_request,
    "break_answer": faults.break_answer,
    "lose_answer": faults.lose_answer,
}
WRITING = [place for place in PLACES if place.split()[1] in WRITES]
READING = [place for place in PLACES if place not in WRITING]
UNREADABLE = {
    "dav open": frozenset({"not_xml"}),
    "dav changes": frozenset({"not_xml"}),
    "dav fetch": frozenset[str](),  # each is asked for by itself then
}
LISTING = ["dav changes", "crm poll", "crm search"]
Case = tuple[str, Trouble, str, frozenset[str]]


def _cases() -> Iterator[Case]:
    """Name of the fault, the fault, the place, and the codes one of which the operator must read; none: it is healed
    without a word."""
    for name, trouble in LINE.items():
        for place in PLACES:
            yield name, trouble, place, frozenset({"unreachable"})
    for place in PLACES:
        yield "401", faults.status(401), place, frozenset({"login_refused"})
        yield "429", faults.status(429, retry_after=30), place, frozenset({"throttled"})
        yield "503", faults.status(503, retry_after=30), place, frozenset({"throttled"})
    for place in WRITING:
        yield "500 when done", faults.fail_when_done, place, frozenset()
        yield "500", faults.status(500), place, frozenset({"deferred", "unreachable"})
        if place == "crm create":  # its answer says which record it is; an update has none
            yield "truncate", faults.truncate, place, frozenset({"protocol"})
            yield "garble", faults.garble, place, frozenset({"protocol"})
        if place.startswith("dav"):
            yield "412", faults.status(412), place, frozenset({"precondition"})
            yield "423", faults.status(423), place, frozenset({"deferred"})
    for place in READING:
        yield "truncate", faults.truncate, place, UNREADABLE.get(place, frozenset({"protocol"}))
        yield "garble", faults.garble, place, UNREADABLE.get(place, frozenset({"protocol"}))
    for place in LISTING:
        yield "empty", faults.empty, place, frozenset()
        yield "cut short", faults.cut_short, place, frozenset()
    yield "refused token", faults.refuse_token, "dav changes", frozenset()


def _some(cases: Sequence[Case]) -> list[Case]:
    """Each fault at one of the places where it can be, another one each time, and no place without a fault."""
    faults_ = list(dict.fromkeys(name for name, *_ in cases))
    where = {fault: [case for case in cases if case[0] == fault] for fault in faults_}
    chosen = [some[turn % len(some)] for turn, some in enumerate(where.values())]
    missing = PLACES.keys() - {place for _, _, place, _ in chosen}
    return chosen + [next(c for c in reversed(cases) if c[2] == place) for place in sorted(missing)]


CASES = list(_cases())
CHOSEN = (
    [(server, *case) for server in SERVERS for case in CASES]
    if FULL
    else [(SERVERS[turn % 2], *case) for turn, case in enumerate(_some(CASES))]
)


@pytest.fixture(scope="module")
def servers(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    with office(tmp_path_factory.mktemp(request.param), server=request.param) as made:
        yield made


@pytest.fixture
def small(servers: Office, tmp_path: Path) -> Iterator[Scene]:
    with scene(servers, tmp_path) as made:
        made.people()
        made.news()
        yield made


@pytest.mark.parametrize(
    ("servers", "name", "trouble", "place", "codes"),
    CHOSEN,
    ids=[f"{server} {name} {place}" for server, name, _, place, _ in CHOSEN],
    indirect=["servers"],
)
def test_trouble(small: Scene, name: str, trouble: Trouble, place: str, codes: frozenset[str]) -> None:
    struck = _arm(small, trouble, place)
    report = small.sync()
    assert struck, f"the sync made no such request: {place}"
    _told(report["errors"], codes)
    _nothing_lost(small)
    _disarm(small)
    if trouble in (faults.empty, faults.cut_short) and place == "dav changes":
        small.later()
        small.engine.reconcile()  # no one can see what is left out of a list of changes; the daily comparison does
    small.ends_well()


@pytest.mark.parametrize("trouble", [faults.empty, faults.cut_short], ids=["empty", "cut short"])
@pytest.mark.parametrize(
    ("servers", "side"), [("radicale", "dav"), ("xandikos", "dav"), ("radicale", "crm")], indirect=["servers"]
)
def test_a_listing_that_lacks_what_is_there(
    servers: Office, tmp_path: Path, side: str, trouble: Trouble
) -> None:
    """In the reconciliation, which takes what a complete listing lacks for deleted: nobody is, on either side."""
    with scene(servers, tmp_path) as made:
        made.people()
        made.later()
        struck = _strike(made, side, trouble, LISTINGS[side])
        made.engine.reconcile()
        assert struck
        assert made.cards() == made.records() == BEFORE
        _disarm(made)
        for _ in range(2):
            made.later()
            made.engine.retry()
            assert made.sync()["errors"] == []
        assert made.cards() == made.records() == BEFORE
        assert [made.engine.queue(), made.engine.matches(), made.engine.deletions()] == [[], [], []]


@pytest.mark.parametrize(
    ("servers", "place"),
    [
        ("radicale", "dav changes"),
        ("xandikos", "dav update"),
        ("radicale", "crm poll"),
        ("xandikos", "crm update"),
    ],
    indirect=["servers"],
)
def test_hang(small: Scene, place: str) -> None:
    over = threading.Event()
    struck = _arm(small, faults.hang(over), place)
    with small.impatient():
        report = small.sync()
    over.set()
    _disarm(small)
    assert struck
    _told(report["errors"], frozenset({"unreachable"}))
    small.ends_well()


@pytest.mark.parametrize(
    ("servers", "place", "code"),
    [
        ("radicale", "dav changes", 503),
        ("xandikos", "dav fetch", 429),
        ("radicale", "crm poll", 429),
        ("xandikos", "crm update", 503),
    ],
    indirect=["servers"],
)
def test_a_pause_that_is_asked_for_is_kept(small: Scene, place: str, code: int) -> None:
    struck = _arm(small, faults.status(code, retry_after=600), place)
    small.sync()
    assert struck
    _disarm(small)
    asked = small.office.dav_proxy if place.startswith("dav") else small.office.crm_proxy
    asked.forget()
    small.sync()
    assert asked.seen == []
    small.ends_well()


@pytest.mark.parametrize(
    ("servers", "side", "hours"),
    [("radicale", "dav", 5), ("xandikos", "dav", -5), ("xandikos", "crm", 5), ("radicale", "crm", -5)],
    indirect=["servers"],
)
def test_clock_is_off(servers: Office, tmp_path: Path, side: str, hours: int) -> None:
    """From before the first sync, and for ever."""
    with scene(servers, tmp_path) as made:
        _proxy(made, side).trouble = lambda asked: faults.clock(hours=hours)
        made.people()
        made.news()
        report = made.sync()
        assert report["errors"] == []
        made.ends_well()


@pytest.mark.parametrize("place", ["dav changes", "dav fetch"])
@pytest.mark.parametrize("servers", ["radicale"], indirect=True)  # a server with one user cannot mix up two
def test_someone_elses_data(small: Scene, place: str) -> None:
    """It mixes up two users: nothing of the other's reaches the CRM, and nothing of alice's is deleted."""
    office = small.office
    book = office.dav.book_url("Contacts", user="bob")
    if office.dav.send("PROPFIND", book, user="bob").status == 404:
        office.dav.make_book("Contacts", user="bob")
    office.dav.put(f"{book}Zoe.vcf", CARD.format(name="Zoe"), user="bob")
    token = base64.b64encode(f"bob:{office.dav.users['bob']}".encode()).decode()
    struck = _arm(small, faults.mix_up("/alice/", "/bob/", f"Basic {token}"), place)
    small.sync()
    assert struck
    _nothing_lost(small)
    _disarm(small)
    small.ends_well()


@pytest.mark.parametrize("servers", ["radicale"], indirect=True)  # of which we know where its files are
def test_restored_from_a_backup(servers: Office, tmp_path: Path) -> None:
    """The groupware is put back to where it was before the last sync. It says itself that what came after is gone or
    other, and is believed where nobody but a person wrote: the history knows what it was. What the CRM wrote there
    since is asked, and whoever had been deleted and is there again is not brought back in silence: that waits, too."""
    stored = servers.directory / "dav" / "collections"
    with scene(servers, tmp_path) as made:
        made.people()
        shutil.copytree(stored, tmp_path / "backup")
        made.news()
        made.sync()
        assert made.cards() == made.records() == AFTER
        shutil.rmtree(stored)
        shutil.copytree(tmp_path / "backup", stored)
        for _ in range(2):
            made.later()
            assert made.sync()["errors"] == []
        assert made.cards() == {**made.records(), "Dan": "", "Bea": "", "Fay": ""}
        (asked,) = (
            made.engine.conflicts()
        )  # what was written to a card since is not taken back without a question
        assert (asked["column"], asked["crm"], asked["winner"]) == ("job_title", "Baron", None)
        assert len(made.engine.matches()) == 2
        assert BEFORE.keys() & AFTER.keys() <= made.records().keys()
        record = next(r["Id"] for r in servers.rows("Contact") if r["FirstName"] == "Ada")
        assert "Countess" in {e["old"] for e in made.engine.item_history(record)} | {made.records()["Ada"]}
        assert made.sync()["writes"] == 0


@pytest.mark.parametrize("servers", ["radicale"], indirect=True)
def test_a_crm_that_is_restored_from_a_backup(
    servers: Office, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CRM is put back to where it was before the last sync. What it takes back of what people wrote since, on
    either side, is asked; whose record is not there any more keeps the card; and whose record is there again although
    the card was deleted is asked, too. Whoever had been deleted in the CRM alone is there again: its administrator
    wanted that."""
    with scene(servers, tmp_path) as made:
        with monkeypatch.context() as earlier:
            earlier.setattr(servers.crm.crm.store, "_clock", lambda: datetime.now(UTC) - timedelta(hours=1))
            made.people()
        backup = servers.crm.backup()
        made.news()
        made.sync()
        assert made.cards() == made.records() == AFTER
        servers.crm.restore(backup)
        made.later()
        assert made.engine.reconcile()["errors"] == []
        made.later()
        assert made.sync()["errors"] == []
        assert made.cards() == {**AFTER, "Fay": ""}
        assert made.records() == BEFORE
        asked = {(c["column"], c["ecs"], c["crm"], c["winner"]) for c in made.engine.conflicts()}
        assert asked == {("job_title", "Countess", None, None), ("job_title", "Baron", None, None)}
        (bea,) = made.engine.matches()
        assert servers.sf.Contact.get(bea["record"])["FirstName"] == "Bea"
        assert made.sync()["writes"] == 0


# ── How ──────────────────────────────────────────────────────────────────────────────────────────────────────


def _proxy(small: Scene, side: str) -> object:
    return small.office.dav_proxy if side == "dav" else small.office.crm_proxy


def _arm(small: Scene, trouble: Trouble, place: str) -> list[str]:
    """From now on, at each such request; what it struck."""
    side, where = PLACES[place]
    return _strike(small, side, trouble, where)


def _strike(small: Scene, side: str, trouble: Trouble, where: Where) -> list[str]:
    struck: list[str] = []

    def choose(asked: Asked) -> Trouble | None:
        if not where(asked):
            return None
        struck.append(asked.path)
        return trouble

    _proxy(small, side).trouble = choose  # type: ignore[attr-defined]
    return struck


def _disarm(small: Scene) -> None:
    for side in ("dav", "crm"):
        _proxy(small, side).trouble = lambda asked: None  # type: ignore[attr-defined]


def _told(errors: list[dict[str, object]], codes: frozenset[str]) -> None:
    """A sentence each, and none of a kind that is not expected."""
    for error in errors:
        message = str(error["message"])
        assert "\n" not in message, message
        assert len(message) < 500, message
        assert "Traceback" not in message
        assert "Example" not in message, "what people wrote has no place in a message"
    if codes:
        assert {str(e["code"]) for e in errors} & codes, errors


def _nothing_lost(small: Scene) -> None:
    """Of what is there before and after; and nobody but those whom people deleted is gone anywhere."""
    for there in (small.cards(), small.records()):
        assert BEFORE.keys() & AFTER.keys() <= there.keys(), there
        assert there.keys() <= BEFORE.keys() | AFTER.keys(), there
    assert {"Cid"} <= small.cards().keys()
    assert {"Eve"} <= small.records().keys()
