"""Every kill point: the service is stopped at every write and every commit in every way, while people go on.

A trial is a scene on a kind of server, a point in it, what goes wrong there and what people do just then. Its end is
compared with that of an uninterrupted run in which people did the same at the same point: it has to be the same, ids
and times aside, after one sync; and one more sync writes nothing.
"""

import json
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from crmsync.connectors.contract import Deferred
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.cycle.context import BATCH
from crmsync.state.errors import StateError
from tests.daemon.machine.ending import Ending, alike, difference, ending_of, paired, without
from tests.daemon.machine.house import House, Saved
from tests.daemon.machine.scenes import SCENES, Scene
from tests.daemon.machine.trouble import Point, die

TWO_HOURS = 7200.0  # longer than any back-off
Act = Callable[[House, Point], None]

WORLDS: Mapping[str, tuple[str, ...]] = {
    "exact": (),
    "rewriting": (
        "the ECS shortens text",
        "the CRM shortens text",
        "the CRM rewrites phones",
        "what was written is read back",
    ),
    "no version after a write": (
        "the ECS tells no version after a write",
        "the CRM tells no version after a write",
    ),
    "expired cursors": (),
    "one item a page": ("one item a page",),
    "no external ids": ("the CRM has no external id",),
}


# ── What goes wrong ──────────────────────────────────────────────────────────────────────────────────────────


def _killed(house: House, point: Point) -> None:
    die(point)


def _no_answer(house: House, point: Point) -> None:
    raise Unreachable(f"no answer to the {point.what}")


def _failed_when_done(house: House, point: Point) -> None:
    """500, although it took effect."""
    failed = lambda id: Deferred(id, "the server failed (500)")  # noqa: E731
    house.servers[point.where].faults.answer(point.detail, failed, applied=True)


def _state_failed(house: House, point: Point) -> None:
    raise StateError("the database server does not answer" if point.after else "the disk is full")


def troubles(point: Point) -> Mapping[str, Act]:
    """Who is killed just before a write or commit leaves the same world as who is killed just after the one before."""
    if point.what == "commit":
        return (
            {"killed": _killed, "answer lost": _state_failed} if point.after else {"refused": _state_failed}
        )
    return (
        {"killed": _killed, "answer lost": _no_answer, "5xx when done": _failed_when_done}
        if point.after
        else {}
    )


# ── What people do meanwhile ─────────────────────────────────────────────────────────────────────────────────


def _nothing(house: House, server: str) -> None:
    """They sleep."""


def _edit(house: House, server: str) -> None:
    for item in house.items(server):
        house.servers[server].edit(item.id, job_title=f"typed in {server}", department=f"by {server}")


def _delete(house: House, server: str) -> None:
    for item in house.items(server):
        house.servers[server].delete(item.id)


def _recreate(house: House, server: str) -> None:
    """Deleted by mistake, and made again by hand."""
    for item in house.items(server):
        there = house.servers[server]
        there.delete(item.id)
        there.put(item.collection, item.columns, tags=item.tags, owner=item.owner)


MEANWHILE: Mapping[str, Callable[[House], None]] = {
    "nothing": lambda house: None,
    **{
        f"{name} {where}": lambda house, act=act, server=server: act(house, server)  # type: ignore[misc]
        for name, act in (("edit", _edit), ("delete", _delete), ("recreate", _recreate))
        for where, server in (("ECS", "alice"), ("CRM", "crm"))
    },
}


# ── Trials ───────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Trial:
    scene: str
    world: str
    number: int  # of the point, among those of the uninterrupted run
    point: Point
    trouble: str
    meanwhile: str

    def __str__(self) -> str:
        at = f"{self.number}: {self.point.where} {self.point.what} {self.point.detail}"
        return f"{self.scene} / {self.world} / {at} / {self.trouble} / {self.meanwhile}"


