"""``make torture``: kill points by the thousand, in two processes, as a table; and real kills of a real process.

    python -m tests.daemon.machine.run_torture [--all] [--processes 2] [SCENE…]

Every point of every scene on every kind of server, with everything that can go wrong there, while people do one of the
things that they do, each in turn; at three points in four once while nobody does anything, too. With
``--all``, with all of them.
"""

import argparse
import gc
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from tests.daemon.machine.scenes import SCENES
from tests.daemon.machine.torture import MEANWHILE, WORLDS, Trial, complaint_of, share, stage

REAL = "tests/faults/test_kills.py"
LEAST = 4_000  # kill points of a run over all scenes: with fewer, something is left out
EXCUSED = 50  # at most, of such a run: 38 are known; more of them mean that something cannot be told any more
PATIENCE = 20  # seconds that the real kills get to put their servers away


@dataclass(frozen=True, slots=True)
class Result:
    scene: str
    world: str
    points: int
    trials: int
    failures: tuple[str, ...]
    excused: int  # ended with an edit that won over a delete, or with a question, because nobody could know


def played(task: tuple[str, str, bool]) -> Result:
    scene, world, everything = task
    gc.disable()  # a tenth of the time; what a scenario leaves behind is collected at its end
    with tempfile.TemporaryDirectory() as folder, stage(Path(folder), scene, world) as played:
        trials: list[Trial] = list(played.trials() if everything else share(played.trials()))
        failures = [f"{t}\n    {c}" for t in trials if (c := complaint_of(played, t))]
        gc.collect()
        return Result(
            scene, world, len({t.number for t in trials}), len(trials), tuple(failures), played.excused
        )


def table(results: Sequence[Result]) -> str:
    """Trials by scene and kind of server; failures in brackets."""
    worlds = list(dict.fromkeys(r.world for r in results))
    width = max(map(len, SCENES))
    lines = [" " * width + "".join(f"{w:>26}" for w in worlds)]
    for scene in dict.fromkeys(r.scene for r in results):
        cells = {r.world: f"{r.trials} ({len(r.failures)})" for r in results if r.scene == scene}
        lines.append(f"{scene:{width}}" + "".join(f"{cells.get(w, ''):>26}" for w in worlds))
    return "\n".join(lines)


# ── Real kills ───────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def real_kills() -> Iterator[subprocess.Popen[str]]:
    """SIGKILL to a real process over real servers, beside the simulated ones. Whoever interrupts us interrupts it."""
    command = [sys.executable, "-m", "pytest", "-q", "--tb=short", "-p", "no:cacheprovider", REAL]
    with subprocess.Popen(
        command,
        env={**os.environ, "CRMSYNC_TORTURE": "full"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,  # Ctrl-C reaches it through us alone, so that it is told once
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.communicate(timeout=PATIENCE)
                except subprocess.TimeoutExpired:
                    process.kill()


def counted(said: str, code: int) -> tuple[int, int]:
    """How many there were, and how many have failed: by pytest's last line."""
    numbers = {what: int(n) for n, what in re.findall(r"(\d+) (passed|failed|error)", said)}
    failed = numbers.get("failed", 0) + numbers.get("error", 0)
    return numbers.get("passed", 0) + failed, failed or int(code != 0)


# ── All of it ────────────────────────────────────────────────────────────────────────────────────────────────


@contextmanager
def a_place_of_our_own() -> Iterator[None]:
    """Everything that we and our processes make lies in one folder, which goes with us, however we are stopped."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="crmsync-torture-", ignore_cleanup_errors=True) as folder:
        os.environ["TMPDIR"] = tempfile.tempdir = folder
        yield


def simulated(tasks: Sequence[tuple[str, str, bool]], processes: int) -> list[Result]:
    results: list[Result] = []
    with multiprocessing.get_context("spawn").Pool(processes, initializer=_led) as pool:
        for result in pool.imap_unordered(played, tasks):
            results.append(result)
            for failure in result.failures:
                print(failure, flush=True)
        pool.close()
        pool.join()
    return sorted(results, key=lambda r: (list(SCENES).index(r.scene), list(WORLDS).index(r.world)))


def _led() -> None:
    """Ctrl-C goes to the whole group; the parent ends us."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--all", action="store_true", help=f"all {len(MEANWHILE)} things that people do")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("scenes", nargs="*", metavar="SCENE", help=", ".join(SCENES))
    wanted = parser.parse_args()
    begun = time.monotonic()
    tasks = [(s, w, wanted.all) for s, w in product(wanted.scenes or SCENES, WORLDS)]
    try:
        with a_place_of_our_own(), real_kills() as process:
            results = simulated(tasks, wanted.processes)
            said, _ = process.communicate()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130
    real, survived = counted(said, process.returncode)
    if survived:
        print(said)
    failed = sum(len(r.failures) for r in results) + survived
    points, kills = sum(r.points for r in results), sum(r.trials for r in results) + real
    print(table(results))
    excused = sum(r.excused for r in results)
    print(f"{points} writes and commits of {len(results)} scenarios; {real} real kills")
    print(f"{kills} kill points, {failed} failures, {time.monotonic() - begun:.0f} s")
    print(f"{excused} of them could not be told from an edit that wins over a delete, or were asked about")
    if not wanted.scenes and kills <= LEAST:
        print(f"fewer than {LEAST} kill points", file=sys.stderr)
        return 1
    if not wanted.scenes and not wanted.all and excused > EXCUSED:
        print(f"more than {EXCUSED} that could not be told", file=sys.stderr)
        return 1
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
