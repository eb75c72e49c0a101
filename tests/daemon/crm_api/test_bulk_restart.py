"""Bulk jobs and the end of the service: a clean one, and kill -9 in the middle of the rows."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import urllib3

from tests.daemon.crm_api.conftest import Api
from tests.servers.embedded_crm import EmbeddedCrm, embedded_crm

ROWS = 2_000
CSV = {"Content-Type": "text/csv"}


def upload(api: Api, rows: int) -> str:
    job: str = api("POST", "jobs/ingest", {"object": "Lead", "operation": "insert"}).json["id"]
    content = "LastName,Company\n" + "".join(f"n{number},c\n" for number in range(rows))
    assert api("PUT", f"jobs/ingest/{job}/batches", raw=content.encode(), headers=CSV).status == 201
    return job


def begin(api: Api, job: str) -> None:
    api("PATCH", f"jobs/ingest/{job}", {"state": "UploadComplete"})


def wait(api: Api, path: str, until: Callable[[Any], bool]) -> Any:
    while not until(found := api("GET", path).json):
        time.sleep(0.01)
    return found


def ended(job: Any) -> bool:
    return job["state"] not in ("UploadComplete", "InProgress")


def test_jobs_are_there_after_a_restart(tmp_path: Path) -> None:
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        left_open, done = upload(api, 3), upload(api, 3)
        begin(api, done)
        wait(api, f"jobs/ingest/{done}", ended)
        soql = "SELECT LastName FROM Lead ORDER BY LastName"
        query = api("POST", "jobs/query", {"operation": "query", "query": soql}).json["id"]
        wait(api, f"jobs/query/{query}", ended)
        lead = api("GET", "query", q=soql.replace("LastName", "Id")).json["records"][0]["Id"]
        api("DELETE", f"sobjects/Lead/{lead}")
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        assert api("GET", f"jobs/ingest/{done}/successfulResults").body.count(b"\n") == 4
        results = api("GET", f"jobs/query/{query}/results")
        assert results.body.split() == [
            b'"LastName"',
            b'"n0"',
            b'"n1"',
            b'"n2"',
        ]  # as it was when it was asked
        begin(api, left_open)
        assert wait(api, f"jobs/ingest/{left_open}", ended)["numberRecordsProcessed"] == 3
        assert len({each["id"] for each in api("GET", "jobs/ingest").json["records"]}) == 2
        api("DELETE", f"jobs/ingest/{done}")
        assert upload(api, 1) not in (done, left_open)


OLD = "/services/async/59.0/job"


def batch(api: Api, operation: str, content: Any) -> tuple[str, str]:
    """Of version 1.0: paths of a job that is closed, and of its only batch."""
    asked = {"operation": operation, "object": "Lead", "contentType": "JSON"}
    job = f"{OLD}/{api('POST', OLD, asked).json['id']}"
    raw = content.encode() if isinstance(content, str) else json.dumps(content).encode()
    made = f"{job}/batch/{api('POST', f'{job}/batch', raw=raw).json['id']}"
    assert api("POST", job, {"state": "Closed"}).json["state"] == "Closed"
    return job, made


def test_old_jobs_are_there_after_a_restart_and_go_on_with_the_next_row(tmp_path: Path) -> None:
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        wrong, done = batch(api, "insert", [{"LastName": "a", "Company": "c"}, {"LastName": "b"}])
        _, found = batch(api, "query", "SELECT LastName FROM Lead")
        for each in (done, found):
            wait(api, each, lambda batch: batch["state"] == "Completed")
        results = api("GET", f"{done}/result").json
        (result,) = api("GET", f"{found}/result").json
        rows = [{"LastName": f"n{number}", "Company": "c"} for number in range(ROWS)]
        many, begun = batch(api, "insert", rows)
        _, waiting = batch(api, "insert", rows[:1])
        wait(api, begun, lambda batch: batch["numberRecordsProcessed"] > 0)
    with embedded_crm(directory=tmp_path) as crm, urllib3.PoolManager(retries=False) as pool:
        api = Api(crm, pool).as_user(crm.sync)
        assert api("GET", wrong).json["numberRecordsFailed"] == 1
        assert [each["success"] for each in results] == [True, False]
        assert api("GET", f"{done}/result").json == results
        assert api("GET", f"{done}/request").json[1] == {"LastName": "b"}
        assert [each["LastName"] for each in api("GET", f"{found}/result/{result}").json] == ["a"]
        wait(api, waiting, lambda batch: batch["state"] == "Completed")
        assert (
            api("GET", many).json["numberRecordsProcessed"] == len(api("GET", f"{begun}/result").json) == ROWS
        )
        assert api("GET", "query", q="SELECT COUNT() FROM Lead").json["totalSize"] == ROWS + 2
        aborted = f"{OLD}/{api('POST', OLD, {'operation': 'insert', 'object': 'Lead'}).json['id']}"
        assert api("POST", aborted, {"state": "Aborted"}).json["state"] == "Aborted"
        assert api("POST", f"{aborted}/batch", raw=b"<x/>").status == 400


@contextmanager
def served(directory: Path, end: signal.Signals) -> Iterator[Api]:
    """`crm serve` in a process of its own."""
    words = ["crm", "serve", "--port", "0", "--directory", str(directory)]
    program = "import sys; from crmsync.daemon.cli import main; sys.exit(main())"
    with (
        subprocess.Popen(
            [sys.executable, "-c", program, *words], stdout=subprocess.PIPE, text=True
        ) as process,
        urllib3.PoolManager(retries=False) as pool,
    ):
        assert process.stdout is not None
        url = [next(process.stdout) for _ in range(2)][1].strip()
        nobody = Api(cast(EmbeddedCrm, SimpleNamespace(url=url)), pool)
        logins = json.loads((directory / "logins.json").read_text())
        secrets = {name: logins[name] for name in ("client_id", "client_secret")}
        token = nobody.token(grant_type="client_credentials", **secrets).json["access_token"]
        try:
            yield Api(nobody.crm, pool, {"Authorization": f"Bearer {token}"})
        finally:
            process.send_signal(end)
            process.wait(60)


def test_a_job_that_was_killed_goes_on_with_the_next_row(tmp_path: Path) -> None:
    with served(tmp_path, signal.SIGKILL) as api:
        job = upload(api, ROWS)
        begin(api, job)
        at = wait(api, f"jobs/ingest/{job}", lambda job: job["numberRecordsProcessed"] > 0)
        assert at["numberRecordsProcessed"] < ROWS
    with served(tmp_path, signal.SIGTERM) as api:
        assert wait(api, f"jobs/ingest/{job}", ended)["numberRecordsProcessed"] == ROWS
        names = api("GET", "query", q="SELECT COUNT_DISTINCT(LastName) d, COUNT(Id) n FROM Lead").json[
            "records"
        ][0]
        assert (names["d"], names["n"]) == (ROWS, ROWS)
        assert api("GET", f"jobs/ingest/{job}/successfulResults").body.count(b"\n") == ROWS + 1
