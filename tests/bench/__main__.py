"""``make bench``: what syncs cost, held against the least that they could; writes docs/performance.md and its plot
(and docs/performance.json, from which the two are made).

``CRMSYNC_BENCH=full`` measures the large sizes too, which takes an hour.
"""

import argparse
import os
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from tests.bench.by_id import by_id
from tests.bench.first_syncs import FLOOR_CPU, in_memory, on_real_servers, peak, with_vdirsyncer
from tests.bench.later_syncs import later_syncs, many_accounts
from tests.bench.machine import described
from tests.bench.pages import pages
from tests.bench.profile import profile
from tests.bench.record import Part, joined, load, part_of, save
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
    parser.add_argument(
        "--only", choices=PARTS, action="append", help="of all others the former figures stay"
    )
    only = parser.parse_args().only
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(2))  # so that what it has started ends too
    full = os.environ.get("CRMSYNC_BENCH") == "full"
    failed: list[str] = []
    parts = load(DOCS / "performance.json")
    floors: dict[str, float] = {}
    for name in only or PARTS:
        results = Results(say=lambda line: print(line, flush=True))
        try:
            PARTS[name](results, FULL if full else QUICK)
        except RuntimeError as error:  # the others are worth having all the same
            print(f"{name} could not be measured: {error}", file=sys.stderr)
            failed.append(name)
            continue
        floors |= results.floor_cpu
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        parts[name] = part_of(results, day, "large" if full else "small", described())
        _write({name: parts[name] for name in PARTS if name in parts})  # whatever becomes of the next one
    floor = max(floors.values(), default=0.0)
    for which, cost in floors.items():
        print(f"the floor's CPU time a request, {which}: {cost:.2f} ms")
    print(f"the floor took {floor:.2f} ms of CPU time a request at most; {FLOOR_CPU} is allowed")
    return 0 if floor <= FLOOR_CPU and not failed else 1


def _write(parts: Mapping[str, Part]) -> None:
    save(DOCS / "performance.json", parts)
    (DOCS / "performance.md").write_text(page(parts, FLOOR_CPU))
    (DOCS / "performance.svg").write_text(plot(joined(parts.values()).bars))


if __name__ == "__main__":
    sys.exit(main())
