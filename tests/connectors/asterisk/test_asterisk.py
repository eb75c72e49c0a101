"""Both interfaces of an Asterisk, at the level of their protocols."""

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from crmsync.connectors.asterisk.ami import Ami, Refusal
from crmsync.connectors.asterisk.ari import Ari
from crmsync.connectors.errors import AuthExpired, ConnectorError, ProtocolError, Unreachable
from crmsync.connectors.telephony.call import Disposition, Phase
from crmsync.connectors.telephony.contract import Answer, Cause, Dial, Direction, Ended, HangUp, Transfer
from tests.connectors.telephony.ear import Ear
from tests.servers.asterisk import SECRET, USER, exchange
from tests.servers.asterisk import Ami as AmiServer
from tests.servers.asterisk import Ari as AriServer

SHARED = os.environ.get("CRMSYNC_SHARED", "")
transcripts = pytest.mark.skipif(not SHARED, reason="CRMSYNC_SHARED=/a/folder names where transcripts are")


def now() -> datetime:
    return datetime.now(UTC)


def connected(
    kind: type[Ami] | type[Ari], port: int, *extensions: str, secret: str = SECRET, **more: Any
) -> Any:
    return kind(
        "127.0.0.1",
        port,
        USER,
        secret,
        extensions=extensions or ("101",),
        context="from-internal",
        now=now,
        **more,
    )


@pytest.fixture
def ami() -> Iterator[AmiServer]:
    with exchange(AmiServer) as made:
        yield made


@pytest.fixture
def ari() -> Iterator[AriServer]:
    with exchange(AriServer) as made:
        yield made


# ── AMI ──────────────────────────────────────────────────────────────────────────────────────────────────────

TRUNK, DESK, OTHER = "PJSIP/trunk-00000001", "PJSIP/101-00000002", "PJSIP/102-00000003"


def rings(ami: AmiServer, number: str = "+14155550123", dest: str = DESK, id: str = "1.2") -> None:
    caller = {
        "Channel": TRUNK,
        "Uniqueid": "1.1",
        "Linkedid": "1.1",
        "CallerIDNum": number,
        "CallerIDName": "ACME",
    }
    called = {"DestChannel": dest, "DestUniqueid": id, "DestLinkedid": "1.1", "DestCallerIDNum": "101"}
    ami.say({"Event": "DialBegin", **caller, **called})


def dialled(ami: AmiServer, status: str, id: str = "1.2") -> None:
    ami.say({"Event": "DialEnd", "Linkedid": "1.1", "DestUniqueid": id, "DialStatus": status})


def hangs_up(ami: AmiServer, id: str, cause: str = "16") -> None:
    ami.say({"Event": "Hangup", "Linkedid": "1.1", "Uniqueid": id, "Cause": cause})


def test_an_answered_call_over_ami(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port))
    rings(ami)
    ear.until(lambda: ear.calls and ear.only().phase is Phase.RINGING)
    call = ear.only()
    assert (call.key, call.number, call.name, call.extension) == ("1.1", "+14155550123", "ACME", "101")
    dialled(ami, "ANSWER")
    ami.say({"Event": "Hold", "Uniqueid": "1.2"})
    ear.until(lambda: ear.only().phase is Phase.HELD)
    ami.say({"Event": "Unhold", "Uniqueid": "1.2"})
    ear.until(lambda: ear.only().phase is Phase.TALKING)
    ami.say({"Event": "Cdr", "Disposition": "ANSWERED"})
    hangs_up(ami, "1.2")
    ear.until(lambda: ear.only().over)
    assert (ear.only().disposition, ear.only().cause) == (Disposition.ANSWERED, Cause.NORMAL)
    ear.stop()


@pytest.mark.parametrize(
    ("status", "cause", "disposition"),
    [
        ("NOANSWER", Cause.NO_ANSWER, Disposition.MISSED),
        ("CANCEL", Cause.NORMAL, Disposition.MISSED),
        ("BUSY", Cause.BUSY, Disposition.MISSED),
        ("CHANUNAVAIL", Cause.UNREACHABLE, Disposition.MISSED),
    ],
)
def test_calls_that_nobody_takes(ami: AmiServer, status: str, cause: Cause, disposition: Disposition):
    ear = Ear(connected(Ami, ami.port))
    rings(ami)
    dialled(ami, status)
    ear.until(lambda: ear.calls and ear.only().over)
    assert (ear.only().cause, ear.only().disposition) == (cause, disposition)
    ear.stop()


def test_a_group_rings_and_one_of_them_answers(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port, "101", "102"))
    rings(ami)
    rings(ami, dest=OTHER, id="1.3")
    dialled(ami, "ANSWER", "1.3")
    dialled(ami, "CANCEL", "1.2")
    hangs_up(ami, "1.3")
    ear.until(lambda: len(ear.calls) == 2 and all(call.over for call in ear.calls.values()))
    mine, theirs = ear.calls["1.1/101"], ear.calls["1.1/102"]
    assert (mine.cause, mine.disposition, mine.key) == (Cause.ELSEWHERE, Disposition.MISSED, theirs.key)
    assert theirs.disposition is Disposition.ANSWERED
    ear.stop()


