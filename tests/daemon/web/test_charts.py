"""What moved, drawn on the server."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crmsync.daemon.web.charts import FRESH, HIGH, SPANS, charts
from tests.daemon.web.site import Scene
from tests.daemon.web.test_status import text

NOW = datetime(2026, 11, 22, 10, 40, tzinfo=UTC)


def hour(begins: datetime, **numbers: int) -> dict[str, Any]:
    zeros = dict.fromkeys(("to_ecs", "to_crm", "errors", "waiting", "took", "slowest"), 0)
    return {"begins": begins.isoformat(), **zeros, **numbers}


def test_every_hour_has_its_place_and_an_older_one_has_none():
    old, first, last = (NOW.replace(minute=0) - timedelta(hours=n) for n in (24, 23, 0))
    slots = SPANS["day"].slots([hour(old, to_crm=9), hour(first, to_crm=1), hour(last, to_crm=2)], NOW)
    assert len(slots) == 24
    assert (slots[0].to_crm, slots[-1].to_crm, sum(s.to_crm for s in slots)) == (1, 2, 3)


def test_a_day_is_its_hours_together():
    hours = [hour(NOW.replace(hour=h, minute=0), to_ecs=1, waiting=h, took=500, slowest=h) for h in (1, 7)]
    slots = SPANS["month"].slots(hours, NOW)
    assert len(slots) == 31
    assert (slots[-1].to_ecs, slots[-1].waiting, slots[-1].mean, slots[-1].slowest) == (2, 7, 0.5, 7)


def test_bars_stand_on_each_other_and_fill_the_picture():
    slots = SPANS["day"].slots(
        [hour(NOW.replace(minute=0), to_crm=30, to_ecs=10, took=4000, slowest=200)], NOW
    )
    changes = charts(slots)[0]
    crm, ecs = changes.bars
    assert (crm.mark, crm.height, crm.y) == ("to-crm", 75.0, 25.0)
    assert (ecs.mark, ecs.height, ecs.y) == ("to-ecs", 25.0, 0.0)
    assert (changes.most, crm.x) == ("40", changes.wide - 10)


def test_the_smallest_is_seen_and_nothing_is_drawn_for_nothing():
    begins = NOW.replace(minute=0)
    slots = SPANS["day"].slots(
        [hour(begins, errors=1), hour(begins - timedelta(hours=1), errors=100_000)], NOW
    )
    by_name = {chart.name: chart for chart in charts(slots)}
    assert sorted(bar.height for bar in by_name["errors"].bars) == [1.0, HIGH]
    assert by_name["changes"].bars == ()


def test_the_page_shows_them_with_their_numbers(web: Scene):
    begins = web.clock().replace(minute=0, second=0)
    web.desk.answers["pulse"] = [hour(begins, to_crm=7, took=14_000, slowest=9_000, waiting=8, errors=2)]
    page = web.browser().login().get("/").text
    assert page.count("<svg") == 4
    assert "style=" not in page  # the policy would not have it
    assert "7 0 2.0 seconds 9.0 seconds 8 2" in text(page)
    assert 'aria-label="Changes that arrived in the last 24 hours: at most 7.' in page


def test_a_month_and_one_account(web: Scene):
    page = web.browser().login(None).get("/?span=month&account=bob").text
    assert [(a["names"], a["days"]) for a in web.desk.asked("pulse")] == [(["bob"], 32)]
    assert re.search(r'value="month" aria-pressed="true"', page)
    assert 'data-part="/charts?span=month&amp;account=bob"' in page
    assert len(re.findall(r"<time datetime=", page)) >= 31


def test_a_person_sees_what_moved_of_theirs_alone(web: Scene):
    browser = web.browser().login("alice")
    for path in ("/charts", "/charts?account=alice"):
        assert browser.get(path).status == 200
    assert {tuple(a["names"]) for a in web.desk.asked("pulse")} == {("alice",)}
    for path in ("/charts?account=bob", "/?account=bob"):
        assert browser.get(path).status == 404
    assert web.browser().get("/charts").status == 401


@pytest.mark.parametrize("path", ["/charts", "/"])
def test_many_who_look_at_the_same_ask_once(web: Scene, path: str):
    for _ in range(3):
        assert web.browser().login("alice").get(path).status == 200
    assert len(web.desk.asked("pulse")) == 1
    web.clock.pass_by(FRESH)
    web.browser().login("alice").get(path)
    assert len(web.desk.asked("pulse")) == 2


def test_charts_of_a_month_are_small(web: Scene):
    begins, full = (
        web.clock().replace(minute=0),
        {"to_crm": 9999, "to_ecs": 9999, "waiting": 9999, "errors": 9999},
    )
    hours = [hour(begins - timedelta(days=n), took=9999, slowest=9999, **full) for n in range(31)]
    web.desk.answers["pulse"] = hours
    assert len(web.browser().login().get("/charts?span=month").text) < 40_000