@dataclass(frozen=True, slots=True)
class Moment:
    """A point of the uninterrupted run, and the world as it was there."""

    point: Point
    world: Saved

    def announced(self) -> int:
        """Id of the oldest write of which the state does not know what became; 0: there is none."""
        oldest: int | None = self.world.state.execute("SELECT min(id) FROM intents").fetchone()[0]
        return oldest or 0

    def written(self) -> frozenset[str]:
        """Names of those to whom a write was sent of which nobody knows whether it arrived, or who were to be made once
        more; what is new is none."""
        query = "SELECT item, columns FROM intents WHERE action != 'create' OR pair_id IS NOT NULL"
        sent = self.world.state.execute(query).fetchall()
        items = {id: i for server in self.world.servers.values() for id, i in server.items.items()}
        known = {id: items[id].columns["first_name"] for id, _ in sent if id in items}
        names = {str(known.get(id) or json.loads(columns).get("first_name", "")) for id, columns in sent}
        return frozenset(names - {""})

    def announced_in_crm(self) -> frozenset[str]:
        """Names of those for whom a record is made, and nobody has heard of it yet."""
        query = "SELECT columns FROM intents WHERE action = 'create' AND side = 'crm'"
        rows = self.world.state.execute(query).fetchall()
        return frozenset(str(json.loads(columns)["first_name"]) for (columns,) in rows)


