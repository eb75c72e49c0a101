"""What open status pages and calls cost the cycles: 200 pages, of an account each, an open softphone, and 50 calls and
50 decisions a minute beside them.

With and without them in turns, and each turn held against the one before it: whatever else the machine does meanwhile
is in both.
"""

import gc
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from crmsync.connectors.contract import Refused, Side
from crmsync.connectors.memory.connector import MemorySource
from crmsync.daemon.account import Mailbox
from crmsync.daemon.web.access import Viewer
from tests.bench.telephone import Desk
from tests.bench.terms import Figure, Results, Sizes
from tests.daemon.cycle.world import World
from tests.daemon.web.site import Browser, Scene, scene

LOOKING, DECISIONS, CALLS = 200, 50, 50
TURN = 15  # seconds
SLOWER, LARGER = 1.10, 1.10  # times, at most


def pages(results: Results, sizes: Sizes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        world = World(Path(folder))
        try:
            desk = Desk(world, Path(folder))
            try:
                _measure(results, world, desk, sizes.watched)
            finally:
                desk.close()
        finally:
            world.close()


def _measure(results: Results, world: World, desk: Desk, seconds: int) -> None:
    cards = [world.person(f"P{n}", "Sample") for n in range(100)]
    parked = _parked(world)
    for n in range(LOOKING - 2):
        box = Mailbox("memory", MemorySource(world.ecs, Side.ECS))
        other = replace(world.account, name=f"a{n}", mailboxes=[box])
        world.engine.accounts = {**world.engine.accounts, other.name: other}
    ratios: list[float] = []
    watched: list[float] = []
    for web in scene(engine=world.engine, phones=desk.phones):
        web.desk.accounts = [name for name, one in world.engine.accounts.items() if not one.part_of]
        cookies = [_cookie(web, name) for name in web.desk.accounts]
        token, turn = desk.token(), min(TURN, seconds / 8)
        _cycles(world, cards, turn)  # warm
        memory: list[int] = []
        for _ in range(round(seconds / turn / 2)):
            alone = _cycles(world, cards, turn)
            with _onlookers(web, cookies, token, parked), desk.ringing(CALLS):
                beside = _cycles(world, cards, turn)
                gc.collect()
                memory.append(_resident())
            ratios.append(statistics.median(beside) / statistics.median(alone))
            watched += beside
        decided = len(web.desk.asked("reject_retry"))
    ratio = statistics.median(ratios)
    size = f"{LOOKING} open pages, {decided} decisions, {desk.kept()} calls"
    told = f"{statistics.median(watched) * 1000:.1f} ms a cycle, {ratio:.2f} times that without"
    told += f" ({min(ratios):.2f} to {max(ratios):.2f} in {len(ratios)} turns)"
    results.add(Figure("status page: cycles beside it", size, told, f"{SLOWER} times", ratio <= SLOWER))
    growth = memory[-1] / memory[len(memory) // 4]
    told = f"{memory[-1] / 1e6:.0f} MB, {growth:.2f} times that after the first quarter"
    results.add(Figure("status page: memory", size, told, f"{LARGER} times", growth <= LARGER))


def _parked(world: World) -> str:
    card = world.person("Parked", "Sample")
    world.sync()
    (record,) = [r.id for r in world.crm.all(world.people) if r.columns["first_name"] == "Parked"]
    world.crm.faults.answer(record, lambda id: Refused(id, "too_long", "no"), times=1_000_000)
    world.ecs.edit(card, job_title="x")
    world.sync()
    return card


def _cookie(web: Scene, account: str) -> str:
    browser: Browser = web.browser()
    token, _ = web.server.site.links.make(Viewer(account))
    browser.post("/login", {"link": token})
    return browser.cookie


def _cycles(world: World, cards: list[str], seconds: float) -> list[float]:
    """How long each took, of an account that changes one card each time."""
    took: list[float] = []
    until = time.monotonic() + seconds
    number = 0
    while time.monotonic() < until:
        world.ecs.edit(cards[number % len(cards)], job_title=f"t{time.monotonic_ns()}")
        number += 1
        world.clock.tick()
        begun = time.perf_counter()
        world.engine.sync(["alice"])
        took.append(time.perf_counter() - begun)
        time.sleep(0.05)  # no service has nothing but cycles to do
    return took


@contextmanager
def _onlookers(web: Scene, cookies: list[str], softphone: str, parked: str) -> Iterator[None]:
    told = {
        "host": "127.0.0.1",
        "port": web.server.port,
        "cookies": cookies,
        "softphone": softphone,
        "decisions": DECISIONS,
        "account": "alice",
        "item": parked,
    }
    command = [sys.executable, "-m", "tests.bench.onlookers"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(told) + "\n")
            process.stdin.flush()
            if process.stdout.readline().strip() != "looking":
                raise RuntimeError("the pages could not be opened")
            yield
        finally:
            process.kill()


def _resident() -> int:
    """Bytes of this process in memory (proc(5), statm)."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096
