"""Where the CRM says when: the commands say so, and the running service does as the CRM asks."""

import json
import secrets
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import urllib3

from crmsync.config.load import parse
from crmsync.daemon.adaptor.signing import Signed
from crmsync.daemon.cli import main
from crmsync.daemon.commands.shell import World
from crmsync.daemon.control import Client
from crmsync.daemon.demo.child import free_port
from crmsync.daemon.operations.permission import LATER, notices
from tests.daemon.fakes import CONFIG, FakeEngine, cycle, error, eventually, standing, synced
from tests.daemon.test_service import config, end, once, running, systemd

__all__ = ["config", "systemd"]  # fixtures

SECRET = "the secret of the CRM's scheduler"
EXCHANGE = """
[schedule]
authority = "crm"
interval = "1s"

[exchange]
listen = "127.0.0.1:{port}"

[exchange.credential.main]
secret_env = "EXCHANGE_SECRET"
accounts = ["alice"]
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def crmsync(engine: FakeEngine, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def run(*arguments: str) -> tuple[int, str, str]:
        text = (CONFIG + EXCHANGE).format(folder=tmp_path, port=8760)
        told = parse(text.encode(), tmp_path / "config.toml", {})
        capsys.readouterr()
        code = main(list(arguments), World({}, lambda file, environ: told, lambda config: engine))
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_sync_that_may_not_exchange_says_so(crmsync: Run, engine: FakeEngine) -> None:
    waiting = {**synced(cycle()), "notices": notices([standing(pending=2)])}
    engine.answers = {"sync": waiting, "status": {"accounts": [standing(pending=2)]}}
    code, out, _ = crmsync("sync")
    assert code == 3
    assert "NOTICE alice: 2 changes wait for the CRM's word" in out
    engine.answers["sync"] = {**waiting, "errors": [error()]}
    assert crmsync("sync")[0] == 1
    engine.answers["sync"] = {**synced(cycle()), "notices": notices([standing()])}
    assert crmsync("sync")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "answers"),
    [
        (["retry"], {"retry": {"retried": 1}}),
        (["deletions", "approve"], {"decide_deletions": {"approved": 1}}),
        (["conflicts", "resolve", "1.vcf", "email", "--keep", "crm"], {"resolve": {}}),
        (["link", "1.vcf", "003"], {"link": {"item": "1.vcf", "record": "003"}}),
    ],
)
def test_what_is_decided_waits_for_the_crm(
    crmsync: Run, engine: FakeEngine, arguments: list[str], answers: dict[str, Any]
) -> None:
    engine.answers = answers
    code, _, err = crmsync(*arguments)
    assert (code, err) == (0, f"{LATER}\n")


def test_jobs_and_audit_in_words(crmsync: Run, engine: FakeEngine) -> None:
    job = {"accepted": "2026-11-22T10:00:00Z", "job": "k3J", "credential": "main", "direction": "reverse"}
    job |= {"accounts": ["alice"], "state": "done", "result": {"counts": {"created": 2, "requests": 9}}}
    line = {"at": "2026-11-22T10:00:00Z", "credential": "main?", "peer": "192.0.2.7", "asked": "POST /x"}
    line |= {"allowed": False, "rule": "signature", "detail": "altered", "job": ""}
    engine.answers = {"exchange_jobs": [job], "exchange_audit": [line]}
    assert "2 created" in crmsync("exchange", "jobs")[1]
    assert "signature" in crmsync("exchange", "audit")[1]
    assert json.loads(crmsync("exchange", "audit", "--json")[1]) == [line]
    assert engine.asked("exchange_audit")[0] == {"limit": 50}


def test_check_tries_the_secrets(crmsync: Run, engine: FakeEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fixture's configuration has no environment: nothing is there to be read."""
    engine.answers["check"] = {"ok": True, "checks": []}
    code, out, _ = crmsync("check", "--json")
    (line,) = json.loads(out)["checks"]
    assert (code, line["ok"], json.loads(out)["ok"]) == (1, False, False)
    assert "EXCHANGE_SECRET is not set" in line["message"]


def test_the_service_does_as_the_crm_asks(
    config: Path, systemd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Servers that refuse: that, too, is an answer."""
    monkeypatch.setenv("EXCHANGE_SECRET", SECRET)
    port = free_port()
    text = config.read_text().partition("[schedule]")[0]
    config.write_text(text + EXCHANGE.format(port=port))
    with running(config, systemd):
        assert ask(port, "a secret that is none of theirs")[0] == 401
        status, answer = ask(port, SECRET)
        assert status == 202

        eventually(lambda: jobs_of(config)[0]["state"] == "failed")
        (job,) = jobs_of(config)
        assert job["job"] == answer["job"]
        assert job["result"]["accounts"]["alice"]["errors"][0]["code"] == "unreachable"
        audit = json.loads(once(config, "exchange", "audit", "--json").stdout)
        assert [line["rule"] for line in audit] == ["", "signature"]
        refused = once(config, "undo", "1")
        assert (refused.returncode, "authority" in refused.stderr) == (1, True)


def test_a_job_survives_a_service_that_is_killed(
    config: Path, systemd: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EXCHANGE_SECRET", SECRET)
    port = free_port()
    refusing = config.read_text().partition("[schedule]")[0] + EXCHANGE.format(port=port)
    crm = refusing.partition("[crm.main]")[2].partition('url = "')[2].partition('"')[0]
    with socket.create_server(("127.0.0.1", 0)) as hanging:  # accepts, and never answers
        config.write_text(refusing.replace(crm, f"http://127.0.0.1:{hanging.getsockname()[1]}"))
        with running(config, systemd) as process:
            status, answer = ask(port, SECRET)
            assert status == 202
            eventually(lambda: jobs_of(config)[0]["state"] == "running")
            process.send_signal(signal.SIGKILL)
            process.wait(60)
    config.write_text(refusing)
    with running(config, systemd) as process:
        eventually(lambda: jobs_of(config)[0]["state"] == "failed")
        (job,) = jobs_of(config)
        assert (job["job"], job["attempts"]) == (answer["job"], 2)
        assert job["result"]["accounts"]["alice"]["errors"][0]["code"] == "unreachable"
        assert end(process) == 0


def jobs_of(config: Path) -> Any:
    """Over the control socket: a command is a process, and takes its time."""
    client = Client(config.parent / "run/control.sock")
    return client.call("exchange_jobs", {}, lambda account, what, count: None)


def ask(port: int, secret: str) -> tuple[int, Any]:
    path, body = "/exchange/v1/reverse-sync", b'{"accounts": ["alice"]}'
    signed = Signed("POST", path, int(time.time()), secrets.token_urlsafe(24), body)
    headers = dict(signed.headers("main", secret))
    answer = urllib3.request(
        "POST", f"http://127.0.0.1:{port}{path}", body=body, headers=headers, retries=False
    )
    return answer.status, json.loads(answer.data)
