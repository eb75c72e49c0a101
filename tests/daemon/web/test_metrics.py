"""``/metrics``, ``/healthz`` and ``/readyz``: who may read them, and what stands there."""

import json
import re
from dataclasses import asdict
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from crmsync.daemon.calls import Failure
from crmsync.daemon.replica.context import Tally as Counted
from crmsync.daemon.web.metrics import WRONG
from tests.daemon.fakes import cycle, error, standing, synced
from tests.daemon.web.site import Scene, until_slowed


def read(web: Scene) -> dict[tuple[str, ...], float]:
    """(name, label values …) -> value."""
    web.desk.token = "a-token"
    answer = web.browser().get("/metrics", authorization="Bearer a-token")
    assert answer.status == 200
    families = text_string_to_metric_families(answer.text)
    return {(s.name, *s.labels.values()): s.value for family in families for s in family.samples}


def test_how_the_accounts_stand(web: Scene):
    success = (web.clock() - timedelta(seconds=90)).isoformat()
    alice = {**standing("alice", pending=1, parked=2, held=3, conflicts=4), "light": "failing"}
    web.desk.answers["status"] = {"accounts": [{**alice, "last_success": success}, standing("bob")]}
    found = read(web)
    counts = [found[f"crmsync_{what}", "alice"] for what in ("pending", "parked", "held", "conflicts")]
    assert counts == [1, 2, 3, 4]
    assert found["crmsync_staleness_seconds", "alice"] == 90
    assert ("crmsync_staleness_seconds", "bob") not in found  # never is not now
    assert (found["crmsync_light", "alice", "failing"], found["crmsync_light", "bob", "failing"]) == (1, 0)


def test_what_the_syncs_did(web: Scene):
    web.tally.note("alice", synced(cycle(created=2), cycle(created=1, conflicts=1)), 0.2)
    web.tally.note("alice", synced(errors=[error()]), 40.0)
    web.tally.note("alice", synced(errors=[error("refused", item="a.vcf")]), 0.0)
    found = read(web)
    assert found["crmsync_syncs_total", "alice", "done"] == 2
    assert found["crmsync_syncs_total", "alice", "failed"] == 1
    assert found["crmsync_done_total", "alice", "created"] == 3
    assert found["crmsync_sync_seconds_sum", "alice"] == pytest.approx(40.2)
    assert found["crmsync_sync_seconds_bucket", "alice", "0.3"] == 2


def test_how_long_changes_were_on_their_way(web: Scene):
    def arrived(quick: int, slow: int, seconds: float) -> dict[str, Any]:
        within = [[1, quick], [3, 0], [None, slow]]
        return {**cycle(), "arrivals": {"to_ecs": 0, "to_crm": 0, "within": within, "seconds": seconds}}

    web.tally.note("alice", synced(arrived(2, 0, 1.5), cycle()), 0.1)
    web.tally.note("alice", synced(arrived(1, 1, 80.5)), 0.1)
    found = read(web)
    buckets = [found["crmsync_latency_seconds_bucket", "alice", le] for le in ("1.0", "3.0", "+Inf")]
    assert buckets == [3, 3, 4]
    assert found["crmsync_latency_seconds_sum", "alice"] == 82
    assert found["crmsync_latency_seconds_count", "alice"] == 4


def test_requests_to_each_server(web: Scene):
    found = read(web)
    assert found["crmsync_requests_total", "crm.main"] == 17
    assert found["crmsync_limit_ratio", "crm.main"] == 0.25
    assert found["crmsync_throttled_total", "crm.main"] == 3
    assert found["crmsync_login_expiry_timestamp_seconds", "crm.main"] == 1806451200
    assert ("crmsync_login_expiry_timestamp_seconds", "account.alice.source[0]") not in found


def test_a_refused_login(web: Scene):
    refused = {**standing("alice"), "errors": [error("login_refused")]}
    web.desk.answers["status"] = {"accounts": [refused, standing("bob")]}
    found = read(web)
    assert (found["crmsync_login_refused", "alice"], found["crmsync_login_refused", "bob"]) == (1, 0)


MONITORING = Path(__file__).parents[3] / "docs/monitoring"


@pytest.mark.parametrize("name", ["alerts.yml", "grafana-dashboard.json"])
def test_what_the_docs_watch_is_measured(web: Scene, name: str):
    """A dashboard over a name that is not there shows nothing, and an alert on it never fires."""
    web.desk.answers["status"] = {
        "accounts": [{**standing("alice"), "last_success": web.clock().isoformat()}],
        "replicas": [copied(web)],
    }
    within = {"to_ecs": 0, "to_crm": 1, "within": [[1, 1], [None, 0]], "seconds": 1}
    web.tally.note("alice", synced({**cycle(created=1), "arrivals": within}), 0.2)
    web.desk.token = "a-token"
    answer = web.browser().get("/metrics", authorization="Bearer a-token").text
    samples = {s.name for family in text_string_to_metric_families(answer) for s in family.samples}
    used = set(re.findall(r"\bcrmsync_[a-z_]+", (MONITORING / name).read_text()))
    assert used
    assert used <= samples