def test_an_outgoing_call_that_is_busy(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port))
    ear.switch.act(Dial("+12125550100", "101"))
    asked = ami.asked[-1]
    assert (asked["Action"], asked["Channel"], asked["Exten"]) == ("Originate", "PJSIP/101", "+12125550100")
    source = {"Channel": DESK, "Uniqueid": "1.1", "Linkedid": "1.1", "CallerIDNum": "101"}
    dest = {
        "DestChannel": TRUNK,
        "DestUniqueid": "1.2",
        "DestLinkedid": "1.1",
        "DestCallerIDNum": "2125550100",
    }
    ami.say({"Event": "DialBegin", **source, **dest})
    dialled(ami, "BUSY")
    hangs_up(ami, "1.1", "17")
    ear.until(lambda: ear.calls and ear.only().over)
    call = ear.only()
    assert (call.direction, call.number, call.disposition) == (
        Direction.OUTBOUND, "+12125550100", Disposition.BUSY,
    )  # fmt: skip
    ear.stop()


def test_what_an_exchange_is_told_to_do(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port))
    rings(ami)
    dialled(ami, "ANSWER")
    ear.until(lambda: ear.calls and ear.only().phase is Phase.TALKING)
    ear.switch.act(Transfer(ear.only().id, "102"))
    assert ami.asked[-1] | {"Action": "Redirect", "Channel": TRUNK, "Exten": "102"} == ami.asked[-1]
    ear.switch.act(HangUp(ear.only().id))
    assert ami.asked[-1] | {"Action": "Hangup", "Channel": DESK} == ami.asked[-1]
    with pytest.raises(Refusal):
        ear.switch.act(Answer(ear.only().id))
    with pytest.raises(ValueError):
        ear.switch.act(Dial("1\r\nAction: Command", "101"))
    ear.stop()


def test_a_refused_login_is_for_a_person(ami: AmiServer):
    with pytest.raises(AuthExpired, match="manager"):
        next(connected(Ami, ami.port, secret="wrong").events([], lambda: False))


def test_what_ended_meanwhile_is_told_after_a_break(ami: AmiServer):
    switch = connected(Ami, ami.port)
    ear = Ear(switch)
    rings(ami)
    ear.until(lambda: ear.calls)
    ami.hang()
    with pytest.raises(Unreachable):
        ear.until(lambda: False)
    ami.listing = [{"Linkedid": "9.9", "Uniqueid": "9.9", "Channel": DESK}]
    told = switch.events(["1.1/101", "9.9/101"], lambda: False)
    first = next(told)
    assert isinstance(first, Ended)
    assert (first.call, first.cause) == ("1.1/101", Cause.LOST)
    assert next(told) is None
    told.close()


def test_a_call_that_goes_on_over_a_restart_ends_when_its_channel_does(ami: AmiServer):
    ami.listing = [
        {"Linkedid": "1.1", "Uniqueid": "1.1", "Channel": TRUNK},
        {"Linkedid": "1.1", "Uniqueid": "1.2", "Channel": DESK},
    ]
    told = connected(Ami, ami.port).events(["1.1/101"], lambda: False)
    assert next(told) is None
    ami.say({"Event": "Hangup", "Linkedid": "1.1", "Uniqueid": "1.2", "Cause": "16"})
    ended = next(told)
    assert isinstance(ended, Ended)
    assert (ended.call, ended.cause) == ("1.1/101", Cause.NORMAL)
    told.close()


def test_a_call_whose_caller_is_still_there_but_not_our_telephone_is_over_after_a_break(ami: AmiServer):
    """The exchange has passed the caller on, meanwhile, or they wait in its queue again."""
    ami.listing = [{"Linkedid": "1.1", "Uniqueid": "1.1", "Channel": TRUNK}]
    told = connected(Ami, ami.port).events(["1.1/101"], lambda: False)
    ended = next(told)
    assert isinstance(ended, Ended)
    assert ended.cause is Cause.LOST
    told.close()


@pytest.mark.parametrize("junk", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"x" * 300_000])
def test_what_is_no_ami_is_left(junk: bytes):
    from crmsync.connectors.asterisk.ami_wire import Blocks

    with pytest.raises(ProtocolError):
        list(Blocks().feed(junk))


def test_malformed_blocks_are_passed_over(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port))
    ami.raw(b"\xff\xfe no colon\r\n\r\nEvent: Hangup\r\nCause: \xd9\xa3\r\n\r\nEvent\r\n: \r\n\r\n")
    rings(ami, number="<unknown>")
    ear.until(lambda: ear.calls)
    assert ear.only().number == ""
    ear.stop()


def test_an_exchange_that_answers_nothing_is_gone(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port, silence=0.1, patience=0.5))
    ami.silent = True
    with pytest.raises(Unreachable, match="does not answer"):
        ear.until(lambda: False)


