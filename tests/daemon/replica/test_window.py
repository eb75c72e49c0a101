from datetime import UTC, datetime, timedelta

from crmsync.daemon.replica.window import OVERLAP, WAVE, Window, opened, waves

NOW = datetime(2026, 3, 1, 12, 0, 30, tzinfo=UTC)


def test_the_first_window_has_no_start_and_asks_for_no_deletes():
    window = opened(NOW, None, None)
    assert (window.start, window.deletes_start) == (None, None)
    assert window.end == NOW + timedelta(seconds=2)  # told in whole seconds, once a second


def test_a_later_one_overlaps_the_last():
    last = NOW - timedelta(hours=1)
    window = opened(NOW, last, last)
    assert (window.start, window.deletes_start) == (last - OVERLAP, last - OVERLAP)
    assert window.deletes_end == NOW.replace(second=0)
    assert window.tellable


def test_deletes_span_more_than_a_minute():
    window = opened(NOW, NOW, NOW + timedelta(hours=1))  # a server that has set its clock back
    assert window.deletes_start is not None
    assert window.deletes_end - window.deletes_start >= timedelta(minutes=2)


def test_after_two_weeks_the_list_of_deletions_is_not_trusted():
    assert not opened(NOW, NOW - timedelta(days=14), NOW - timedelta(days=14)).tellable
    assert opened(NOW, NOW - timedelta(days=13), NOW - timedelta(days=13)).tellable


def test_a_window_is_stored_and_read():
    for since in (None, NOW - timedelta(days=20)):
        window = opened(NOW, since, since)
        assert Window.decode(window.encode()) == window


def test_waves_cover_the_window_once():
    start = NOW - timedelta(days=100)
    found = list(waves(start, NOW))
    assert (found[0][0], found[-1][1]) == (start, NOW)
    assert [a for a, _ in found[1:]] == [b for _, b in found[:-1]]
    assert all(b - a <= WAVE for a, b in found)
    assert list(waves(NOW, NOW)) == []
