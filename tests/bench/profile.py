"""Where the CPU time of a first sync goes, by what our code and its libraries are there for."""

import pstats
import tempfile
from collections import Counter
from pathlib import Path

from tests.bench.scene import scene
from tests.bench.terms import Results, Sizes

_AREAS = {  # parts of a file's path, the first that fits
    "HTTP": (
        "urllib3",
        "http/client",
        "connectors/http",
        "email/",
        "socket",
        "ssl",
        "selectors",
        "urllib/parse",
    ),
    "database": ("sqlalchemy", "sqlite3", "/state/", "pysqlite"),
    "vCards and WebDAV": ("connectors/dav", "connectors/carddav", "vobject", "lxml"),
    "CRM rows and JSON": ("connectors/salesforce", "json/"),
    "deciding": ("daemon/plan", "phonenumbers", "unicodedata"),
    "the cycle": ("daemon/",),
}
_OTHER = "the rest of Python"
Func = tuple[str, int, str]


def profile(results: Results, sizes: Sizes) -> None:
    """A profiler slows everything down, short functions most: the shares are of use, not the times."""
    with tempfile.TemporaryDirectory(prefix="crmsync-bench-") as folder, scene() as stage:
        stage.fill(0, sizes.first[0])
        file = str(Path(folder) / "profile")
        stage.run(profile=file)
        shares = _shares(file)
    results.shares.update(shares)
    for area, share in shares.items():
        results.say(f"of the CPU time of a first sync, {area}: {share:.0%}")


def _shares(file: str) -> dict[str, float]:
    """Waiting is not counted; what is written in C counts for its callers."""
    spent: Counter[str] = Counter()
    stats: dict[Func, tuple[int, int, float, float, dict[Func, tuple[int, int, float, float]]]]
    stats = pstats.Stats(file).stats  # type: ignore[attr-defined]
    for function, (_, _, own, _, callers) in stats.items():
        if _waits(function[2]):
            continue
        if function[0] != "~":
            spent[_area(function[0])] += own
            continue
        for caller, (_, _, share, _) in callers.items():
            spent[_area(caller[0])] += share
    whole = sum(spent.values())
    return {area: spent[area] / whole for area, _ in spent.most_common()}


def _waits(name: str) -> bool:
    return any(word in name for word in ("recv_into", "'acquire'", "'poll'", "sendall"))


def _area(file: str) -> str:
    return next((a for a, parts in _AREAS.items() if any(part in file for part in parts)), _OTHER)
