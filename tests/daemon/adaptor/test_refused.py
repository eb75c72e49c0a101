"""Whoever is not the CRM, or asks for more than it may, gets nothing; and it stands in the audit log."""

import contextlib
import dataclasses
import json
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from crmsync.config.secret import ClearSecret, FileSecret
from crmsync.daemon.adaptor.communication import LARGEST, MOST_OPEN
from crmsync.daemon.adaptor.refusals import LINES, Rule
from crmsync.state.database import State
from crmsync.state.model import Audited
from tests.daemon.adaptor.office import FORWARD, REVERSE, SECRET, Office, credential, until

ALICE = json.dumps({"accounts": ["alice"]}).encode()


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Office]:
    """For those who do not come in: nothing is left of them but the audit log."""
    made = Office(tmp_path_factory.mktemp("door"))
    yield made
    assert made.world.engine.exchange_jobs() == []
    made.close()


def refused(office: Office, rule: str, status: int, answer: tuple[int, dict[str, Any]]) -> None:
    assert (answer[0], answer[1]["error"]) == (status, rule)
    assert office.rules()[0] == rule
    assert office.world.engine.exchange_jobs(1) == []


# ── Where it comes from ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_forged_host(door: Office, host: str) -> None:
    refused(door, "host", 421, door.ask(more={"Host": host}))


@pytest.mark.parametrize("more", [{"Origin": "https://evil.example"}, {"Sec-Fetch-Site": "cross-site"}])
def test_a_page_in_a_browser(door: Office, more: dict[str, str]) -> None:
    refused(door, "origin", 403, door.ask(more=more))


def test_not_the_origin_of_the_adaptor_itself_either(door: Office) -> None:
    refused(door, "origin", 403, door.ask(more={"Origin": door.url}))


# ── Who it is ────────────────────────────────────────────────────────────────────────────────────────────────


def test_another_secret(door: Office) -> None:
    refused(door, "signature", 401, door.ask(secret=SECRET + "!"))
    assert door.audit()[0]["credential"] == "main?"


def test_another_name(door: Office) -> None:
    refused(door, "unknown_credential", 401, door.ask(name="other"))


def test_without_a_signature(door: Office) -> None:
    headers = door.signed("POST", REVERSE, ALICE)
    del headers["x-exchange-signature"]
    refused(door, "no_signature", 401, door.ask(headers=headers))


def test_without_anything(door: Office) -> None:
    refused(door, "no_credential", 401, door.ask(headers={}))


@pytest.mark.parametrize(
    ("method", "path", "body", "changed"),
    [
        ("POST", REVERSE, b'{"accounts": ["alice"] }', {}),  # another body
        ("POST", FORWARD, ALICE, {}),  # another path
        ("POST", REVERSE, ALICE, {"x-exchange-nonce": "another-nonce-altogether"}),
        ("POST", REVERSE, ALICE, {"x-exchange-time": "1"}),
        ("POST", REVERSE, ALICE, {"x-exchange-signature": "v1=00"}),
        ("POST", REVERSE, ALICE, {"x-exchange-signature": "\u00e9"}),
    ],
)
def test_an_altered_message(
    door: Office, method: str, path: str, body: bytes, changed: dict[str, str]
) -> None:
    headers = {**door.signed("POST", REVERSE, ALICE), **changed}
    refused(door, "signature", 401, door.send(method, path, body, headers))


@pytest.mark.parametrize("late", [301, -301])
def test_a_stale_message_and_one_from_the_future(door: Office, late: int) -> None:
    refused(door, "stale", 401, door.ask(late=late))


def test_a_message_just_inside_of_the_window(office: Office) -> None:
    assert office.ask(late=300)[0] == 202


def test_a_nonce_with_another_body(office: Office) -> None:
    first = office.done()
    status, answer = office.ask(FORWARD, nonce="a-nonce-of-the-crm-0001")
    assert (status, answer["error"]) == (409, "replayed")
    assert office.rules() == ["replayed"]
    assert [job["job"] for job in office.world.engine.exchange_jobs()] == [first["job"]]


