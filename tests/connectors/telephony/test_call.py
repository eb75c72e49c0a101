"""What becomes of a call, row by row."""

from datetime import UTC, datetime, timedelta

import pytest

from crmsync.connectors.telephony.call import Call, Disposition, Phase, advanced
from crmsync.connectors.telephony.contract import (
    Answered,
    Cause,
    Direction,
    Ended,
    Event,
    Held,
    Offered,
    Resumed,
    Ringing,
    Transferred,
)
from crmsync.connectors.telephony.numbers import clean, dialled, e164, is_extension, party

START = datetime(2026, 3, 2, 9, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return START + timedelta(seconds=seconds)


def offered(direction: Direction = Direction.INBOUND, number: str = "+14155550123") -> Offered:
    return Offered("1", "key", direction, number, START, "ACME")


def after(*events: Event) -> Call:
    call: Call | None = None
    for event in events:
        call = advanced(call, event, "US")
    assert call is not None
    return call


def test_from_the_offer_to_the_end():
    call = after(offered(), Ringing("1", at(1)), Answered("1", at(5)), Ended("1", Cause.NORMAL, at(65)))
    assert (call.duration, call.disposition, call.key) == (60, Disposition.ANSWERED, "key")
    assert call.over


def test_of_what_was_never_offered_nothing_is_known():
    assert advanced(None, Answered("1", START)) is None


def test_what_is_told_twice_is_told_once():
    once = after(offered(), Answered("1", at(5)))
    assert (
        after(offered(), offered(), Answered("1", at(5)), Answered("1", at(9)), Ringing("1", at(9))) == once
    )


def test_a_call_that_is_over_stays_so():
    call = after(offered(), Ended("1", Cause.NORMAL, at(5)))
    assert advanced(call, Answered("1", at(9))) == call
    assert advanced(call, Ended("1", Cause.BUSY, at(9))) == call


def test_who_passes_a_call_on_may_be_told_so_afterwards():
    call = after(
        offered(), Answered("1", at(1)), Ended("1", Cause.NORMAL, at(5)), Transferred("1", "102", at(5))
    )
    assert (call.transferred, call.over) == ("102", True)


def test_only_who_talks_can_hold():
    assert after(offered(), Held("1", at(1))).phase is Phase.OFFERED
    held = after(offered(), Answered("1", at(1)), Held("1", at(2)))
    assert held.phase is Phase.HELD
    assert (
        after(offered(), Answered("1", at(1)), Held("1", at(2)), Resumed("1", at(3))).phase is Phase.TALKING
    )


def test_a_clock_that_was_put_back_makes_no_negative_duration():
    assert after(offered(), Answered("1", at(5)), Ended("1", Cause.NORMAL, at(-100))).duration == 0


@pytest.mark.parametrize(
    ("direction", "cause", "disposition"),
    [
        (Direction.INBOUND, Cause.NORMAL, Disposition.MISSED),
        (Direction.INBOUND, Cause.ELSEWHERE, Disposition.MISSED),
        (Direction.INBOUND, Cause.LOST, Disposition.MISSED),
        (Direction.INBOUND, Cause.REJECTED, Disposition.REJECTED),
        (Direction.OUTBOUND, Cause.NORMAL, Disposition.NO_ANSWER),
        (Direction.OUTBOUND, Cause.NO_ANSWER, Disposition.NO_ANSWER),
        (Direction.OUTBOUND, Cause.BUSY, Disposition.BUSY),
        (Direction.OUTBOUND, Cause.REJECTED, Disposition.REJECTED),
        (Direction.OUTBOUND, Cause.UNREACHABLE, Disposition.UNREACHABLE),
        (Direction.OUTBOUND, Cause.FAILED, Disposition.FAILED),
    ],
)
def test_what_a_call_without_an_answer_came_to(direction: Direction, cause: Cause, disposition: Disposition):
    assert after(offered(direction), Ended("1", cause, at(5))).disposition is disposition


def test_a_name_is_kept_short_and_on_one_line():
    call = after(Offered("1", "key", Direction.INBOUND, "\x00" * 9, START, "A\r\nB\u202e" + "x" * 500))
    assert call.name.startswith("ABx")
    assert len(call.name) == 120
    assert call.number == ""


@pytest.mark.parametrize(
    ("text", "region", "number"),
    [
        ("+49 (0) 30 1234567", None, "+49301234567"),
        ("+49 30 1234567", None, "+49301234567"),
        ("(415) 555-0123", "US", "+14155550123"),
        ("(415) 555-0123", None, "4155550123"),
        ("00493012345678", None, "+493012345678"),
        ("030/1234567", "DE", "+49301234567"),
        ("101", "DE", "101"),
        ("+1", None, "+1"),
        ("bob", "US", "bob"),
        ("anonymous", "US", "anonymous"),
    ],
)
def test_numbers_in_one_form(text: str, region: str | None, number: str):
    assert e164(text, region) == number


@pytest.mark.parametrize(
    ("address", "user"),
    [
        ("sip:+14155550123@127.0.0.1:5060;transport=udp", "+14155550123"),
        ('"ACME" <sip:%2B14155550123@pbx.example.com>', "+14155550123"),
        ("sip:+14155550123;phone-context=x@pbx.example.com", "+14155550123"),
        ("sips:bob:secret@pbx.example.com", "bob"),
        ("sip:pbx.example.com", "pbx.example.com"),
        ("+14155550123", "+14155550123"),
    ],
)
def test_the_user_of_an_address(address: str, user: str):
    assert party(address) == user


@pytest.mark.parametrize("text", ["sip:a@b", "bob", "", "+", "1" * 30, "*21*\r\n", "1 2;drop"])
def test_only_numbers_are_dialled(text: str):
    assert dialled(text) in ("", "*21*")


def test_extensions_are_short():
    assert is_extension("101")
    assert not is_extension("+101")
    assert clean("a" * 100, 10) == "a" * 10
