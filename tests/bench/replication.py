"""The copy of a CRM: its memory does not grow with the rows, and a pass that finds nothing asks next to nothing."""

import datetime
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crmsync.state.replica.ids import new_id
from tests.bench.house import working
from tests.bench.replica import OBJECTS
from tests.bench.terms import Figure, Results, Sizes, thousands
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

FLAT = 1.2  # times the memory that a tenth of the rows took
PAGE = 2_000  # rows of an answer: of the smaller CRM a month is one
AT_ONCE = 5_000
WORDS = "a few words that people write about one another " * 3


@dataclass(frozen=True)
class Copied:
    first: dict[str, Any]  # as tests/bench/replica.py says it
    second: dict[str, Any]  # nothing has changed


def replication(results: Results, sizes: Sizes) -> None:
    few, many = both(sizes.copied)
    for size, each in ((sizes.copied // 10, few), (sizes.copied, many)):
        first = each.first
        rate = f"{thousands(first['rows'] / first['wall'])} rows a second, {first['requests']} requests"
        results.add(Figure("CRM replica: the first pass", f"{thousands(size)} rows", rate))
    ratio = many.first["peak"] / max(few.first["peak"], 1)
    told = f"{many.first['peak'] / 1e6:.1f} MB over the start, {ratio:.2f} times that of a tenth of the rows"
    size = f"{thousands(sizes.copied)} rows"
    results.add(
        Figure("CRM replica: peak memory of the first pass", size, told, f"{FLAT} times", ratio <= FLAT)
    )
    most = 3 * len(OBJECTS) + 2
    asked = many.second["requests"]
    told = f"{asked} requests for {len(OBJECTS)} objects, {many.second['wall'] * 1000:.0f} ms"
    results.add(Figure("CRM replica: a pass without changes", size, told, f"{most} requests", asked <= most))


def both(count: int) -> tuple[Copied, Copied]:
    """Of a tenth of the rows, and of all of them."""
    months = max(1, count // 10 // PAGE)
    return copied(count // 10, months), copied(count, months)


def copied(count: int, months: int) -> Copied:
    """A CRM of so many rows, last changed in so many months, is replicated, and once more."""
    with tempfile.TemporaryDirectory(prefix="bench-replica-") as folder, embedded_crm() as crm:
        fill(crm, count, months)
        login = (crm.url, crm.client_id, crm.client_secret, str(Path(folder) / "replica.db"))
        with working("replica", *login) as worker:
            first, second = worker.ask("run"), worker.ask("run")
        if first["rows"] < count:
            raise RuntimeError(f"{first['rows']} of {count} rows were replicated")
    return Copied(first, second)


def fill(crm: EmbeddedCrm, count: int, months: int) -> None:
    """Contacts, last changed one after the other: months of a like size."""
    database = crm.crm.database
    table, type_ = database.tables["Contact"], crm.crm.store.schema.objects["Contact"]
    end = crm.crm.store.now()
    step = datetime.timedelta(days=30 * months) / count
    for start in range(0, count, AT_ONCE):
        numbers = range(start, min(start + AT_ONCE, count))
        with database.write() as connection:
            connection.execute(
                table.insert(), [_row(type_.prefix, n, end - step * (count - n)) for n in numbers]
            )


def _row(prefix: str, number: int, moment: datetime.datetime) -> dict[str, Any]:
    stamps = dict.fromkeys(
        ("CreatedDate", "LastModifiedDate", "SystemModstamp"), moment.replace(microsecond=0)
    )
    return {
        "Id": new_id(prefix, 1_000_000 + number),
        "LastName": f"Person {number}",
        "FirstName": "Ada",
        "Name": f"Ada Person {number}",
        "Email": f"person{number}@example.com",
        "Phone": f"+49 {number}",
        "Description": WORDS,
        **stamps,
        "IsDeleted": False,
        "IsEmailBounced": False,
    }
