"""``/metrics`` for Prometheus, and whether the service lives and works. Labels name accounts and servers as the
configuration does, and nothing else: no address, no person, no item."""

import hmac
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import accumulate
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from crmsync.daemon.calls import Failure
from crmsync.daemon.outages import of_conversations
from crmsync.daemon.web.board import Board, Standing
from crmsync.daemon.web.refusals import Throttle
from crmsync.daemon.web.replica_metrics import replicas
from crmsync.daemon.web.sessions import Bad
from crmsync.daemon.web.site import Site, Traffic
from crmsync.daemon.web.words import LIGHTS

TYPE = "text/plain; version=0.0.4; charset=utf-8"
DONE = ("created", "updated", "deleted", "unlinked", "parked", "held", "conflicts")
WRONG = 10  # wrong tokens a minute; the right one opens all the same
SECONDS = (0.1, 0.3, 1, 3, 10, 30, 100, 300, 1000)


@dataclass(slots=True)
class _Latency:
    """How long after their change items arrived; ``within``: upper bound in seconds (None: longer) -> how many."""

    within: dict[float | None, int] = field(default_factory=dict)
    seconds: float = 0.0

    def add(self, arrivals: Mapping[str, Any]) -> None:
        for bound, number in arrivals["within"]:
            self.within[bound] = self.within.get(bound, 0) + number
        self.seconds += arrivals["seconds"]

    def cumulative(self) -> list[tuple[str, float]]:
        names = ["+Inf" if bound is None else str(float(bound)) for bound in self.within]
        return list(zip(names, map(float, accumulate(self.within.values())), strict=True))