def test_a_recorded_message_is_worth_nothing_later(office: Office) -> None:
    body = ALICE
    headers = office.signed("POST", REVERSE, body)
    assert office.send("POST", REVERSE, body, headers)[0] == 202
    assert office.send("POST", REVERSE, body, headers)[0] == 202
    assert len(office.world.engine.exchange_jobs()) == 1
    office.world.clock.tick(301)
    assert office.send("POST", REVERSE, body, headers)[1]["error"] == "stale"


# ── What it may ask for ──────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("may", "said", "rule"),
    [
        ({"accounts": ("bob",)}, {"accounts": ["alice"]}, "account"),
        ({"accounts": ("alice",)}, {"accounts": ["alice", "bob"]}, "account"),
        ({"accounts": ("*",)}, {"accounts": ["nobody"]}, "account"),
        ({"kinds": ("task",)}, {"accounts": ["alice"], "kinds": ["contact", "task"]}, "kind"),
        ({"directions": ("forward",)}, {"accounts": ["alice"]}, "direction"),
    ],
)
def test_more_than_it_may(tmp_path: Path, may: dict[str, Any], said: dict[str, Any], rule: str) -> None:
    office = Office(tmp_path, {"main": credential(**may)})
    refused(office, rule, 403, office.ask(said=said))
    assert office.audit()[0]["detail"]
    office.close()


def test_another_ones_job(tmp_path: Path) -> None:
    office = Office(tmp_path, {"main": credential(), "other": credential()})
    job = office.done()
    assert office.look(job["job"], name="other")[1]["error"] == "not_yours"
    assert office.look("guessed")[1]["error"] == "not_yours"
    assert office.rules() == ["not_yours", "not_yours"]
    office.close()


# ── What it looks like ───────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b"[" * 60_000,
        b"{}",
        b'{"accounts": []}',
        b'{"accounts": "alice"}',
        b'{"accounts": [1]}',
        b'{"accounts": ["alice"], "kinds": []}',
        b'{"accounts": ["alice"], "kinds": ["gossip"]}',
        b'{"accounts": ["alice"], "since": "yesterday"}',
        b'{"accounts": ["alice"], "since": "2026-11-22T10:00:00"}',
        b'{"accounts": ["alice"], "report_to": "https://evil.example"}',
        b"\xff\xfe",
    ],
)
def test_a_malformed_message(door: Office, body: bytes) -> None:
    headers = door.signed("POST", REVERSE, body)
    refused(door, "malformed", 400, door.send("POST", REVERSE, body, headers))


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("x-exchange-time", "now"),
        ("x-exchange-time", "9" * 30),
        ("x-exchange-nonce", "short"),
        ("x-exchange-nonce", "é" * 20),
    ],
)
def test_a_malformed_header(door: Office, header: str, value: str) -> None:
    headers = {**door.signed("POST", REVERSE, ALICE), header: value}
    refused(door, "malformed", 400, door.ask(headers=headers))


def test_a_header_that_stands_there_twice(door: Office) -> None:
    headers = door.signed("POST", REVERSE, ALICE)
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = [f"POST {REVERSE} HTTP/1.1", f"Host: 127.0.0.1:{door.port}", f"Content-Length: {len(ALICE)}"]
    text = "\r\n".join([*head, *lines, "x-exchange-nonce: another-nonce-altogether", "", ""])
    with socket.create_connection(("127.0.0.1", door.port)) as line:
        line.sendall(text.encode() + ALICE)
        line.settimeout(10)
        assert b" 400 " in line.recv(4096)
    assert door.rules()[0] == "malformed"


def test_a_query(door: Office) -> None:
    path = f"{REVERSE}?accounts=bob"
    refused(door, "malformed", 400, door.send("POST", path, ALICE, door.signed("POST", path, ALICE)))


def test_another_method_and_another_resource(door: Office) -> None:
    refused(door, "method", 405, door.send("GET", REVERSE, b"", door.signed("GET", REVERSE, b"")))
    refused(door, "no_such_resource", 404, door.ask("/exchange/v2/reverse-sync"))


