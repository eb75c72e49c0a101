"""Numbers of the replicas, for `/metrics`; labels name CRMs as the configuration does."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from crmsync.daemon.replica.context import Stage
from crmsync.daemon.web.words import LIGHTS

WAITING = ("waiting", "conflicts", "rejected")
ROWS = ("pulled", "removed", "created", "updated", "deleted", "rejected", "deferred")


def replicas(standing: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    """`standing`: as `status` has it. None at all where there is no replica."""
    if standing:
        yield from _gauges(standing)
        yield from _counters(standing)


def _gauges(standing: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    light = GaugeMetricFamily(
        "crmsync_replica_light", "1 for the light that a replica shows.", labels=["crm", "light"]
    )
    waiting = GaugeMetricFamily(
        "crmsync_replica_waiting", "Local changes that are not in the CRM, by why.", labels=["crm", "what"]
    )
    stage = GaugeMetricFamily(
        "crmsync_replica_stage", "1 for the stage in which a pass is.", labels=["crm", "stage"]
    )
    offline = GaugeMetricFamily(
        "crmsync_replica_offline", "Whether it works without the CRM.", labels=["crm"]
    )
    success = GaugeMetricFamily(
        "crmsync_replica_last_success_timestamp_seconds", "When a pass last came through.", labels=["crm"]
    )
    for one in standing:
        name, now = one["name"], (one["progress"] or {}).get("stage")
        for each in LIGHTS:
            light.add_metric([name, each.name], int(each.name == one["light"]))
        for what in WAITING:
            waiting.add_metric([name, what], one[what])
        for part in Stage:
            stage.add_metric([name, part.value], int(part.value == now))
        offline.add_metric([name], int(one["acting"] == "offline"))
        if one["last_success"]:
            success.add_metric([name], datetime.fromisoformat(one["last_success"]).timestamp())
    yield from (light, waiting, stage, offline, success)


def _counters(standing: Sequence[Mapping[str, Any]]) -> Iterator[Metric]:
    rows = CounterMetricFamily(
        "crmsync_replica_rows", "What the passes did with rows.", labels=["crm", "what"]
    )
    passes = CounterMetricFamily("crmsync_replica_passes", "Passes that came through.", labels=["crm"])
    seconds = CounterMetricFamily(
        "crmsync_replica_stage_seconds", "How long the stages of passes took.", labels=["crm", "stage"]
    )
    for one in standing:
        name, total = one["name"], one["total"]
        for what in ROWS:
            rows.add_metric([name, what], total[what])
        passes.add_metric([name], total["passes"])
        for stage, took in total["seconds"].items():
            seconds.add_metric([name, stage], took)
    yield from (rows, passes, seconds)
