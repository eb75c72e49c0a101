"""``make bench``: what syncs cost, held against the least that they could; writes docs/performance.md and its plot.

``CRMSYNC_BENCH=full`` measures the large sizes too, which takes an hour.
"""

import argparse
import os
import signal
import sys
from pathlib import Path

from tests.bench.by_id import by_id
from tests.bench.first_syncs import FLOOR_CPU, in_memory, on_real_servers, peak, with_vdirsyncer
from tests.bench.later_syncs import later_syncs, many_accounts
from tests.bench.machine import described
from tests.bench.pages import pages
from tests.bench.profile import profile
from tests.bench.replication import replication
from tests.bench.report import page, plot
from tests.bench.terms import FULL, QUICK, Results, Sizes


def crm(results: Results, sizes: Sizes) -> None:
    by_id(results, sizes)
    replication(results, sizes)


PARTS = {
    "memory": in_memory,
    "profile": profile,
    "peak": peak,
    "real": on_real_servers,
    "vdirsyncer": with_vdirsyncer,
    "accounts": many_accounts,
    "later": later_syncs,
    "crm": crm,
    "pages": pages,
}
DOCS = Path(__file__).parents[2] / "docs"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", choices=PARTS, action="append", help="nothing is written then")
    only = parser.parse_args().only
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))  # so that what it has started ends too
    full = os.environ.get("CRMSYNC_BENCH") == "full"
    failed: list[str] = []
    results = Results(say=lambda line: print(line, flush=True))
    for name in only or PARTS:
        try:
            PARTS[name](results, FULL if full else QUICK)
        except RuntimeError as error:  # the others are worth having all the same
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            failed.append(name)
    floor = max(results.floor_cpu.values(), default=0.0)
    if only is None:
        size = "the large sizes" if full else "the small sizes"
        text = page(results, described(), FLOOR_CPU, size)
        (DOCS / "performance.md").write_text(text)
        (DOCS / "performance.svg").write_text(plot(results.bars))
    for which, cost in results.floor_cpu.items():
        print(f"the floor's CPU time a request, {which}: {cost:.2f} ms")
    print(f"the floor took {floor:.2f} ms of CPU time a request at most; {FLOOR_CPU} is allowed")
    return 0 if floor <= FLOOR_CPU and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
