"""The state machine at its nightly size: many stories, others each time, until so many steps have been taken.

    python -m tests.daemon.machine.nightly [--steps N] [--processes N] [--seconds N] [--seed N] [--shorten] [HOUSE …]

Ends with 1 at the first violation, which is shown as it was found, with the seed that tells it again; ``--shorten``
looks for the shortest story that tells it.
"""

import argparse
import multiprocessing
import secrets
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from hypothesis import Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.daemon.machine.test_calls_machine import CallsStory
from tests.daemon.machine.test_copied_machine import CopiedStory
from tests.daemon.machine.test_delegates_machine import DelegateStory, ForeignStory
from tests.daemon.machine.test_granted_machine import GrantedStory
from tests.daemon.machine.test_http_machine import over_a_real_server, over_http
from tests.daemon.machine.test_machine import Story
from tests.daemon.machine.test_series_machine import over_calendars

ALL_STEPS = 100_000
STORIES = 30  # that one seed tells
LENGTH = 60  # steps of a story


HOUSES: Mapping[str, Callable[[], AbstractContextManager[type[Story]]]] = {
    "memory": lambda: nullcontext(Story),
    "delegates": lambda: nullcontext(DelegateStory),
    "protocols": lambda: nullcontext(ForeignStory),
    "calls": lambda: nullcontext(CallsStory),
    "copied": lambda: nullcontext(CopiedStory),
    "granted": lambda: nullcontext(GrantedStory),
    "series": over_calendars,
    "http": over_http,
    "radicale": over_a_real_server,
}


@dataclass(frozen=True)
class Shift:
    """What one process does."""

    houses: tuple[str, ...]  # in turn
    steps: int
    seconds: float  # 0: as long as it takes
    seed: int  # of its first stories
    phases: tuple[Phase, ...]


def work(shift: Shift, results: Any) -> None:
    """Puts (steps by house, violation or nothing) into ``results``."""
    taken: Counter[str] = Counter()
    violation, begun, number = "", time.monotonic(), shift.seed
    while sum(taken.values()) < shift.steps and not violation:
        if shift.seconds and time.monotonic() - begun > shift.seconds:
            break
        name = shift.houses[number % len(shift.houses)]
        with HOUSES[name]() as story:
            before = story.taken
            try:
                _tell(story, number, shift.phases)
            except BaseException:  # noqa: BLE001 - whatever it was is told by the parent
                violation = f"{name} --seed {number}\n{traceback.format_exc()}"
            taken[name] += story.taken - before
        print(f"{name} {number}: {sum(taken.values())} steps", file=sys.stderr, flush=True)
        number += 1
    results.put((taken, violation))


def _tell(story: type[Story], number: int, phases: Sequence[Phase]) -> None:
    profile = settings(
        settings.get_profile("nightly"),
        max_examples=STORIES,
        stateful_step_count=LENGTH,
        database=None,
        phases=phases,
    )
    run_state_machine_as_test(seed(number)(story), settings=profile)


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument(
        "houses", nargs="*", choices=[[], *HOUSES], help="all of them, in turn, if none is named"
    )
    parser.add_argument("--steps", type=int, default=ALL_STEPS)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0, help="stop after so long")
    parser.add_argument("--seed", type=int, default=secrets.randbelow(10**9))
    parser.add_argument("--shorten", action="store_true", help="look for the shortest story: minutes")
    wanted = parser.parse_args(arguments)
    results: Any = multiprocessing.Queue()
    houses = tuple(wanted.houses or HOUSES)
    phases = (Phase.generate, Phase.shrink) if wanted.shorten else (Phase.generate,)
    share = -(-wanted.steps // wanted.processes)
    begun = time.monotonic()
    workers = [
        multiprocessing.Process(
            target=work,
            args=(Shift(houses, share, wanted.seconds, wanted.seed + 1_000_000 * n, phases), results),
        )
        for n in range(wanted.processes)
    ]
    for worker in workers:
        worker.start()
    reports = [results.get() for _ in workers]
    for worker in workers:
        worker.join()
    taken: Counter[str] = sum((steps for steps, _ in reports), Counter())
    violations = [violation for _, violation in reports if violation]
    print("\n".join(violations))
    told = ", ".join(f"{number:,} over {name}" for name, number in sorted(taken.items()))
    print(
        f"{sum(taken.values()):,} steps ({told}) in {time.monotonic() - begun:.0f} s, {len(violations)} violations"
    )
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
