"""What there is: versions, the resources of one, objects and their describes, limits."""

from collections.abc import Callable
from typing import Any

from crmsync.daemon.crm_api.conditions import http_date, parsed_date
from crmsync.daemon.crm_api.crm import Crm
from crmsync.daemon.crm_api.messages import Call, Reply
from crmsync.state.replica import faults
from crmsync.state.replica.describe import describe_global, describe_object, summary
from crmsync.state.replica.metadata import ObjectType

__all__ = ["NEWEST", "Resources", "known_version", "versions"]

OLDEST, NEWEST = 20, 68
ACCEPTED = 99  # three more come every year, and programs ask for theirs: the answers stay what they are
# What clients look at before they begin, and what nothing here counts.
UNUSED = {
    "ConcurrentAsyncGetReportInstances": 200, "DailyAsyncApexExecutions": 250_000, "DailyBulkApiBatches": 15_000,
    "DailyBulkApiRequests": 15_000, "DailyBulkV2QueryFileStorageMB": 976_562, "DailyBulkV2QueryJobs": 10_000,
    "DataStorageMB": 5_120, "FileStorageMB": 10_240, "HourlyTimeBasedWorkflow": 1_000, "MassEmail": 5_000,
    "SingleEmail": 5_000,
}  # fmt: skip
RELEASES = ("Spring", "Summer", "Winter")


def versions() -> list[dict[str, str]]:
    """GET /services/data: needs no session."""
    return [
        {"label": _label(number), "url": f"/services/data/v{number}.0", "version": f"{number}.0"}
        for number in range(OLDEST, NEWEST + 1)
    ]


def known_version(version: str) -> bool:
    return OLDEST <= int(version.partition(".")[0]) <= ACCEPTED


def _label(number: int) -> str:
    """Three releases a year; API 20.0 was Winter '11."""
    years, season = divmod(number - OLDEST + 2, 3)
    winter = season == 2
    return f"{RELEASES[season]} '{11 + years if winter else 10 + years}"


class Resources:
    """Handlers; each takes the call and the variables of its route."""

    def __init__(self, crm: Crm) -> None:
        """What describes tell stays so as long as this: a schema that changes is built anew."""
        self._crm = crm
        self._schema = crm.store.schema
        self._since = crm.clock().replace(microsecond=0)

    def index(self, call: Call) -> Reply:
        names = (
            "composite",
            "limits",
            "jobs",
            "parameterizedSearch",
            "process",
            "query",
            "queryAll",
            "quickActions",
            "recent",
            "search",
            "sobjects",
            "tabs",
            "theme",
        )
        content = {name: f"{call.base}/{name}" for name in names}
        content["identity"] = f"{call.origin}/id/{self._crm.org.id}/{call.caller.user_id}"
        return Reply(200, content)

    def objects(self, call: Call) -> Reply:
        return self._unless_known(call, lambda: describe_global(self._schema, call.base))

    def object(self, call: Call, object: str) -> Reply:
        return Reply(200, {"objectDescribe": self._summary(call, object), "recentItems": []})

    def _summary(self, call: Call, name: str) -> dict[str, Any]:
        type_ = self._type(name)
        return summary(type_, call.base, self._schema.told(type_.name))

    def describe(self, call: Call, object: str) -> Reply:
        type_ = self._type(object)
        return self._unless_known(call, lambda: describe_object(self._schema, type_, call.base, call.origin))

    def _unless_known(self, call: Call, content: Callable[[], dict[str, Any]]) -> Reply:
        """REST API Developer Guide, "Get Object Metadata Changes": 304 for who has seen it."""
        headers = {"Last-Modified": http_date(self._since)}
        seen = parsed_date(call.headers.get("if-modified-since"))
        if seen is not None and self._since <= seen:
            return Reply(304, None, headers)
        return Reply(200, content(), headers)

    def composite(self, call: Call) -> Reply:
        names = ("batch", "graph", "sobjects", "tree")
        return Reply(200, {name: f"{call.base}/composite/{name}" for name in names})

    def recent(self, call: Call) -> Reply:
        """Nobody has looked at anything: views are not noted."""
        return Reply(200, [])

    def limits(self, call: Call) -> Reply:
        usage = self._crm.usage
        requests: dict[str, Any] = {"Max": usage.limit, "Remaining": usage.limit - usage.used}
        unused = {name: {"Max": most, "Remaining": most} for name, most in UNUSED.items()}
        return Reply(200, dict(sorted({**unused, "DailyApiRequests": requests}.items())))

    def record_count(self, call: Call) -> Reply:
        """GET limits/recordCount?sObjects=Account,Contact: how many there are, of all objects if none is named."""
        asked = [each.strip() for each in call.query.get("sObjects", "").split(",") if each.strip()]
        types = [type_ for name in asked if (type_ := self._schema.find(name))] if asked else [*self._schema]
        queries = self._crm.queries
        counts = (
            {
                "count": queries.query(call.caller, f"SELECT COUNT() FROM {type_.name}", call.base).total,
                "name": type_.name,
            }
            for type_ in types
        )
        return Reply(200, {"sObjects": list(counts)})

    def _type(self, name: str) -> ObjectType:
        type_ = self._schema.find(name)
        if type_ is None:
            raise faults.not_found()
        return type_
