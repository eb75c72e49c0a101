"""``make torture``: kill points by the thousand, in two processes, as a table.

    python -m tests.daemon.machine.run_torture [--all] [--processes 2] [SCENE…]

Every point of every scene on every kind of server, with everything that can go wrong there: once while nobody does
anything, and once with one of the things that people do, each in turn. With ``--all``, with all of them.
"""

import argparse
import gc
import multiprocessing
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.daemon.machine.scenes import SCENES
from tests.daemon.machine.torture import MEANWHILE, WORLDS, Trial, complaint_of, share, stage


@dataclass(frozen=True, slots=True)
class Result:
    scene: str
    world: str
    points: int
    trials: int
    failures: tuple[str, ...]


def played(task: tuple[str, str, bool]) -> Result:
    scene, world, everything = task
    gc.disable()  # a tenth of the time; what a scenario leaves behind is collected at its end
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), scene, world) as played:
        trials: list[Trial] = list(played.trials() if everything else share(played.trials()))
        failures = [f"{t}\n    {c}" for t in trials if (c := complaint_of(played, t))]
        gc.collect()
        return Result(scene, world, len({t.number for t in trials}), len(trials), tuple(failures))


def table(results: Sequence[Result]) -> str:
    """Trials by scene and kind of server; failures in brackets."""
    worlds = list(dict.fromkeys(r.world for r in results))
    width = max(map(len, SCENES))
    lines = [" " * width + "".join(f"{w:>26}" for w in worlds)]
    for scene in dict.fromkeys(r.scene for r in results):
        cells = {r.world: f"{r.trials} ({len(r.failures)})" for r in results if r.scene == scene}
        lines.append(f"{scene:{width}}" + "".join(f"{cells.get(w, ''):>26}" for w in worlds))
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help=f"all {len(MEANWHILE)} things that people do")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    wanted = parser.parse_args()
    begun = time.monotonic()
    tasks = [(s, w, wanted.all) for s, w in product(wanted.scenes or SCENES, WORLDS)]
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(wanted.processes) as pool:
        for result in pool.imap_unordered(played, tasks):
            results.append(result)
            for failure in result.failures:
                print(failure, flush=True)
    results.sort(key=lambda r: (list(SCENES).index(r.scene), list(WORLDS).index(r.world)))
    failed = sum(len(r.failures) for r in results)
    print(table(results))
    print(
        f"{sum(r.trials for r in results)} kill points: {sum(r.points for r in results)} writes and commits of "
        f"{len(results)} scenarios; {failed} failures; {time.monotonic() - begun:.0f} s"
    )
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
