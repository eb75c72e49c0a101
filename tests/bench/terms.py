"""What the figures are made of."""

from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Figure:
    """One line of the table. ``met`` None: there is nothing to hold it against."""

    what: str
    size: str
    measured: str
    bar: str = ""
    met: bool | None = None
    detail: str = ""


@dataclass(frozen=True)
class Bar:
    """One bar of the plot: how many times the floor's time."""

    group: str
    who: str
    ratio: float


@dataclass
class Results:
    say: Callable[[str], None]
    figures: list[Figure] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    floor_cpu: dict[str, float] = field(default_factory=dict)  # ms a request, of every floor that ran
    shares: dict[str, float] = field(default_factory=dict)  # of the CPU time of a first sync, by area

    def add(self, figure: Figure) -> None:
        self.figures.append(figure)
        mark = {True: "met", False: "MISSED", None: ""}[figure.met]
        self.say(f"{figure.what}, {figure.size}: {figure.measured}  [{figure.bar}] {mark}")


@dataclass(frozen=True)
class Sizes:
    first: tuple[int, ...]  # contacts of a first sync, on servers in memory
    real: int  # on real servers
    largest: int  # of a first sync that is made for the sake of its memory; 0: none
    idle: tuple[int, ...]  # contacts of which none, one, some change
    accounts: tuple[int, int]  # how many, and contacts of each
    copied: int  # rows of a CRM that is replicated
    watched: int  # seconds, half of them with open status pages
    turns: int  # of a first sync and its floor, where a turn is not long; the one in the middle counts


QUICK = Sizes(
    first=(1_000,),
    real=1_000,
    largest=0,
    idle=(1_000, 100_000),
    accounts=(25, 20),
    copied=20_000,
    watched=40,
    turns=1,
)
FULL = Sizes(
    first=(1_000, 10_000),
    real=1_000,
    largest=100_000,
    idle=(1_000, 100_000),
    accounts=(1_000, 200),
    copied=100_000,
    watched=600,
    turns=3,
)


def thousands(number: float) -> str:
    return f"{number:,.0f}"


def kilobytes(size: float) -> str:
    return f"{size / 1000:,.1f} KB"
