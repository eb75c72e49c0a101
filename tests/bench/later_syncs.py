"""Later syncs: nothing has changed, or little has. What counts is that they do not grow with what exists."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from statistics import mean, median

from tests.bench.scene import Run, Scene, scene
from tests.bench.terms import Figure, Results, Sizes, kilobytes, thousands

OBJECTS = 3  # of the CRM: contacts, events, tasks
IDLE_BYTES, IDLE_CPU = 2_000, 15.0  # ms
ONE_REQUESTS, ONE_BYTES = 4, 4_000
TEN_REQUESTS, DELETE_REQUESTS = 24, 102
RUNS = 5
FETCHES = ("REPORT multiget", "GET by id", "read back")
FLAT = 1.1  # times as many bytes; CPU time may be half as much again, since it varies from run to run
FLAT_CPU = 1.5

Prepare = Callable[[Scene, int], None]  # with the number of an edit that nothing has had before
_ONE: Mapping[str, Prepare] = {
    "one changed in the address book": lambda stage, edit: stage.fill(3, 4, edit=edit),
    "one changed in the CRM": lambda stage, edit: stage.edit_in_crm(5, 6, edit),
}
_ANY: Mapping[str, Prepare] = {"nothing changed": lambda stage, edit: None, **_ONE}


def later_syncs(results: Results, sizes: Sizes) -> None:
    with ExitStack() as stack:
        stages = {items: stack.enter_context(scene(count=True)) for items in sizes.idle}
        for items, stage in stages.items():
            stage.synced_long_ago(items)
            _idle(results, stage, items)
            _one(results, stage, items)
            _ten(results, stage, items)
            _reconcile(results, stage, items)
            _deletes(results, stage, items)
        for what, prepare in _ANY.items():
            _grown(results, what, prepare, stages)


def _idle(results: Results, stage: Scene, items: int) -> None:
    runs = [_next(stage) for _ in range(RUNS)]
    worst = max(runs, key=lambda r: r.all.requests)
    cpu = mean(r.told["cpu"] for r in runs) * 1000
    rows, size = max(r.rows for r in runs), max(r.all.bytes for r in runs)
    measured = (
        f"{worst.dav.requests} + {worst.crm.requests} requests, {kilobytes(size)}, {cpu:.1f} ms CPU, "
        f"{worst.all.writes} writes, {rows} rows"
    )
    met = (
        worst.dav.requests <= 1
        and worst.crm.requests <= OBJECTS
        and size < IDLE_BYTES
        and cpu <= IDLE_CPU
        and not worst.all.writes
        and not rows
    )
    bar = f"1 + {OBJECTS} requests, 2 KB, {IDLE_CPU:.0f} ms, 0 writes, 0 rows"
    results.add(Figure("nothing changed", _size(items), measured, bar, met, _purposes(worst)))
    peak = max(r.told["peak"] for r in runs)
    results.add(
        Figure("peak memory, nothing changed", _size(items), f"{peak / 1e6:.1f} MB over the start", "flat")
    )


def _next(stage: Scene) -> Run:
    stage.turn()
    return stage.run()


def _one(results: Results, stage: Scene, items: int) -> None:
    """The requests that every sync makes are among them. The look at what the servers answer to the write is the next
    turn's, and counted with it."""
    stage.turn()
    for what, prepare in _ONE.items():
        prepare(stage, 1)
        _tell_one(results, what, stage.run(), items)
        _tell_echo(results, f"our own echo, {what}", _next(stage), items)
        stage.settle()


def _tell_one(results: Results, what: str, run: Run, items: int) -> None:
    assert run.told["updated"] == 1, run.told
    again, size = run.all.purposes.get("read back", 0), run.all.sizes.get("read back", 0)
    beyond, left = run.all.requests - again, run.all.bytes - size
    measured = (
        f"{beyond} requests, {kilobytes(left)}, + {again} read back, {kilobytes(size)}; "
        f"{run.told['cpu'] * 1000:.0f} ms CPU"
    )
    met = beyond <= ONE_REQUESTS and left < ONE_BYTES
    bar = f"{ONE_REQUESTS} requests, {ONE_BYTES // 1000} KB"
    results.add(Figure(what, _size(items), measured, bar, met, _purposes(run)))


def _tell_echo(results: Results, what: str, run: Run, items: int) -> None:
    """What we wrote ourselves is told to us as a change."""
    fetches = sum(run.all.purposes.get(p, 0) for p in FETCHES)
    measured = f"{fetches} fetches, {run.all.writes} writes"
    met = not fetches and not run.all.writes
    results.add(Figure(what, _size(items), measured, "0 fetches, 0 writes", met, _purposes(run)))