@transcripts
def test_a_real_call_over_ami(ami: AmiServer):
    ear = Ear(connected(Ami, ami.port))
    for line in (Path(SHARED) / "telephony/ami.jsonl").read_text().splitlines():
        ami.say(json.loads(line))
    ear.until(lambda: ear.calls and ear.only().over)
    call = ear.only()
    assert (call.number, call.name, call.extension) == ("+14155550123", "ACME Corp", "101")
    assert (call.direction, call.disposition, call.cause) == (
        Direction.INBOUND, Disposition.ANSWERED, Cause.NORMAL,
    )  # fmt: skip
    ear.stop()


# ── ARI ──────────────────────────────────────────────────────────────────────────────────────────────────────


def channel(id: str, name: str, number: str = "", caller: str = "", **more: Any) -> dict[str, Any]:
    return {"id": id, "name": name, "caller": {"number": number, "name": caller}, "connected": {}, **more}


OUTSIDE = channel("1.1", TRUNK, "+14155550123", "ACME", protocol_id="call-id@trunk")
MINE = channel("1.2", DESK, "101")


def test_an_answered_call_over_ari(ari: AriServer):
    ear = Ear(connected(Ari, ari.port))
    assert ari.asked[0] == ("GET", "/ari/events?app=crmsync&subscribeAll=true")  # and no login in it
    ari.say({"type": "Dial", "dialstatus": "", "caller": OUTSIDE, "peer": MINE})
    ear.until(lambda: ear.calls and ear.only().phase is Phase.RINGING)
    assert (ear.only().key, ear.only().number, ear.only().name) == ("call-id@trunk", "+14155550123", "ACME")
    ari.say({"type": "Dial", "dialstatus": "ANSWER", "caller": OUTSIDE, "peer": MINE})
    ari.say({"type": "ChannelHold", "channel": MINE})
    ear.until(lambda: ear.only().phase is Phase.HELD)
    ear.switch.act(HangUp(ear.only().id))
    assert ari.asked[-1] == ("DELETE", "/ari/channels/1.2?reason=normal")
    ari.say({"type": "ChannelDestroyed", "channel": MINE, "cause": 16})
    ear.until(lambda: ear.only().over)
    assert ear.only().disposition is Disposition.ANSWERED
    ear.stop()


def test_click_to_dial_over_ari(ari: AriServer):
    ear = Ear(connected(Ari, ari.port))
    ear.switch.act(Dial("+12125550100", "101"))
    method, path = ari.asked[-1]
    assert method == "POST"
    assert "endpoint=PJSIP%2F101&extension=%2B12125550100" in path
    ours = channel(path.rpartition("channelId=")[2], DESK, "101", connected={"number": "+12125550100"})
    ari.say({"type": "Dial", "dialstatus": "", "peer": ours})  # our own telephone rings first
    line = channel("2.1", TRUNK, "+12125550100")
    ari.say({"type": "Dial", "dialstatus": "", "caller": ours, "peer": line})
    ari.say({"type": "Dial", "dialstatus": "NOANSWER", "caller": ours, "peer": line})
    ari.say({"type": "ChannelDestroyed", "channel": ours, "cause": 19})
    ear.until(lambda: ear.calls and ear.only().over)
    assert (ear.only().direction, ear.only().disposition) == (Direction.OUTBOUND, Disposition.NO_ANSWER)
    ear.stop()


def test_ari_refuses_and_breaks(ari: AriServer):
    with pytest.raises(AuthExpired, match="login"):
        next(connected(Ari, ari.port, secret="wrong").events([], lambda: False))
    ear = Ear(connected(Ari, ari.port))
    ari.raw(b"\x89\x02hi")  # a ping
    ari.raw(b"\x81\x05nojso")
    ari.say({"type": "Dial", "peer": 7, "caller": ["x"], "dialstatus": None})
    ari.raw(b"\x88\x00")  # another programme hears under our name
    with pytest.raises(Unreachable):
        ear.until(lambda: False)


@pytest.mark.parametrize(
    "frame", [b"\xf1\x00", b"\x81\x81\x00\x00\x00\x00x", b"\x81\x7f" + (2**40).to_bytes(8)]
)
def test_frames_that_no_server_sends(frame: bytes, ari: AriServer):
    ear = Ear(connected(Ari, ari.port))
    ari.raw(frame)
    with pytest.raises(ConnectorError):
        ear.until(lambda: False)


def test_an_ari_that_is_none(ami: AmiServer):
    with pytest.raises(ProtocolError):
        next(connected(Ari, ami.port, patience=1.0).events([], lambda: False))


def test_calls_of_before_a_break_are_asked_for(ari: AriServer):
    told = connected(Ari, ari.port).events(["x/101"], lambda: False)
    first = next(told)
    assert isinstance(first, Ended)
    assert ari.asked[-1] == ("GET", "/ari/channels")
    told.close()


@transcripts
def test_a_real_call_over_ari(ari: AriServer):
    ear = Ear(connected(Ari, ari.port, "102"))
    for line in (Path(SHARED) / "telephony/ari.jsonl").read_text().splitlines():
        ari.say(json.loads(line))
    ear.until(lambda: ear.calls and ear.only().over)
    call = ear.only()
    assert (call.number, call.extension, call.disposition) == ("+14155550123", "102", Disposition.ANSWERED)
    ear.stop()
