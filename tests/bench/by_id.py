"""A record by its id from the embedded CRM, against a bare handler of the same server with the SQL written by hand."""

import asyncio
import json
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from statistics import median
from threading import Event, Thread
from typing import Any

import sqlalchemy as sa
import urllib3
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from tests.bench.terms import Figure, Results, Sizes
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

MOST = 2.0  # times what the bare handler takes
RECORDS = 200
ROUNDS = 5
FIELDS = ("Id", "LastName", "FirstName", "Email", "Phone", "SystemModstamp")

Ask = Callable[[str], Any]


def by_id(results: Results, sizes: Sizes) -> None:
    with embedded_crm() as crm, _bare(crm) as url, urllib3.PoolManager(retries=False) as pool:
        ids = _records(crm)
        token = crm.crm.sessions.open(crm.sync.id)
        headers = {"Authorization": f"Bearer {token}"}
        data, names = f"{crm.url}/services/data/v59.0", ",".join(FIELDS)
        soql = f"SELECT+{names}+FROM+Contact+WHERE+Id+=+"
        asks: dict[str, Ask] = {
            "bare": lambda record: pool.request("GET", f"{url}?id={record}"),
            "query": lambda record: pool.request("GET", f"{data}/query?q={soql}'{record}'", headers=headers),
            "sobjects": lambda record: pool.request(
                "GET", f"{data}/sobjects/Contact/{record}?fields={names}", headers=headers
            ),
        }
        times = _measured(asks, ids)
    for name in ("query", "sobjects"):
        ratio = times[name] / times["bare"]
        measured = (
            f"{times[name] * 1000:.2f} ms, {ratio:.1f} times a bare handler's {times['bare'] * 1000:.2f} ms"
        )
        what = f"embedded CRM: a record by its id, {name}"
        results.add(Figure(what, f"{RECORDS} records", measured, f"{MOST:.0f} times", ratio <= MOST))


def _measured(asks: dict[str, Ask], ids: list[str]) -> dict[str, float]:
    """The median seconds of each, in turns, so that what else the machine does meets all of them."""
    times: dict[str, list[float]] = {name: [] for name in asks}
    for turn in range(ROUNDS + 1):
        for name, ask in asks.items():
            for record in ids:
                start = time.perf_counter()
                assert ask(record).status == 200
                if turn:  # the first one fills caches and connections
                    times[name].append(time.perf_counter() - start)
    return {name: median(each) for name, each in times.items()}


def _records(crm: EmbeddedCrm) -> list[str]:
    caller = crm.crm.store.caller(crm.sync.id)
    rows = [
        ("Contact", {"LastName": f"n{n}", "FirstName": "x", "Email": f"n{n}@example.com", "Phone": "1"})
        for n in range(RECORDS)
    ]
    return [str(each.id) for each in crm.crm.store.create(caller, rows)]


@contextmanager
def _bare(crm: EmbeddedCrm) -> Iterator[str]:
    """The address of a handler that does nothing but ask the database and write the same JSON."""
    columns = ", ".join(f'"{name}"' for name in FIELDS)
    statement = sa.text(f'SELECT {columns} FROM "Contact" WHERE "Id" = :id AND "IsDeleted" = 0')

    def answer(request: Request) -> Response:
        with crm.crm.database.engine.connect() as connection:
            row = connection.execute(statement, {"id": request.query_params["id"]}).one()
        path = f"/services/data/v59.0/sobjects/Contact/{row[0]}"
        record = {
            "attributes": {"type": "Contact", "url": path},
            **dict(zip(FIELDS, map(str, row), strict=True)),
        }
        found = {"totalSize": 1, "done": True, "records": [record]}
        return Response(json.dumps(found), media_type="application/json")

    listener = socket.create_server(("127.0.0.1", 0))
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    app = Starlette(routes=[Route("/", answer)])
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, lifespan="off"))
    ended = Event()

    def serve() -> None:
        asyncio.run(server.serve(sockets=[listener]))
        ended.set()

    thread = Thread(target=serve)
    thread.start()
    while not server.started and not ended.is_set():
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
    finally:
        server.should_exit = True
        thread.join()
        listener.close()
