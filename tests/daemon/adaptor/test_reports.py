"""A result is posted to where the configuration says, signed, and until it is heard."""

import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from crmsync.daemon.adaptor.signing import CREDENTIAL, NONCE, SIGNATURE, TIME, Signed
from tests.daemon.adaptor.office import SECRET, Office, credential, until


class Crm(HTTPServer):
    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Hears)
        self.heard: list[tuple[str, dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str]]] = []  # the next ones; then 200
        self.endless, self.hung_up = Event(), Event()  # whether the body of an answer has no end
        Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Hears(BaseHTTPRequestHandler):
    server: Crm

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.heard.append((self.path, {k.lower(): v for k, v in self.headers.items()}, body))
        status, headers = self.server.answers.pop(0) if self.server.answers else (200, {})
        self.send_response(status)
        length = {} if self.server.endless.is_set() else {"content-length": "0"}
        for name, value in {**headers, **length}.items():
            self.send_header(name, value)
        self.end_headers()
        while self.server.endless.wait(0) and not self.server.hung_up.is_set():
            try:
                self.wfile.write(b"x" * 65536)
            except OSError:
                self.server.hung_up.set()
        self.close_connection = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def crm() -> Iterator[Crm]:
    made = Crm()
    yield made
    made.shutdown()
    made.server_close()


@pytest.fixture
def office(tmp_path: Path, crm: Crm) -> Iterator[Office]:
    made = Office(tmp_path, {"main": credential(report_to=f"{crm.url}/results")})
    yield made
    made.close()


def test_the_result_is_posted_and_signed(office: Office, crm: Crm) -> None:
    office.world.person()
    job = office.done()
    until(lambda: len(crm.heard) == 1)
    path, headers, body = crm.heard[0]
    assert (path, headers[CREDENTIAL]) == ("/results", "main")
    signed = Signed("POST", path, int(headers[TIME]), headers[NONCE], body)
    assert signed.verifies(SECRET, headers[SIGNATURE])
    told = json.loads(body)
    assert (told["job"], told["state"], told["result"]["counts"]["created"]) == (job["job"], "done", 1)


def test_until_it_is_heard_it_is_posted_again(office: Office, crm: Crm) -> None:
    crm.answers = [(500, {})]
    office.done()
    until(lambda: len(crm.heard) == 1)
    office.done()  # the next job's end brings the first one along
    until(lambda: len(crm.heard) == 3)
    assert len({json.loads(body)["job"] for _, _, body in crm.heard}) == 2


def test_no_redirect_is_followed(office: Office, crm: Crm) -> None:
    crm.answers = [(307, {"location": f"{crm.url}/elsewhere"})]
    office.done()
    until(lambda: len(crm.heard) == 1)
    office.done()
    until(lambda: len(crm.heard) == 3)
    assert {path for path, _, _ in crm.heard} == {"/results"}


def test_an_answer_without_an_end_is_not_waited_for(office: Office, crm: Crm) -> None:
    crm.endless.set()
    office.world.person()
    office.done()
    try:
        until(crm.hung_up.is_set, 10.0)
    finally:
        crm.hung_up.set()