def _grown(results: Results, what: str, prepare: Prepare, stages: Mapping[int, Scene]) -> None:
    """In turns, since a machine that others use as well may be half as fast a minute later."""
    few, many = min(stages), max(stages)
    runs: dict[int, list[Run]] = {few: [], many: []}
    for turn in range(RUNS):
        for items in (few, many):
            stages[items].settle()
            prepare(stages[items], 10 + turn)
            runs[items].append(stages[items].run())
    requests = [max(r.all.requests for r in runs[n]) for n in (few, many)]
    size = max(r.all.bytes for r in runs[many]) / max(r.all.bytes for r in runs[few])
    cpu = median(b.told["cpu"] / a.told["cpu"] for a, b in zip(runs[few], runs[many], strict=True))
    peaks = [max(r.told["peak"] for r in runs[n]) / 1e6 for n in (few, many)]
    measured = (
        f"{requests[0]} and {requests[1]} requests, {size:.2f} times the bytes, {cpu:.1f} times the CPU time, "
        f"{peaks[0]:.1f} and {peaks[1]:.1f} MB over the start"
    )
    met = requests[0] == requests[1] and size <= FLAT and cpu <= FLAT_CPU
    bar = f"as many requests, {FLAT} times the bytes, {FLAT_CPU} times the CPU time"
    results.add(Figure(f"{what}, grown", f"{few:,} and {many:,} contacts", measured, bar, met))


def _ten(results: Results, stage: Scene, items: int) -> None:
    stage.edit_in_crm(10, 20, 2)
    stage.fill(20, 30, edit=2)
    run = stage.run()
    assert run.told["updated"] == 20, run.told
    met = run.all.requests <= TEN_REQUESTS
    measured = f"{run.all.requests} requests, {kilobytes(run.all.bytes)}"
    bar = f"{TEN_REQUESTS} requests"
    results.add(Figure("10 changes on each side", _size(items), measured, bar, met, _purposes(run)))
    stage.settle()


def _reconcile(results: Results, stage: Scene, items: int) -> None:
    for what in ("delete reconciliation, the first", "delete reconciliation, a later one"):
        run = stage.run("reconcile")
        fetches = sum(run.all.purposes.get(p, 0) for p in FETCHES)
        measured = f"{run.all.requests} requests, {fetches} of them fetches, {run.told['wall']:.1f} s"
        detail = f"{_purposes(run)}; peak {run.told['peak'] / 1e6:.1f} MB"
        results.add(
            Figure(what, _size(items), measured, "one listing a side, no fetches", not fetches, detail)
        )
        stage.settle()


def _deletes(results: Results, stage: Scene, items: int) -> None:
    stage.drop(100, 200)
    run = stage.run()
    assert run.told["deleted"] == 100, run.told
    met = run.all.requests <= DELETE_REQUESTS
    measured = f"{run.all.requests} requests, {kilobytes(run.all.bytes)}"
    bar = f"{DELETE_REQUESTS} requests"
    results.add(Figure("100 deletes", _size(items), measured, bar, met, _purposes(run)))


def many_accounts(results: Results, sizes: Sizes) -> None:
    """All accounts of one CRM login, in their turns within one interval, as the scheduler gives them."""
    accounts, items = sizes.accounts
    with scene(accounts=accounts, count=True, select="linked") as stage:
        stage.synced_long_ago(items)
        for _ in range(2):
            stage.run("turns")
            stage.turn()
        run = stage.run("turns")
    told = run.told
    cores = told["cpu"] / 60
    measured = (
        f"{told['wall']:.1f} s of 60 s, {cores:.2f} cores, {run.crm.requests} CRM requests, "
        f"{run.dav.requests / accounts:.1f} requests an account, {run.rows} rows"
    )
    met = told["wall"] <= 60 and cores < 1 and run.crm.requests <= OBJECTS
    size = f"{thousands(accounts)} accounts of {items}"
    bar = f"60 s, under 1 core, {OBJECTS} CRM requests"
    results.add(Figure("nothing changed, one CRM login", size, measured, bar, met, _purposes(run)))


def _purposes(run: Run) -> str:
    return ", ".join(f"{n} {p}" for p, n in sorted(run.all.purposes.items()))


def _size(items: int) -> str:
    return f"{items:,} contacts"
