"""What a line of the log looks like, and what never stands in it."""

import logging
import os
import socket
import time
from datetime import timedelta

import pytest

from crmsync.daemon.logs import LONGEST, Formatter, scrubbed
from crmsync.daemon.notify import Notifier


def record(message: str, level: int = logging.INFO, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("crmsync", level, __file__, 1, message, (), None)
    made.created = 0.0
    made.__dict__.update(extra)
    return made


def test_a_sentence_and_its_action():
    line = Formatter().format(record("alice: 3 created", action="cycle.done"))
    assert line == "1970-01-01T00:00:00Z INFO alice: 3 created action=cycle.done"


def test_the_journal_gets_a_priority_instead_of_a_time():
    assert Formatter(journal=True).format(record("oops", logging.ERROR)) == "<3>oops"


def test_one_line_whatever_a_server_said():
    assert (
        scrubbed("a\r\nb\x1b[2J\u202e\tc") == "a | b\N{REPLACEMENT CHARACTER}[2J\N{REPLACEMENT CHARACTER} c"
    )


def test_no_addresses():
    text = "user ada.byron+x@example.com at https://dav.example.com/ada%40example.com/, “bob@example.org”"
    assert scrubbed(text) == "user [address] at https://dav.example.com/[address]/, “[address]”"


@pytest.mark.parametrize("text", ["a" * 20_000, "a%4" * 6_000, "@" * 20_000, "a@" * 10_000, "%40" * 6_000])
def test_a_long_text_holds_up_nobody(text: str):
    """Whoever logs has the lock of all who do; an item may be called what somebody likes."""
    begun = time.process_time()
    scrubbed(text)
    assert time.process_time() - begun < 1.0  # a quarter of a minute, once


def test_a_line_has_an_end():
    assert len(scrubbed("word " * LONGEST)) == LONGEST


def test_an_exception_is_named_and_its_traceback_kept_for_debugging():
    try:
        raise ValueError("a body that must not be logged")
    except ValueError as error:
        broken = record("it failed", exc_info=(type(error), error, error.__traceback__))
    assert Formatter().format(broken).endswith("INFO it failed: ValueError")
    assert "Traceback" in Formatter(tracebacks=True).format(broken)


# ── What systemd hears ───────────────────────────────────────────────────────────────────────────────────────


def test_the_watchdog_counts_only_for_this_process():
    me, other = str(os.getpid()), str(os.getpid() + 1)
    assert Notifier.of({"WATCHDOG_USEC": "2000000"}).watchdog == timedelta(seconds=2)
    assert Notifier.of({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": me}).watchdog == timedelta(seconds=2)
    assert Notifier.of({"WATCHDOG_USEC": "2000000", "WATCHDOG_PID": other}).watchdog is None
    assert Notifier.of({"WATCHDOG_USEC": "0"}).watchdog is None
    assert Notifier.of({}).watchdog is None


def test_an_abstract_address():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        name = f"crmsync-test-{os.getpid()}"
        systemd.bind("\0" + name)
        systemd.settimeout(10)
        Notifier("@" + name).ready("two\nlines")
        assert systemd.recv(100) == b"READY=1\nSTATUS=two lines"


def test_without_systemd_nothing_happens(tmp_path):
    Notifier().ready("fine")
    Notifier(str(tmp_path / "nobody")).alive()