class Tally:
    """What the syncs did since the service started. Safe to use from several threads."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._syncs = Counter(
            "crmsync_syncs", "Syncs of an account.", ["account", "outcome"], registry=self.registry
        )
        self._done = Counter(
            "crmsync_done", "What the syncs did with items.", ["account", "what"], registry=self.registry
        )
        self._seconds = Histogram(
            "crmsync_sync_seconds",
            "How long syncs took.",
            ["account"],
            buckets=SECONDS,
            registry=self.registry,
        )

        self._lock = threading.Lock()
        self._latency: dict[str, _Latency] = {}

    def latencies(self) -> Metric:
        found = HistogramMetricFamily(
            "crmsync_latency_seconds",
            "From a change on one side to its arrival on the other.",
            labels=["account"],
        )
        with self._lock:
            for account, one in self._latency.items():
                found.add_metric([account], one.cumulative(), one.seconds)
        return found

    def note(self, account: str, answer: Mapping[str, Any], seconds: float) -> None:
        """``answer``: of the method ``sync``, or ``reconcile``."""
        failed = of_conversations(answer["errors"])  # one item that is refused is no sync that failed
        self._syncs.labels(account, "failed" if failed else "done").inc()
        self._seconds.labels(account).observe(seconds)
        for cycle in answer["cycles"]:
            for what in DONE:
                if number := int(cycle.get(what) or 0):
                    self._done.labels(account, what).inc(number)
            if arrivals := cycle.get("arrivals"):
                with self._lock:
                    self._latency.setdefault(account, _Latency()).add(arrivals)


class Metrics:
    def __init__(
        self,
        site: Site,
        board: Board,
        tally: Tally,
    ) -> None:
        self._site = site
        self._board = board
        self._tally = tally
        self._throttle = Throttle(WRONG)

    async def page(self, request: Request) -> Response:
        try:
            if not await self._site.in_thread(lambda: self._allowed(request)):
                return self._wrong(request)
            return Response(await self._site.in_thread(self._text), media_type=TYPE)
        except Failure as error:
            return PlainTextResponse(f"{error.message}\n", 503)

    async def lives(self, request: Request) -> Response:
        return PlainTextResponse("lives\n")

    async def works(self, request: Request) -> Response:
        """Whether the state can be read. What is wrong with it is for the log and those who are logged in."""
        try:
            await self._site.in_thread(self._board.read)
        except Failure:
            return PlainTextResponse("does not work; see the status page or the log of the service\n", 503)
        return PlainTextResponse("works\n")

    def _allowed(self, request: Request) -> bool:
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            token = self._site.desk.metrics_token()
            given_now = given.strip().encode("utf-8", "replace")
            return token is not None and hmac.compare_digest(token.encode(), given_now)
        session = self._site.sessions.read(request.cookies.get(self._site.addresses.cookie, ""))
        return not isinstance(session, Bad) and session.viewer.admin

    def _wrong(self, request: Request) -> Response:
        if "authorization" in request.headers:
            self._site.refuse(request, "a metrics token that is not the configured one")
            if not self._throttle.take():
                return PlainTextResponse("too many wrong tokens\n", 429, {"Retry-After": "60"})
        sentence = "[service] metrics_token, as a bearer token, or an admin's session is needed\n"
        return PlainTextResponse(sentence, 401, {"WWW-Authenticate": "Bearer"})

    def _text(self) -> bytes:
        standing, traffic, now = self._board.read(), self._site.desk.traffic(), self._site.now()
        gauges = CollectorRegistry()
        found = [
            self._tally.latencies(),
            *_accounts(standing, now),
            *_servers(traffic),
            *replicas(standing.replicas),
        ]
        gauges.register(_Once(found))
        return generate_latest(self._tally.registry) + generate_latest(gauges)


class _Once(Collector):
    """What was counted elsewhere."""

    def __init__(self, metrics: list[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> list[Metric]:
        return self._metrics


def _accounts(standing: Standing, now: datetime) -> Iterator[Metric]:
    for what, meaning in (
        ("pending", "Changes that wait for their turn."),
        ("parked", "Changes that were refused or given up on."),
        ("held", "Deletions and matches that wait for a person."),
        ("deletions", "Deletions that are held for an admin, of all kinds."),
        ("conflicts", "Conflicts that wait for a person."),
    ):
        gauge = GaugeMetricFamily(f"crmsync_{what}", meaning, labels=["account"])
        for row in standing.rows.values():
            gauge.add_metric([row.name], row.counts[what])
        yield gauge
    light = GaugeMetricFamily(
        "crmsync_light", "1 for the light that an account shows.", labels=["account", "light"]
    )
    refused = GaugeMetricFamily(
        "crmsync_login_refused", "1 while a login of the account is refused.", labels=["account"]
    )
    success = GaugeMetricFamily(
        "crmsync_last_success_timestamp_seconds", "When a sync last came through.", labels=["account"]
    )
    age = GaugeMetricFamily("crmsync_staleness_seconds", "How long ago that was.", labels=["account"])
    for row in standing.rows.values():
        for one in LIGHTS:
            light.add_metric([row.name, one.name], int(one.name == row.light))
        refused.add_metric([row.name], int(row.refused))
        if row.last_success is not None:
            success.add_metric([row.name], row.last_success.timestamp())
            age.add_metric([row.name], max(0.0, (now - row.last_success).total_seconds()))
    yield from (light, refused, success, age)


def _servers(traffic: list[Traffic]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "crmsync_requests", "Requests to a server since the configuration was read.", labels=["server"]
    )
    usage = GaugeMetricFamily(
        "crmsync_limit_ratio", "Used of a server's daily limit of requests, 0 to 1.", labels=["server"]
    )
    throttled = CounterMetricFamily(
        "crmsync_throttled", "How often a server asked for a pause since then.", labels=["server"]
    )
    expiry = GaugeMetricFamily(
        "crmsync_login_expiry_timestamp_seconds",
        "When a login stops working, where the configuration says so.",
        labels=["server"],
    )
    for one in traffic:
        requests.add_metric([one.server], one.requests)
        usage.add_metric([one.server], one.usage)
        throttled.add_metric([one.server], one.throttled)
        if one.expires is not None:
            expiry.add_metric([one.server], datetime.combine(one.expires, time(), UTC).timestamp())
    yield from (requests, usage, throttled, expiry)