@pytest.mark.parametrize("size", [65 * 1024, LARGEST + 1])
def test_a_body_that_is_too_large(door: Office, size: int) -> None:
    refused(door, "too_large", 413, door.ask(said=b" " * size))


def test_a_body_without_an_end(office: Office) -> None:
    """Chunked: its size is not told before."""
    with socket.create_connection(("127.0.0.1", office.port)) as line:
        line.sendall(f"POST {REVERSE} HTTP/1.1\r\nHost: 127.0.0.1:{office.port}\r\n".encode())
        line.sendall(b"Transfer-Encoding: chunked\r\n\r\n")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        try:
            for _ in range(LARGEST // 0x10000 + 20):
                line.sendall(chunk)
            answer = line.recv(4096)
        except OSError:
            answer = b""  # it has hung up
    until(lambda: office.rules() == ["too_large"])
    assert answer == b"" or b" 413 " in answer


def test_a_body_that_does_not_come(tmp_path: Path) -> None:
    office = Office(tmp_path, patience=0.2)
    with socket.create_connection(("127.0.0.1", office.port)) as line:
        line.sendall(f"POST {REVERSE} HTTP/1.1\r\nHost: 127.0.0.1:{office.port}\r\n".encode())
        line.sendall(b"Content-Length: 100\r\n\r\n{")
        line.settimeout(10)
        assert b" 408 " in line.recv(4096)
    assert office.rules() == ["slow"]
    office.close()


def test_a_request_that_does_not_begin(tmp_path: Path) -> None:
    office = Office(tmp_path, patience=0.2)
    with socket.create_connection(("127.0.0.1", office.port)) as line:
        line.sendall(b"POST /exch")
        line.settimeout(10)
        with contextlib.suppress(ConnectionResetError):
            assert line.recv(4096) == b""
    office.close()


# ── Too many ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_idle_connections_do_not_take_the_descriptors_of_the_sync(tmp_path: Path) -> None:
    """Whoever only connects is hung up on, beyond so many."""
    office = Office(tmp_path, patience=600)
    port = office.port
    with contextlib.ExitStack() as stack:
        idle = [
            stack.enter_context(socket.create_connection(("127.0.0.1", port), 20))
            for _ in range(MOST_OPEN + 20)
        ]
        hung_up = 0
        for each in reversed(idle):
            each.settimeout(0.2)
            with contextlib.suppress(TimeoutError):
                with contextlib.suppress(ConnectionResetError):
                    assert each.recv(1) == b""
                hung_up += 1
            if hung_up == 20:
                break
        assert hung_up == 20
    office.close()


def test_jobs_are_bounded(office: Office) -> None:
    with office.turns.patiently(["alice"]):
        answers = [office.ask()[0] for _ in range(101)]
        assert answers == [202] * 100 + [429]
        assert office.rules() == ["too_many"]
    office.turns.close()
    office.turns.interrupt()


def test_a_flood_does_not_fill_the_disk(office: Office) -> None:
    for _ in range(LINES + 500):
        office.adaptor.audit.refused(Rule.HOST, credential="", peer="::1", asked="GET /", detail="x" * 1000)
    assert len(office.audit()) == LINES
    office.world.clock.tick(61)
    office.adaptor.audit.refused(Rule.HOST, credential="", peer="::1", asked="GET /", detail="")
    assert "500 more were refused" in office.audit()[1]["detail"]


def test_nothing_secret_is_in_the_log_or_the_state(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    office.ask(secret="the wrong secret, which is none of ours")
    office.done()
    stored = json.dumps([office.audit(), office.world.engine.exchange_jobs()]) + caplog.text
    assert SECRET not in stored
    assert "none of ours" not in stored


def test_where_a_secret_lies_is_told_to_the_operator_alone(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks has proven nothing yet, and the audit log is read by others than IT."""
    file = tmp_path / "kept" / "crm-secret"
    office = Office(tmp_path, {"main": credential(secret=FileSecret(file))})
    try:
        status, answer = office.ask()
        assert (status, answer["error"]) == (503, "unavailable")
        assert str(tmp_path) not in json.dumps([answer, office.audit()])
        refused = [r.getMessage() for r in caplog.records if getattr(r, "action", "") == "exchange.refused"]
        assert [str(file) in sentence for sentence in refused] == [True]
    finally:
        office.close()


def test_nothing_is_acknowledged_that_is_not_on_disk(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    from crmsync.state.errors import StateError

    def broken(self: State) -> Any:
        raise StateError("the disk is full")

    monkeypatch.setattr(State, "transaction", broken)
    status, answer = office.ask()
    monkeypatch.undo()
    assert (status, answer["error"]) == (503, "unavailable")
    assert office.world.engine.exchange_jobs() == []


@pytest.mark.parametrize("said", [{"accounts": ["\ud800"]}, {"accounts": ["alice"], "\ud800": 1}])
def test_half_a_surrogate_pair_is_refused_and_noted_as_everything_else(
    door: Office, said: dict[str, Any]
) -> None:
    answer = door.ask(said=json.dumps(said).encode())
    assert answer[0] in (400, 403)
    assert door.rules()[0] == answer[1]["error"]


def test_a_flood_does_not_fill_the_log(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(LINES):
        office.adaptor.audit.refused(Rule.HOST, credential="", peer="::1", asked="GET /", detail="")
    caplog.clear()
    assert office.ask(headers={})[0] == 401
    assert [r for r in caplog.records if getattr(r, "action", "") == "exchange.refused"] == []


def test_a_message_that_comes_again_and_again_does_not_fill_the_disk_either(tmp_path: Path) -> None:
    """Whoever has recorded one may send it as long as it is fresh; each asks for nothing new."""
    token = "a-token-without-spaces"
    office = Office(tmp_path, {"main": credential(wake_token=ClearSecret(token))})
    body = ALICE
    headers = office.signed("POST", REVERSE, body)
    job = office.send("POST", REVERSE, body, headers)[1]["job"]
    asked = Audited(
        at=office.world.clock(), credential="main", peer="::1", asked="POST /", allowed=True, rule="repeated",
        detail="", job=job,
    )  # fmt: skip
    for _ in range(LINES + 10):
        office.adaptor.audit.again(asked)
    assert len(office.audit()) == LINES + 1
    assert office.send("POST", REVERSE, body, headers)[1]["job"] == job  # it is still answered
    wake = {"Authorization": f"Bearer {token}"}
    assert office.send("POST", "/exchange/v1/wake", b"", wake)[0] == 202
    assert len(office.audit()) == LINES + 1
    assert office.ask(headers={})[0] == 401  # and a stranger's refusal is noted beside it
    assert len(office.audit()) == LINES + 2
    office.world.clock.tick(61)
    assert office.ask(nonce="a-nonce-of-another-day")[0] == 202
    office.adaptor.audit.again(dataclasses.replace(asked, at=office.world.clock()))
    assert "12 more were repeated" in office.audit()[1]["detail"]
    office.close()


def test_a_clock_that_was_put_back_silences_nothing(office: Office) -> None:
    for _ in range(LINES + 1):
        office.adaptor.audit.refused(Rule.HOST, credential="", peer="::1", asked="GET /", detail="")
    office.world.clock.tick(-3600)
    office.adaptor.audit.refused(Rule.HOST, credential="", peer="::1", asked="GET /", detail="here")
    assert office.audit()[0]["detail"] == "here"


@pytest.mark.parametrize(
    "path",
    [
        "/exchange/v1/Outbound/{}",
        "/exchange/v1/outbuond/{}",
        "/exchange/v1/outbound/{}/",
        "/{}",
        "/exchange/v1/outbound{}",
        "//exchange/v1/outbound/{}",
        "/exchange/v1/%6futbound/{}",
    ],
)
def test_a_mistyped_address_does_not_put_its_token_into_the_audit_log(door: Office, path: str) -> None:
    token = "abcdefgh%2Fijklmnop-0123456789"
    assert door.send("POST", path.format(token), b"", {})[0] in (401, 404)
    line = door.audit()[0]["asked"]
    assert line.startswith("POST /")
    assert all(part not in line for part in ("abcdefgh", "ijklmnop", "0123456789"))
