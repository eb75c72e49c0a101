"""Events and series as a simple program of a person reads and writes them: line by line, and nothing of the service's
own code. It knows times in UTC, weekly rules, dates left out, and dates that differ in their description."""

import json
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from crmsync.connectors.contract import Columns, Value

HELD = frozenset(
    {"subject", "description", "start", "end", "all_day", "time_zone", "recurrence", "exceptions"}
)
_TEXTS = {"subject": "SUMMARY", "description": "DESCRIPTION"}
_TIMES = {"start": "DTSTART", "end": "DTEND"}
_STAMP = "DTSTAMP:20261101T000000Z"


class Series:
    def __init__(self, text: str) -> None:
        lines = [line for line in re.sub("\r?\n[ \t]", "", text).splitlines() if line]
        self.before: list[str] = []  # of the calendar, without its events
        self.events: list[list[str]] = []  # their lines; the series first
        inside = False
        for line in lines:
            if line == "BEGIN:VEVENT":
                self.events.append([])
                inside = True
            elif line == "END:VEVENT":
                inside = False
            else:
                (self.events[-1] if inside else self.before).append(line)
        self.events.sort(key=lambda event: _value(event, "RECURRENCE-ID") is not None)

    @classmethod
    def new(cls, uid: str, columns: Columns) -> "Series":
        series = cls("BEGIN:VCALENDAR\nVERSION:2.0\nPRODID:-//A person's programme//EN\nEND:VCALENDAR")
        series.events = [[f"UID:{uid}", _STAMP, "X-KEPT:as it is"]]
        series.write(columns)
        return series

    @property
    def text(self) -> str:
        events = [line for e in self.events for line in ("BEGIN:VEVENT", *e, "END:VEVENT")]
        lines = [*self.before[:-1], *events, self.before[-1]]
        return "".join(f"{line}\r\n" for line in lines)

    @property
    def uid(self) -> str:
        return _value(self._master, "UID") or ""

    @property
    def tags(self) -> frozenset[str]:
        return frozenset(t for t in (_value(self._master, "CATEGORIES") or "").split(",") if t)

    def columns(self) -> dict[str, Value]:
        found: dict[str, Value] = {"all_day": False, "time_zone": None}
        found |= {name: _plain(_value(self._master, line)) for name, line in _TEXTS.items()}
        found |= {name: _moment(_value(self._master, line) or "") for name, line in _TIMES.items()}
        rules = [line for line in self._master if line.startswith("RRULE")]
        off = sorted(v[:8] for line in self._master if line.startswith("EXDATE") for v in _listed(line))
        found["recurrence"] = "\n".join([*rules, *([f"EXDATE:{','.join(off)}"] if off else [])]) or None
        found["exceptions"] = "\n".join(self._exceptions()) or None
        return found

    def write(self, columns: Columns) -> None:
        for name, value in columns.items():
            if name in _TEXTS:
                _put(self._master, _TEXTS[name], _escaped(str(value or "")))
            elif name in _TIMES and isinstance(value, datetime):
                _put(self._master, _TIMES[name], f"{value:%Y%m%dT%H%M%SZ}")
        if "recurrence" in columns:
            self._repeat(str(columns["recurrence"] or ""))
        if "exceptions" in columns:
            lines = str(columns["exceptions"] or "").splitlines()
            self.events = [self._master, *(self._exception(json.loads(line)) for line in lines)]

    def select(self, tags: frozenset[str]) -> None:
        for event in self.events:
            _put(event, "CATEGORIES", ",".join(sorted(tags)))

    def rename(self, uid: str) -> None:
        for event in self.events:
            _put(event, "UID", uid)

    def touch(self, number: int) -> None:
        _put(self._master, "X-TOUCHED", str(number))

    @property
    def _master(self) -> list[str]:
        return self.events[0]

    def _exceptions(self) -> Iterable[str]:
        told = {(_value(e, "RECURRENCE-ID") or "")[:8]: e for e in self.events[1:]}
        for name, event in sorted(told.items()):
            texts = {n: _plain(_value(event, line)) for n, line in _TEXTS.items()}
            texts = {n: v for n, v in texts.items() if v != _plain(_value(self._master, _TEXTS[n]))}
            moment = _moment(_value(event, "DTSTART") or "")
            moved = {"start": f"{moment:%Y-%m-%dT%H:%M:%SZ}"} if moment != self._on(name) else {}
            if texts or moved:
                yield json.dumps(
                    {"date": name, **dict(sorted({**texts, **moved}.items()))}, ensure_ascii=False
                )

    def _repeat(self, text: str) -> None:
        kept = [line for line in self._master if not line.startswith(("RRULE", "EXDATE"))]
        rules = []
        for line in text.splitlines():
            name, _, value = line.partition(":")
            days = (f"{self._on(day):%Y%m%dT%H%M%SZ}" for day in value.split(","))
            rules.append(line if name == "RRULE" else f"EXDATE:{','.join(days)}")
        self.events[0] = kept + rules

    def _exception(self, said: dict[str, str]) -> list[str]:
        begin = self._on(said["date"])
        end = begin + (_moment(_value(self._master, "DTEND") or "") - self._begin)
        tags = [line for line in self._master if line.startswith("CATEGORIES")]
        subject = f"SUMMARY:{_value(self._master, 'SUMMARY')}"
        times = [
            f"{n}:{v:%Y%m%dT%H%M%SZ}"
            for n, v in (("RECURRENCE-ID", begin), ("DTSTART", begin), ("DTEND", end))
        ]
        own = [f"DESCRIPTION:{_escaped(said['description'])}"]
        return [f"UID:{self.uid}", _STAMP, *times, subject, *own, *tags]

    @property
    def _begin(self) -> datetime:
        return _moment(_value(self._master, "DTSTART") or "")

    def _on(self, day: str) -> datetime:
        on = datetime.strptime(day, "%Y%m%d").replace(tzinfo=UTC)
        return on + timedelta(hours=self._begin.hour, minutes=self._begin.minute)


def _value(event: list[str], name: str) -> str | None:
    return next(
        (v for n, _, v in (line.partition(":") for line in event) if n.partition(";")[0] == name), None
    )


def _put(event: list[str], name: str, value: str) -> None:
    at = next((n for n, line in enumerate(event) if re.split("[:;]", line)[0] == name), None)
    if at is not None and value:
        event[at] = f"{event[at].partition(':')[0]}:{value}"
    elif at is not None:
        del event[at]
    elif value:
        event.append(f"{name}:{value}")


def _listed(line: str) -> list[str]:
    return line.partition(":")[2].split(",")


def _moment(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def _plain(value: str | None) -> str | None:
    return re.sub(r"\\(.)", lambda m: "\n" if m[1] in "nN" else m[1], value) if value else None


def _escaped(value: str) -> str:
    return re.sub(r"([\\,;])", r"\\\1", value).replace("\n", "\\n")
