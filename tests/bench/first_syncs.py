"""First syncs: the service against the floor, and vdirsyncer against a floor that copies as it does."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from tests.bench.house import Counts, Server, counted, started, working
from tests.bench.scene import LOGIN_FORM, real, scene
from tests.bench.terms import Bar, Figure, Results, Sizes, kilobytes, thousands
from tests.bench.vdir import Took, Vdirsyncer, command

ROUND_TRIPS = (0.0, 0.02)
WALL, REAL, CPU = 1.5, 1.1, 0.5  # times the floor; ms of an item
FLOOR_CPU = 0.4  # ms a request
PEAK = 64_000_000  # bytes
STATE = 3_000  # bytes of the state for each mapped contact


Run = Mapping[str, Any]


class Turn(NamedTuple):
    floor: Run
    ours: Run

    @property
    def ratio(self) -> float:
        ratio: float = self.ours["wall"] / self.floor["wall"]
        return ratio


def in_turns(turns: int, floor: Callable[[], Run], ours: Callable[[], Run]) -> list[Turn]:
    """One after the other, since a machine that others use as well may be half as fast a minute later; sorted by the
    ratio. Who begins changes from turn to turn."""
    made: list[Turn] = []
    for number in range(turns):
        if number % 2:
            later = ours()
            made.append(Turn(floor(), later))
        else:
            made.append(Turn(floor(), ours()))
    return sorted(made, key=lambda turn: turn.ratio)


def in_memory(results: Results, sizes: Sizes) -> None:
    for items in sizes.first:
        for delay in ROUND_TRIPS:
            turns = in_turns(
                sizes.turns if items <= 1_000 else 1,
                partial(_floor, items, delay),
                partial(_service, items, delay),
            )
            _tell(results, "first sync, servers in memory", f"{_size(items)}, {_trip(delay)}", turns, WALL)
    _tell_requests(results, sizes.first[0])


def peak(results: Results, sizes: Sizes) -> None:
    if sizes.largest:
        _tell_peak(results, sizes.largest, _service(sizes.largest, 0.0)["peak"])


def _tell_peak(results: Results, items: int, most: int) -> None:
    met = most <= PEAK if items >= 100_000 or most > PEAK else None
    measured = f"{most / 1e6:.1f} MB over the start"
    results.add(Figure("peak memory of a first sync", _size(items), measured, "64 MB at 100,000", met))


def on_real_servers(results: Results, sizes: Sizes) -> None:
    most = {
        "radicale": sizes.turns,
        "xandikos": 1,
    }  # which writes into Git, one by one: minutes, but always as many
    for kind, number in most.items():
        turns = in_turns(
            number,
            partial(_on_real, kind, sizes.real, "floor", "first_sync"),
            partial(_on_real, kind, sizes.real, "service", "sync"),
        )
        _tell(results, f"first sync, {kind.capitalize()}", _size(sizes.real), turns, REAL)


def _on_real(kind: str, items: int, who: str, task: str) -> Run:
    with real(kind, items, who) as book:
        return {**book.worker.ask(task), "items": items}


def with_vdirsyncer(results: Results, sizes: Sizes) -> None:
    program = command()
    if program is None:
        results.say("vdirsyncer is not installed (pip install vdirsyncer): its figures are left out")
        return
    items = sizes.first[0]
    for delay in ROUND_TRIPS:
        with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as folder, started("dav_server") as dav:
            dav.ask("/_bench/delay", str(delay))
            tool = Vdirsyncer(program, Path(folder), f"{dav.url}/one/", f"{dav.url}/two/")
            _fill(dav, "one", items)
            took = tool.sync()
            floor = _copying_floor(dav)
        ratio = took.wall / floor["wall"]
        where = f"{_size(items)}, {_trip(delay)}"
        detail = (
            f"{took.wall:.2f} s against {floor['wall']:.2f} s; {took.cpu / items * 1000:.2f} ms CPU an item"
        )
        results.add(Figure("vdirsyncer, first copy", where, f"{ratio:.1f} x", detail=detail))
        results.bars.append(Bar(f"{items:,} contacts, {_trip(delay)}", "vdirsyncer", ratio))
        results.floor_cpu[f"copying, {where}"] = floor["cpu"] / floor["requests"] * 1000
    _vdirsyncer_later(results, program, items)


def _vdirsyncer_later(results: Results, program: str, items: int) -> None:
    with (
        tempfile.TemporaryDirectory(prefix="crmsync-bench-") as folder,
        started("dav_server") as dav,
        started("proxy", str(dav.port)) as proxy,
    ):
        tool = Vdirsyncer(program, Path(folder), f"{proxy.url}/one/", f"{proxy.url}/two/")
        _fill(dav, "one", items)
        tool.sync()
        counted(proxy)
        idle = tool.sync(), counted(proxy)
        _fill(dav, "one", 1, edit=1)
        one = tool.sync(), counted(proxy)
    for what, (took, counts) in (("nothing changed", idle), ("one changed", one)):
        results.add(_later(what, items, took, counts))


def _later(what: str, items: int, took: Took, counts: Counts) -> Figure:
    measured = f"{counts.requests} requests, {kilobytes(counts.bytes)}, {took.cpu * 1000:.0f} ms CPU"
    return Figure(f"vdirsyncer, {what}", _size(items), measured)


def _copying_floor(dav: Server) -> dict[str, Any]:
    with working("floor") as worker:
        worker.ask("login", book=f"{dav.url}/one/")
        told: dict[str, Any] = worker.ask("copy", target=f"{dav.url}/three/")
        return told


def _fill(dav: Server, book: str, items: int, *, edit: int = 0) -> None:
    dav.ask(f"/_bench/fill?book=/{book}/&from=0&to={items}&edit={edit}")


def _floor(items: int, delay: float) -> dict[str, Any]:
    with started("dav_server") as dav, started("crm_server") as crm, working("floor") as worker:
        for server in (dav, crm):
            server.ask("/_bench/delay", str(delay))
        worker.ask("login", book=f"{dav.url}/a0/", crm=crm.url, form=LOGIN_FORM)
        _fill(dav, "a0", items)
        told: dict[str, Any] = worker.ask("first_sync")
        return told


def _service(items: int, delay: float) -> dict[str, Any]:
    with scene(delay=delay) as stage:
        stage.fill(0, items)
        told = stage.run().told
        assert told["created"] == items, told
        return {**told, "items": items, "state": stage.state_size()}


def _tell(results: Results, what: str, where: str, turns: Sequence[Turn], bar: float) -> None:
    """``turns``: sorted by the ratio; the one in the middle counts."""
    middle = turns[len(turns) // 2]
    floor, ours, ratio = middle.floor, middle.ours, middle.ratio
    measured, times = f"{ratio:.2f} x the floor", f"{ours['wall']:.2f} s against {floor['wall']:.2f} s"
    if len(turns) > 1:
        measured += f" ({turns[0].ratio:.2f} to {turns[-1].ratio:.2f} in {len(turns)} turns)"
    detail = f"{times}; {ours['requests']} requests against {floor['requests']}"
    results.add(Figure(what, where, measured, f"{bar} x", ratio <= bar, detail))
    items = ours["items"]
    cpu = ours["cpu"] / items * 1000
    results.add(Figure("its CPU time", where, f"{cpu:.2f} ms an item", f"{CPU} ms", cpu <= CPU))
    if where.endswith(f", {_trip(0)}"):
        size = ours["state"] / items
        _tell_peak(results, items, ours["peak"])
        results.add(Figure("its state", where, f"{thousands(size)} bytes a contact", "3,000", size <= STATE))
    results.floor_cpu[f"{what}, {where}"] = floor["cpu"] / floor["requests"] * 1000
    group = where if "memory" in what else f"{where}, {what.rpartition(', ')[2]}"
    results.bars.append(Bar(group, "crmsync", ratio))


def _tell_requests(results: Results, items: int) -> None:
    """What the requests of a first sync are for, through counting proxies."""
    with scene(count=True) as stage:
        stage.fill(0, items)
        run = stage.run()
    dav, crm = run.dav.purposes, run.crm.purposes
    stamps = dav.get("PUT", 0)
    again = dav.get("read back", 0), crm.get("read back", 0)
    others = run.all.requests - stamps - sum(again)
    measured = f"{stamps} stamps, {again[0]} + {again[1]} read back, {others} others"
    detail = "; ".join(
        f"{side}: " + ", ".join(f"{n} {p}" for p, n in sorted(counts.items()))
        for side, counts in (("address book", dav), ("CRM", crm))
    )
    results.add(Figure("requests of a first sync", _size(items), measured, detail=detail))


def _size(items: int) -> str:
    return f"{items:,} contacts"


def _trip(delay: float) -> str:
    return f"{delay * 1000:.0f} ms round trip"
