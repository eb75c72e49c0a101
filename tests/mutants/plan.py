"""``make mutants``: every small change to the deciding part, and whether its tests notice.

A mutant that no test notices has to stand in ``survivors.toml``, with the reason. At least 95 of 100 must be noticed.
Names of modules (``merge``) as arguments: these alone.
"""

import os
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor

from tests.mutants.mutants import Mutant, mutants_of
from tests.mutants.survivors import FILE, Survivor, listed, modules
from tests.mutants.trial import ROOT, attempt, path_of

AT_LEAST = 95  # percent
TESTS = "tests/daemon/plan"
# By module; those most likely to notice, and after them the slow ones that only matter where these did not.
BEARING = {
    "each": (("merge_each", "values"), ("merge_properties",)),
    "grant": (("grant", "values"), ()),
    "guard": (("guard", "values"), ()),
    "match": (("match", "values"), ()),
    "members": (("members", "merge_each", "values"), ()),
    "merge": (("merge_table", "merge_each", "merge_groups_and_decisions", "values"), ("merge_properties",)),
    "normalise": (("normalise", "match", "merge_table", "values"), ("merge_properties",)),
    "reconcile": (("whole_items", "values"), ()),
    "terms": (("merge_table", "merge_groups_and_decisions", "values"), ("merge_properties",)),
}
SECONDS = 60  # of CPU; all of the tests take about ten


def main(names: Sequence[str]) -> int:
    chosen = [m for m in modules() if not names or m.rpartition(".")[2] in names]
    mutants = [mutant for module in chosen for mutant in mutants_of(module, path_of(module))]
    bearing = sorted({name for some in BEARING.values() for names in some for name in names})
    if (whole := attempt({}, _files(bearing), seconds=SECONDS)).code:
        print(f"{whole.output}\nThe tests fail without any change; put that right first.", file=sys.stderr)
        return 1
    with ThreadPoolExecutor(os.cpu_count()) as several:
        noticed = list(several.map(is_noticed, mutants))
    alive = {_survivor(m) for m, dead in zip(mutants, noticed, strict=True) if not dead}
    return report(len(mutants), noticed.count(True), alive, {s for s in listed() if s.module in chosen})


def is_noticed(mutant: Mutant) -> bool:
    code = 0
    for names in BEARING[mutant.module.rpartition(".")[2]]:
        if names and not code:
            code = attempt({mutant.module: mutant.text}, _files(names), seconds=SECONDS).code
    print("." if code else "S", end="", file=sys.stderr, flush=True)
    return code != 0


def _files(names: Iterable[str]) -> list[str]:
    return ["--noconftest", *(f"{TESTS}/test_{name}.py" for name in names)]


def _survivor(mutant: Mutant) -> Survivor:
    return Survivor(mutant.module, mutant.old, mutant.new)


def report(total: int, noticed: int, alive: set[Survivor], known: set[Survivor]) -> int:
    percent = 100 * noticed / total
    print(f"\n{noticed} of {total} mutants were noticed: {percent:.1f} %")
    for survivor in sorted(alive - known):
        print(f"survives, and is not listed:\n{survivor.row()}")
    for survivor in sorted(known - alive):
        print(f"is listed, but is noticed now, or is no mutant any more:\n{survivor.row()}")
    if alive != known:
        print(f"Write a test, or put the reason into {FILE.relative_to(ROOT)}; take out what is noticed now.")
    if percent < AT_LEAST:
        print(f"At least {AT_LEAST} % have to be noticed.")
    return int(alive != known or percent < AT_LEAST)