def test_the_dashboard_is_one():
    dashboard = json.loads((MONITORING / "grafana-dashboard.json").read_text())
    ids = [panel["id"] for panel in dashboard["panels"]]
    assert len(set(ids)) == len(ids) > 8
    assert all(panel["targets"] for panel in dashboard["panels"] if panel["type"] != "row")
    spots = [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in dashboard["panels"]]
    assert len(set(spots)) == len(spots)


def copied(web: Scene) -> dict[str, Any]:
    """How a replica stands, as ``status`` has it."""
    return {
        "name": "main",
        "light": "syncing",
        "mode": "auto",
        "acting": "hybrid",
        "last_success": web.clock().isoformat(),
        "waiting": 1,
        "conflicts": 2,
        "rejected": 3,
        "progress": {"stage": "creates", "number": 8, "of": 11, "what": ""},
        "error": {"message": "ada@example.com"},
        "total": {**asdict(Counted(pulled=4, passes=5)), "seconds": {"creates": 1.5}},
    }


def test_how_the_replicas_stand(web: Scene):
    replica = copied(web)
    web.desk.answers["status"] = {"accounts": [standing("alice")], "replicas": [replica]}
    found = read(web)
    assert found["crmsync_replica_light", "main", "syncing"] == 1
    assert found["crmsync_replica_light", "main", "in_step"] == 0
    assert [found["crmsync_replica_waiting", "main", w] for w in ("waiting", "conflicts", "rejected")] == [
        1,
        2,
        3,
    ]
    assert found["crmsync_replica_stage", "main", "creates"] == 1
    assert found["crmsync_replica_stage", "main", "updates"] == 0
    assert found["crmsync_replica_offline", "main"] == 0
    assert found["crmsync_replica_last_success_timestamp_seconds", "main"] == web.clock().timestamp()
    assert found["crmsync_replica_rows_total", "main", "pulled"] == 4
    assert found["crmsync_replica_passes_total", "main"] == 5
    assert found["crmsync_replica_stage_seconds_total", "main", "creates"] == 1.5


def test_labels_hold_no_person_and_no_address(web: Scene):
    text = "ada@example.com refused https://crm.example.com"
    web.desk.answers["status"] = {"accounts": [{**standing("alice"), "errors": [{"message": text}]}]}
    web.desk.token = "a-token"
    told = web.browser().get("/metrics", authorization="Bearer a-token").text
    assert "example.com" not in told
    assert "a-token" not in told


@pytest.mark.parametrize(
    ("who", "status"), [("nobody", 401), ("alice", 401), (None, 200)], ids=["nobody", "person", "admin"]
)
def test_without_a_token_an_admin_alone(web: Scene, who: Any, status: int):
    browser = web.browser() if who == "nobody" else web.browser().login(who)
    assert browser.get("/metrics").status == status


@pytest.mark.parametrize("given", ["Bearer wrong", "Bearer ", "Basic a-token", "a-token"])
@pytest.mark.parametrize("token", ["a-token", None])
def test_a_wrong_token_is_refused_and_logged(web: Scene, caplog, given: str, token: str | None):
    web.desk.token = token
    assert web.browser().get("/metrics", authorization=given).status == 401
    (line,) = [r for r in caplog.records if getattr(r, "action", "") == "web.refused"]
    assert given.split()[-1] not in line.getMessage() or given == "Bearer "


def test_guessing_is_slow_and_locks_nobody_out(web: Scene):
    web.desk.token = "a-token"
    browser = web.browser()
    said = until_slowed(lambda: browser.get("/metrics", authorization="Bearer no").status, 3 * WRONG)
    assert set(said[:WRONG]) == {401}
    assert said[-1] == 429
    assert browser.get("/metrics", authorization="Bearer a-token").status == 200


def test_health(web: Scene):
    assert [web.browser().get(path).status for path in ("/healthz", "/readyz")] == [200, 200]


def test_a_service_that_cannot_read_its_state_is_not_ready_but_alive(web: Scene):
    web.desk.answers["status"] = Failure("state_failed", "alice's disk is full")
    lives, works = (web.browser().get(path) for path in ("/healthz", "/readyz"))
    assert (lives.status, works.status) == (200, 503)
    assert "alice" not in works.text
    web.desk.token = "a-token"
    assert web.browser().get("/metrics", authorization="Bearer a-token").status == 503
