"""Rows by SystemModstamp under a clock that the test moves: what a poll sees, in pages of any size."""

import re
from datetime import UTC, datetime, timedelta

from tests.connectors.salesforce.stub import Reply, Request, found

START = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Organisation:
    """A script for the stub. Of a condition it understands ``SystemModstamp >=`` only."""

    def __init__(self) -> None:
        self.rows: list[dict[str, object]] = []
        self.now = START
        self.page = 1000

    def at(self, seconds: float) -> datetime:
        return START + timedelta(seconds=seconds)

    def __call__(self, request: Request) -> Reply:
        if "/query/" in request.path:
            first, since = request.path.rpartition("/")[2].split("-")
            return self._page(int(first), since)
        since = re.search(r"SystemModstamp >= (\S+)", request.soql)
        return self._page(0, since[1].replace(":", "").replace("-", "") if since else "0")

    def _page(self, first: int, since: str) -> Reply:
        def plain(row: dict[str, object]) -> str:
            return re.sub(r"[:-]", "", str(row["SystemModstamp"]))

        rows = sorted((r for r in self.rows if plain(r) >= since), key=plain)
        rest = first + self.page < len(rows)
        following = f"/services/data/v59.0/query/{first + self.page}-{since}" if rest else ""
        return found(*rows[first : first + self.page], total=len(rows), following=following)
