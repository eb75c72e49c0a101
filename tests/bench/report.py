"""The page and the plot that the bench writes."""

import math
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

from tests.bench.record import Part, joined
from tests.bench.terms import Bar

_PAGE = """# Performance

Made by `make bench`; do not edit. How it was measured stands at the end.

Everything is measured in a running service, after login and discovery, against servers on the same machine. The
*floor* is a raw client that does the least that any client has to do for the same work: it asks what changed, fetches
it in batches, writes records in collections and stamps item by item, over connections that stay open, as many at a time
as the service. It merges nothing, keeps no state and reads nothing back. It took {floor:.2f} ms of CPU time a request
at most; above {limit} ms the bench fails, because a slow floor flatters. Counts come from counting proxies. Times
depend on the machine and on what else it does: compare ratios, and runs on the same machine.

A replica of a CRM runs in a process of its own beside the embedded CRM. Both sizes were changed over as many months,
so that one month of the smaller CRM fills one answer of 2,000 rows: more than that must never be in memory.

![Time of a first sync, in multiples of the floor's](performance.svg)

| figure | size | measured | bar | |
| --- | --- | --- | --- | --- |
{rows}

## Where the limit is

{limits}

## What the requests are for

{details}

## How it was measured

| part | on | sizes | by |
| --- | --- | --- | --- |
{parts}

The large sizes are measured by `CRMSYNC_BENCH=full make bench`, a part alone by `python -m tests.bench --only PART`.
vdirsyncer only copies, from one address book to another;
its floor does the same, and what it takes to start it is taken off.
"""


_LIMITS = """The floor of a first sync without a round trip takes {floor:.2f} ms of CPU time a request, and an item
needs one: 1.5 times its time would leave {left:.2f} ms an item for everything that the floor does not do (matching,
intents, snapshots, commits). With a round trip of 20 ms the connection is what takes time, on real servers the server
is; those ratios are what an installation sees.

Of the service's own CPU time (a profile of the thread that leads; waiting left out):

| area | share |
| --- | --- |
{shares}

What it would take to come down to 0.5 ms an item, in the order of what it would bring: bulk inserts past SQLAlchemy
(an item is about ten rows, and each costs some 15 µs before SQLite sees it); a smaller HTTP client than urllib3 (230 µs
a PUT against 100 µs with `http.client` and 55 µs with a bare socket); the columns of a vCard found in one pass over its
lines (110 µs to read one, of which 20 µs are the lines); stamps written by more than one process. None of them is
done: each trades a library that others keep well, or a plain sentence in the code, for a first sync that happens once.
"""


def page(parts: Mapping[str, Part], limit: float) -> str:
    results = joined(parts.values())
    figures = results.figures
    floor = max(results.floor_cpu.values(), default=0.0)
    least = min(results.floor_cpu.values(), default=0.0)
    shares = "\n".join(f"| {area} | {share:.0%} |" for area, share in results.shares.items())
    limits = _LIMITS.format(floor=least, left=least / 2, shares=shares)
    rows = "\n".join(f"| {f.what} | {f.size} | {f.measured} | {f.bar} | {_mark(f.met)} |" for f in figures)
    details = "\n".join(f"- {f.what}, {f.size}: {f.detail}" for f in figures if f.detail)
    how = "\n".join(f"| {name} | {p.day} | {p.size} | {p.machine} |" for name, p in parts.items())
    return _PAGE.format(rows=rows, details=details, floor=floor, limit=limit, parts=how, limits=limits)


def _mark(met: bool | None) -> str:
    return {True: "met", False: "**missed**", None: ""}[met]


# ── Plot ─────────────────────────────────────────────────────────────────────────────────────────────────────

_WIDTH, _LEFT, _RIGHT, _STEP, _TOP = 760, 300, 60, 26, 46
_COLOURS = {"crmsync": "#2b6cb0", "vdirsyncer": "#a0aec0"}
_TICKS = (1, 1.5, 2, 5, 10, 20, 50, 100)


def plot(bars: Sequence[Bar]) -> str:
    """Horizontal bars over a logarithmic axis that begins at the floor."""
    most = max([2.0, *(b.ratio for b in bars)])
    height = _TOP + _STEP * len(bars) + 20
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" '
        'font-size="12" role="img">',
        "<title>Time of a first sync, in multiples of the floor's</title>",
        f'<rect width="{_WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="{_LEFT}" y="16" fill="#1a202c">time of a first sync, in multiples of the floor’s</text>',
        *(_tick(tick, most, height) for tick in _TICKS if tick <= most),
        *(_bar(bar, number, most) for number, bar in enumerate(bars)),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _x(ratio: float, most: float) -> float:
    share = math.log(max(ratio, 1.0)) / math.log(most)
    return _LEFT + share * (_WIDTH - _LEFT - _RIGHT)


def _tick(tick: float, most: float, height: int) -> str:
    x = _x(tick, most)
    return (
        f'<line x1="{x:.1f}" y1="{_TOP - 6}" x2="{x:.1f}" y2="{height - 14}" stroke="#e2e8f0"/>'
        f'<text x="{x:.1f}" y="{_TOP - 12}" text-anchor="middle" fill="#718096">{tick:g}</text>'
    )


def _bar(bar: Bar, number: int, most: float) -> str:
    y, x = _TOP + _STEP * number, _x(bar.ratio, most)
    label = escape(f"{bar.who}: {bar.group}")
    return (
        f'<text x="{_LEFT - 8}" y="{y + 13}" text-anchor="end" fill="#1a202c">{label}</text>'
        f'<rect x="{_LEFT}" y="{y + 2}" width="{max(x - _LEFT, 2):.1f}" height="{_STEP - 10}" '
        f'fill="{_COLOURS[bar.who]}"/>'
        f'<text x="{max(x, _LEFT + 2) + 5:.1f}" y="{y + 13}" fill="#1a202c">{bar.ratio:.1f}</text>'
    )
