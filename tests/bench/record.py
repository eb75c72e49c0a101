"""What was measured, part by part: a part that is measured anew takes the place of its former figures, the others stay.

So the large sizes need not be measured each time that something small is looked at.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from tests.bench.terms import Bar, Figure, Results


@dataclass(frozen=True)
class Part:
    """``day``: when, as 2026-11-25; ``size``: small or large."""

    day: str
    size: str
    machine: str
    figures: tuple[Figure, ...]
    bars: tuple[Bar, ...]
    floor_cpu: Mapping[str, float]
    shares: Mapping[str, float]


def part_of(results: Results, day: str, size: str, machine: str) -> Part:
    return Part(
        day,
        size,
        machine,
        tuple(results.figures),
        tuple(results.bars),
        dict(results.floor_cpu),
        dict(results.shares),
    )


def joined(parts: Iterable[Part]) -> Results:
    """All of them as one."""
    whole = Results(say=lambda line: None)
    for part in parts:
        whole.figures += part.figures
        whole.bars += part.bars
        whole.floor_cpu |= part.floor_cpu
        whole.shares |= part.shares
    return whole


def load(file: Path) -> dict[str, Part]:
    """By name; empty where nothing was measured yet."""
    if not file.exists():
        return {}
    told = json.loads(file.read_text())
    return {
        name: Part(
            **{
                **some,
                "figures": tuple(Figure(**f) for f in some["figures"]),
                "bars": tuple(Bar(**b) for b in some["bars"]),
            }
        )
        for name, some in told.items()
    }


def save(file: Path, parts: Mapping[str, Part]) -> None:
    told = {name: asdict(part) for name, part in parts.items()}
    file.write_text(json.dumps(told, indent=1, ensure_ascii=False) + "\n")
