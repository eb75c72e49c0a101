"""What moved, drawn: changes, latency, queue and errors over a day or a month, as SVG that the server writes.

Beside the pictures stands a table with the same numbers, for who cannot see them, or wants to know exactly.
"""

import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from starlette.responses import Response

from crmsync.daemon.web.site import Site, Visit
from crmsync.daemon.web.words import span as in_words

HIGH, STEP, BAR = 100, 10, 8  # of a picture, in its own units
FRESH = timedelta(seconds=20)  # for so long the same numbers are shown, however many look
REMEMBERED = 256  # of those who look at the same ones
_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class Slot:
    """A bar's time, and what happened in it."""

    begins: datetime
    to_ecs: int = 0
    to_crm: int = 0
    errors: int = 0
    waiting: int = 0
    took: int = 0  # milliseconds, of all that arrived
    slowest: int = 0  # milliseconds

    @property
    def arrived(self) -> int:
        return self.to_ecs + self.to_crm

    @property
    def mean(self) -> float:
        """Seconds."""
        return self.took / 1000 / self.arrived if self.arrived else 0.0


@dataclass(frozen=True, slots=True)
class Bar:
    x: int
    y: float
    height: float
    mark: str  # which series it belongs to


@dataclass(frozen=True, slots=True)
class Chart:
    name: str
    title: str
    most: str  # what the highest bar stands for, in words
    bars: tuple[Bar, ...]
    series: tuple[tuple[str, str], ...]  # mark and words, where there is more than one
    wide: int


@dataclass(frozen=True, slots=True)
class Span:
    name: str
    words: str
    size: timedelta  # of a bar
    number: int  # of them
    shown: str  # how a bar's time is written

    def slots(self, hours: Iterable[Mapping[str, Any]], now: datetime) -> list[Slot]:
        """Oldest first, every one of them. ``hours``: as the method ``pulse`` has them."""
        last = self._begin(now)
        found = {begins: Slot(begins) for n in range(self.number) for begins in [last - n * self.size]}
        for hour in hours:
            begins = self._begin(datetime.fromisoformat(hour["begins"]))
            if begins in found:
                found[begins] = _together(found[begins], hour)
        return sorted(found.values(), key=lambda slot: slot.begins)

    def _begin(self, moment: datetime) -> datetime:
        midnight = moment.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return midnight + (moment - midnight) // self.size * self.size


SPANS = {
    one.name: one
    for one in (
        Span("day", "24 hours", _HOUR, 24, "%d %b, %H:%M"),
        Span("month", "31 days", _DAY, 31, "%d %b"),
    )
}


def charts(slots: Sequence[Slot]) -> list[Chart]:
    both = (("to-crm", "to the CRM"), ("to-ecs", "to the ECS side"))
    long = (("mean", "on average"), ("slowest", "the slowest"))
    return [
        _chart("changes", "Changes that arrived", [[s.to_crm, s.to_ecs] for s in slots], both, _number),
        _chart("latency", "From change to arrival", [_latency(s) for s in slots], long, _seconds),
        _chart("queue", "Most changes that waited at once", [[s.waiting] for s in slots], (), _number),
        _chart("errors", "Errors", [[s.errors] for s in slots], (), _number),
    ]


def _latency(slot: Slot) -> list[float]:
    """Stacked: what the slowest took beyond the average."""
    return [slot.mean, max(0.0, slot.slowest / 1000 - slot.mean)]


def _chart(
    name: str,
    title: str,
    values: Sequence[Sequence[float]],
    series: tuple[tuple[str, str], ...],
    said: Callable[[float], str],
) -> Chart:
    """``values``: of each slot, of each series; they are stacked."""
    most = max((sum(some) for some in values), default=0)
    marks = [mark for mark, _ in series] or [name]
    bars = [bar for n, some in enumerate(values) for bar in _stack(n * STEP, some, marks, most)]
    return Chart(name, title, said(most), tuple(bars), series, len(values) * STEP)


def _stack(x: int, values: Sequence[float], marks: Sequence[str], most: float) -> Iterable[Bar]:
    foot = float(HIGH)
    for value, mark in zip(values, marks, strict=True):
        if value > 0:
            height = max(1.0, round(HIGH * value / most, 1))  # one that is there is seen
            foot = round(foot - height, 1)
            yield Bar(x, max(0.0, foot), height, mark)


def _together(slot: Slot, hour: Mapping[str, Any]) -> Slot:
    return Slot(
        slot.begins,
        slot.to_ecs + hour["to_ecs"],
        slot.to_crm + hour["to_crm"],
        slot.errors + hour["errors"],
        max(slot.waiting, hour["waiting"]),
        slot.took + hour["took"],
        max(slot.slowest, hour["slowest"]),
    )


def _number(value: float) -> str:
    return str(int(value))


def _seconds(value: float) -> str:
    return f"{value:.1f} seconds" if value < 60 else in_words(timedelta(seconds=value))


class Charts:
    """Safe to use from several threads."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = threading.Lock()
        self._known: dict[tuple[str, str], tuple[datetime, dict[str, Any]]] = {}

    async def part(self, visit: Visit) -> Response:
        """What the page fetches again and again."""
        return self._site.show("charts.html", visit, **await self.values(visit))

    async def values(self, visit: Visit) -> dict[str, Any]:
        """For ``charts.html``. Raises Failure."""
        given = visit.request.query_params
        account = given.get("account", "") or (visit.viewer.account or "")
        span = SPANS.get(given.get("span", ""), SPANS["day"])
        names = visit.names_of(account) if account else visit.viewer.names
        now, key = self._site.now(), (account, span.name)
        with self._lock:
            known = self._known.get(key)
        if known is None or not timedelta(0) <= now - known[0] < FRESH:  # a clock may be put back
            hours = await self._site.ask(
                "pulse", names=names, days=span.size // _HOUR * span.number // 24 + 1
            )
            known = now, _values(span, hours, now)
            self._keep(key, known)
        return {"account": account, "span": span, "spans": list(SPANS.values()), **known[1]}

    def _keep(self, key: tuple[str, str], known: tuple[datetime, dict[str, Any]]) -> None:
        with self._lock:
            self._known.pop(key, None)
            self._known[key] = known
            while len(self._known) > REMEMBERED:
                del self._known[next(iter(self._known))]


def _values(span: Span, hours: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    slots = span.slots(hours, now)
    lines = [
        {
            "begins": slot.begins.isoformat().replace("+00:00", "Z"),
            "words": slot.begins.strftime(span.shown),
            "slot": slot,
            "mean": _seconds(slot.mean) if slot.arrived else "–",
            "slowest": _seconds(slot.slowest / 1000) if slot.arrived else "–",
        }
        for slot in reversed(slots)
    ]
    return {"charts": charts(slots), "lines": lines, "high": HIGH, "bar_width": BAR, "every": FRESH.seconds}
