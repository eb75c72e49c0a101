"""Large bodies: whose are read, and how many at once."""

import asyncio
import gzip
from collections.abc import Sequence

import pytest
from starlette.requests import Request

from crmsync.daemon.crm_api.bodies import MOST_PARTS, parse_json
from crmsync.daemon.crm_api.bulk import shapes, tables
from crmsync.daemon.crm_api.fairness import Fairness
from crmsync.daemon.crm_api.incoming import STRANGERS_BYTES, Incoming
from crmsync.daemon.crm_api.soap import wire
from crmsync.state.replica.faults import Fault
from tests.daemon.crm_api.conftest import Api

LARGE = b" " * (STRANGERS_BYTES + 1)


def test_a_large_body_is_read_from_who_has_a_session(nobody: Api, api: Api) -> None:
    for path in ("/services/data/v59.0/composite", "/services/oauth2/token", "/services/async/59.0/job"):
        assert nobody("POST", path, raw=LARGE).status == 413
    assert api("POST", "composite", raw=LARGE + b"{}").status == 400  # read, and looked at


def request(*chunks: bytes) -> Request:
    messages = [{"type": "http.request", "body": each, "more_body": True} for each in chunks]
    messages.append({"type": "http.request", "body": b"", "more_body": False})

    async def receive() -> dict[str, object]:
        return messages.pop(0)

    return Request({"type": "http", "headers": [], "method": "POST"}, receive)


async def sizes(incoming: Incoming, bodies: Sequence[Request]) -> list[int]:
    return [len(body) for each in bodies async for body in _read(incoming, each)]


async def _read(incoming: Incoming, each: Request):  # type: ignore[no-untyped-def]
    async with incoming.body(each) as body:
        yield body


def test_all_bodies_together_are_bounded() -> None:
    async def scene() -> list[int]:
        incoming = Incoming(most=100)
        async with incoming.body(request(b"x" * 60)) as first:
            with pytest.raises(Fault, match="too many large requests"):
                await sizes(incoming, [request(b"x" * 30, b"x" * 30)])
            second = await sizes(incoming, [request(b"x" * 40)])  # what was refused is not counted
        return [len(first), *second, *await sizes(incoming, [request(b"x" * 100)])]

    assert asyncio.run(scene()) == [60, 40, 100]


ENVELOPE = (
    '<e:Envelope xmlns:e="http://schemas.xmlsoap.org/soap/envelope/"><e:Header><SessionHeader>'
    "<sessionId>{}</sessionId></SessionHeader></e:Header><e:Body><query>{}</query></e:Body></e:Envelope>"
)
SOAP = "/services/Soap/u/59.0"


@pytest.mark.parametrize("zipped", [False, True])
def test_a_large_message_of_soap_is_read_from_who_has_a_session(
    nobody: Api, alice: Api, zipped: bool
) -> None:
    """Ten megabytes of the smallest elements are three hundred in memory; zipped, they are ten thousand bytes."""
    token = alice.headers["Authorization"].removeprefix("Bearer ")

    def sent(session: str) -> int:
        body = ENVELOPE.format(session, "<a/>" * 20_000).encode()
        more = {"Content-Encoding": "gzip"} if zipped else {}
        headers = {"Content-Type": "text/xml", "SOAPAction": '""', **more}
        answer = nobody("POST", SOAP, raw=gzip.compress(body) if zipped else body, headers=headers)
        return 413 if b"REQUEST_TOO_LARGE" in answer.body else answer.status

    assert sent("nobody's") == 413
    assert sent(token) == 500  # it is looked at: there is no such query


def test_a_path_that_only_looks_like_soap_lets_nobody_send_more(nobody: Api) -> None:
    assert nobody("POST", "//soap/services/oauth2/token", raw=LARGE).status == 413


def test_what_strangers_send_does_not_grow_when_it_is_unzipped(nobody: Api) -> None:
    bomb = gzip.compress(b"grant_type=" + b"x" * (20 * 1024 * 1024))
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Content-Encoding": "gzip"}
    for path in ("/services/oauth2/token", "/services/async/59.0/job"):
        answer = nobody("POST", path, raw=bomb, headers=headers)
        assert b"larger than 65536 bytes" in answer.body


def test_a_number_without_an_end_is_no_number(api: Api) -> None:
    raw = b'{"q": "x", "overallLimit": 1e400, "sobjects": []}'
    answer = api("POST", "parameterizedSearch", raw=raw)
    assert (answer.status, answer.code) == (400, "JSON_PARSER_ERROR")


def test_what_is_small_on_the_wire_and_large_in_memory_is_not_begun() -> None:
    with pytest.raises(Fault, match="objects and lists"):
        parse_json(b"[" + b"{}," * MOST_PARTS + b"{}]")
    with pytest.raises(Fault, match="tags"):
        wire.parse(b"<a>" + b"<b/>" * wire.MOST_TAGS + b"</a>")
    with pytest.raises(Fault, match="tags"):
        shapes.read_rows(b"<a>" + b"<b/>" * shapes.MOST_TAGS + b"</a>", "XML")
    with pytest.raises(Fault, match="150000 rows"):
        tables.read(b"a\n" * (tables.MOST_ROWS + 2) + b'"')  # it is left before what is wrong
    with pytest.raises(Fault, match="cells"):
        tables.read((b"," * 999 + b"\n") * (tables.MOST_CELLS // 1000 + 2) + b'"')


def test_who_asks_for_much_waits_for_themselves() -> None:
    async def scene() -> tuple[int, bool, list[str]]:
        fairness, go_on = Fairness(2), asyncio.Event()
        inside: list[str] = []

        async def ask(whose: str) -> None:
            async with fairness.turn(whose):
                inside.append(whose)
                await go_on.wait()

        many = [asyncio.create_task(ask("alice")) for _ in range(5)]
        await asyncio.sleep(0)
        other = asyncio.create_task(ask("bob"))
        while "bob" not in inside:
            await asyncio.sleep(0)
        held = inside.count("alice")
        go_on.set()
        await asyncio.gather(*many, other)
        return held, bool(fairness._places), inside

    held, remembered, inside = asyncio.run(scene())
    assert (held, remembered, inside.count("alice")) == (2, False, 5)