class Stage:
    """A scene on a kind of server, just before it begins; it can be played any number of times."""

    def __init__(self, folder: Path, scene: str, world: str) -> None:
        self._names = scene, world
        self._scene: Scene = SCENES[scene]
        self._expires = world == "expired cursors"
        batch = 1 if world == "one item a page" else BATCH
        self.house = House(folder, WORLDS[world], people=["alice"], books=self._scene.books, batch=batch)
        self._scene.prepare(self.house)
        self._links = self.house.crm.traits.links
        self._begin: Saved = self.house.save()
        self._endings: dict[tuple[int, str], Ending | str] = {}
        self.moments: list[Moment] = []
        self.excused = (
            0  # trials that ended in the one way or the other that cannot be told from what they should have
        )
        self.house.restore(self._begin)
        self.house.fate.witness = self._remember
        self._play()
        self.house.fate.witness = lambda point: None

    def trials(self) -> Iterator[Trial]:
        people = ["nothing"] if self._scene.later else MEANWHILE
        for number, moment in enumerate(self.moments):
            for trouble in troubles(moment.point):
                for meanwhile in people:
                    yield Trial(*self._names, number, moment.point, trouble, meanwhile)

    def complaint(self, trial: Trial) -> str:
        """What is wrong with how it ends; empty: nothing."""
        found = self._interrupted(trial)
        if isinstance(found, str):
            return found
        for number in self._same_point(trial):
            if alike(found, self._uninterrupted(number, trial.meanwhile)):
                return ""
        if self._back_again(trial, found) or self._asked(trial, found):
            self.excused += 1
            return ""
        wanted = self._uninterrupted(trial.number, trial.meanwhile)
        return f"without trouble: {wanted}" if isinstance(wanted, str) else difference(found, wanted)

    def _same_point(self, trial: Trial) -> Iterator[int]:
        """Numbers of the points that are the same to whoever looks at the two servers: those between the same two
        writes, and also those before a write of which nobody knows whether it arrived."""
        first = self.moments[trial.number].announced()
        unknown = [n for n, m in enumerate(self.moments) if first and 0 < m.announced() <= first]
        begin, end = self._around(min([*unknown, trial.number]))[0], self._around(trial.number)[1]
        known = {n for n, meanwhile in self._endings if meanwhile == trial.meanwhile}
        yield from sorted(range(begin, end), key=lambda n: (n not in known, abs(n - trial.number), n))

    def _back_again(self, trial: Trial, found: Ending) -> bool:
        """The one ambiguity that is left. Somebody deletes one of two partners just when nobody knows whether a write
        to one of them arrived: with it gone nobody can tell any more, and where the write is found on the other one,
        its version may be a person's as well as ours. Then the edit wins over the delete, because nothing may be lost,
        and who was deleted is there again, on both sides; all others are as they should be."""
        what = trial.meanwhile.partition(" ")[0]
        names = self.moments[trial.number].written()
        if what not in ("delete", "recreate") or not names:
            return False
        refs = (self._uninterrupted(number, trial.meanwhile) for number in self._same_point(trial))
        rest = without(found, names)
        same = any(not isinstance(ref, str) and alike(rest, without(ref, names)) for ref in refs)
        return same and all(paired(found, name, 1 if what == "delete" else 2) for name in names)

    def _asked(self, trial: Trial, found: Ending) -> bool:
        """Where the CRM has no external ids, only its columns say whose a record is. Who edits one of which nobody has
        heard yet makes it anybody's: it is linked like any partner, and what differs is a question."""
        names = self.moments[trial.number].announced_in_crm()
        if trial.meanwhile != "edit CRM" or self._links or not names:
            return False
        rest = without(found, names)
        refs = (self._uninterrupted(number, trial.meanwhile) for number in self._same_point(trial))
        same = any(not isinstance(ref, str) and alike(rest, without(ref, names)) for ref in refs)
        return same and all(paired(found, name, 1) for name in names)

    def _around(self, number: int) -> tuple[int, int]:
        """The stretch between two writes in which the point lies; it may begin before the first point."""
        writes = [n for n, m in enumerate(self.moments) if m.point.after and m.point.where != "state"]
        before = [n for n in writes if n <= number]
        after = [n for n in writes if n > number]
        return (before[-1] if before else -1), (after[0] if after else len(self.moments))

    def _interrupted(self, trial: Trial) -> Ending | str:
        if trial.trouble != "killed":
            return self._ending(trial.number, trial.meanwhile, troubles(trial.point)[trial.trouble])
        self.house.restore(self.moments[trial.number].world)
        self._meanwhile(trial.meanwhile)
        return self._end()

    def _uninterrupted(self, number: int, meanwhile: str) -> Ending | str:
        """Played once; where nobody does anything, it does not matter when they do nothing."""
        number = -1 if meanwhile == "nothing" else number
        if (number, meanwhile) not in self._endings:
            self._endings[number, meanwhile] = self._ending(number, meanwhile, lambda house, point: None)
        return self._endings[number, meanwhile]

    def _ending(self, number: int, meanwhile: str, trouble: Act) -> Ending | str:
        def strike(point: Point) -> None:
            self._meanwhile(meanwhile)
            trouble(self.house, point)

        self.house.restore(self._begin)
        if number < 0:
            self._meanwhile(meanwhile)
        else:
            self.house.fate.plan(strike, at=lambda p: p.writes, skip=number)
        self._play()
        return self._end()

    def _play(self) -> None:
        house = self.house
        with suppress(StateError):  # an undo by hand ends with it
            self._scene.act(house)
        house.fate.clear()
        for server in house.servers.values():
            server.faults.clear()
        house.begin()

    def _meanwhile(self, what: str) -> None:
        self.house.clock.tick(1)
        MEANWHILE[what](self.house)
        if self._expires:
            for server in self.house.servers.values():
                server.expire_cursors()

    def _end(self) -> Ending | str:
        house = self.house
        house.clock.tick(TWO_HOURS)
        if self._scene.later:
            house.engine.sync()
            house.clock.tick()
        if self._scene.repeated:
            self._scene.act(house)
        house.engine.sync()
        ending = ending_of(house)
        house.clock.tick()
        report = house.engine.sync()
        if (report["writes"], report["errors"]) != (0, []):
            return f"it goes on: {report}"
        return ending

    def _remember(self, point: Point) -> None:
        if point.writes:
            self.moments.append(Moment(point, self.house.save()))


@contextmanager
def stage(folder: Path, scene: str, world: str) -> Iterator[Stage]:
    made = Stage(folder, scene, world)
    try:
        yield made
    finally:
        made.house.close()


def share(trials: Iterable[Trial]) -> Iterator[Trial]:
    """Of each point and trouble, the trial in which people do one of the things that they do, and of three points in
    four one in which nobody does anything. Things and troubles take turns point by point: what the uninterrupted run
    ends like is then found out once for all troubles."""
    people = [what for what in MEANWHILE if what != "nothing"]
    turns: dict[int, int] = {}
    for trial in trials:
        turn = turns.setdefault(trial.number, len(turns))
        known = list(troubles(trial.point))
        quiet = (
            turn % 4 > 0 and trial.meanwhile == "nothing" and trial.trouble == known[turn // 4 % len(known)]
        )
        if quiet or trial.meanwhile == people[turn % len(people)]:
            yield trial


def complaint_of(played: Stage, trial: Trial) -> str:
    """As ``Stage.complaint``; a crash is one too, and stops nothing else."""
    try:
        return played.complaint(trial)
    except Exception as error:  # noqa: BLE001
        return "".join(traceback.format_exception(error)[-3:])
