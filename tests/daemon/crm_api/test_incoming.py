"""Large bodies: whose are read, and how many at once."""

import asyncio
from collections.abc import Sequence

import pytest
from starlette.requests import Request

from crmsync.daemon.crm_api.incoming import STRANGERS_BYTES, Incoming
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
