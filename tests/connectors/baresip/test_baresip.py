"""Two real telephones on loopback call each other; one of them is ours."""

import socket
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from crmsync.connectors.baresip.client import Refusal
from crmsync.connectors.baresip.connector import Baresip
from crmsync.connectors.errors import Unreachable
from crmsync.connectors.telephony.call import Disposition, Phase
from crmsync.connectors.telephony.contract import (
    Answer,
    Cause,
    Dial,
    Direction,
    Ended,
    HangUp,
    Hold,
    Resume,
    Transfer,
)
from tests.connectors.telephony.ear import Ear
from tests.servers.baresip import Telephone, baresip

pytestmark = pytest.mark.server


@pytest.fixture(scope="module")
def outside() -> Iterator[Telephone]:
    with baresip("+14155550123", "ACME <b>Corp</b>") as phone:
        yield phone


@pytest.fixture(scope="module")
def inside() -> Iterator[Telephone]:
    with baresip("alice") as phone:
        yield phone


def connected(phone: Telephone, **more: Any) -> Baresip:
    return Baresip("127.0.0.1", phone.control, now=lambda: datetime.now(UTC), **more)


@pytest.fixture
def ear(inside: Telephone) -> Iterator[Ear]:
    made = Ear(connected(inside))
    yield made
    for call in made.calls.values():
        if not call.over:
            made.switch.act(HangUp(call.id))
            made.until(lambda call=call: made.calls[call.id].over)
    made.stop()


def test_a_call_is_answered_held_and_hung_up(ear: Ear, inside: Telephone, outside: Telephone):
    outside.tell("dial", inside.address)
    ear.until(lambda: ear.calls and ear.only().phase is Phase.RINGING)
    call = ear.only()
    assert (call.direction, call.number, call.key) == (Direction.INBOUND, "+14155550123", call.id)
    assert call.name == "ACME <b>Corp</b>"
    ear.switch.act(Answer(call.id))
    ear.until(lambda: ear.only().phase is Phase.TALKING)
    ear.switch.act(Hold(call.id))
    ear.until(lambda: ear.only().phase is Phase.HELD)
    ear.switch.act(Resume(call.id))
    ear.until(lambda: ear.only().phase is Phase.TALKING)
    ear.switch.act(HangUp(call.id))
    ear.until(lambda: ear.only().over)
    assert ear.only().disposition is Disposition.ANSWERED
    with pytest.raises(Refusal):
        ear.switch.act(Answer(call.id))


def test_one_that_is_not_wanted_is_rejected(ear: Ear, inside: Telephone, outside: Telephone):
    outside.tell("dial", inside.address)
    ear.until(lambda: ear.calls)
    ear.switch.act(HangUp(ear.only().id))
    ear.until(lambda: ear.only().over)
    assert ear.only().disposition is Disposition.REJECTED


def test_one_that_gives_up_is_missed(ear: Ear, inside: Telephone, outside: Telephone):
    outside.tell("dial", inside.address)
    ear.until(lambda: ear.calls)
    outside.tell("hangup")
    ear.until(lambda: ear.only().over)
    assert ear.only().disposition is Disposition.MISSED


def test_dialled_and_rejected_there(ear: Ear, outside: Telephone):
    ear.switch.act(Dial(outside.address))
    ear.until(lambda: ear.calls)
    assert (ear.only().direction, ear.only().number) == (Direction.OUTBOUND, "+14155550123")
    outside.tell("hangup")
    ear.until(lambda: ear.only().over)
    assert ear.only().disposition is Disposition.REJECTED


def test_a_call_is_passed_on(ear: Ear, inside: Telephone, outside: Telephone):
    with baresip("carol") as carol:
        outside.tell("dial", inside.address)
        ear.until(lambda: ear.calls)
        call = ear.only()
        ear.switch.act(Answer(call.id))
        ear.until(lambda: ear.only().phase is Phase.TALKING)
        third = Ear(
            connected(carol)
        )  # before she is called: baresip does not tell of calls that came before us
        ear.switch.act(Transfer(call.id, carol.address))
        third.until(lambda: third.calls)
        third.switch.act(Answer(third.only().id))
        ear.until(lambda: ear.only().transferred and ear.only().over)
        assert ear.only().disposition is Disposition.ANSWERED
        third.stop()


def test_another_programme_that_takes_the_connection_over_is_noticed(inside: Telephone):
    ear = Ear(connected(inside, silence=0.1, patience=0.5))
    with socket.create_connection(("127.0.0.1", inside.control)), pytest.raises(Unreachable):
        ear.until(lambda: False)
    ear.stop()


def test_what_ended_while_nobody_listened_is_told_first(inside: Telephone):
    switch = connected(inside)
    told = switch.events(["no-such-call"], lambda: False)
    first = next(told)
    assert isinstance(first, Ended)
    assert (first.call, first.cause) == ("no-such-call", Cause.LOST)
    told.close()


def test_a_baresip_that_is_not_there_is_said_to_be_so():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        switch = Baresip("127.0.0.1", nobody.getsockname()[1], now=lambda: datetime.now(UTC))
        with pytest.raises(Unreachable, match="ctrl_tcp"):
            next(switch.events([], lambda: False))


def test_whoever_reads_hears_that_it_is_over(inside: Telephone):
    """As when the configuration is read again in the middle of a call."""
    switch = connected(inside)
    told = switch.events([], lambda: False)
    assert next(told) is None
    switch.close()
    with pytest.raises(Unreachable):
        list(told)
