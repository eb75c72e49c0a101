"""The real ``crmsync run`` in a process of its own, told by signals and watched through systemd's socket."""

import json
import os
import queue
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
import urllib3

from crmsync.daemon.control import Client
from tests.daemon.fakes import CONFIG, eventually
from tests.servers.warm import Command

SECRETS = {"CRM_SECRET": "hush-crm", "ALICE_PASSWORD": "hush-alice", "METRICS_TOKEN": "hush-metrics"}


class Systemd:
    """Hears what the service notifies, at once: the socket's queue holds ten messages, and the eleventh is lost while a
    test does something else."""

    def __init__(self, folder: Path) -> None:
        self.address = str(folder / "notify")
        self._door = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._door.bind(self.address)
        self._new: queue.SimpleQueue[dict[str, str]] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        while message := self._door.recv(4096):
            self._new.put(dict(line.split("=", 1) for line in message.decode().splitlines()))

    def close(self) -> None:
        self._door.shutdown(socket.SHUT_RDWR)
        self._thread.join(60)
        self._door.close()

    def wait_for(self, **wanted: str) -> dict[str, str]:
        """The next message that says so."""
        deadline, heard = time.monotonic() + 120, []
        while (left := deadline - time.monotonic()) > 0:
            with suppress(queue.Empty):
                heard.append(self._new.get(timeout=left))
                if all(heard[-1].get(key) == value for key, value in wanted.items()):
                    return heard[-1]
        raise AssertionError(f"{wanted} was not notified, but {heard}")


@pytest.fixture
def systemd(tmp_path: Path) -> Iterator[Systemd]:
    made = Systemd(tmp_path)
    yield made
    made.close()


def test_nothing_that_is_notified_is_lost_while_nobody_asks(tmp_path):
    systemd = Systemd(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as service:
        service.settimeout(60)
        for number in range(100):
            service.sendto(f"WATCHDOG={number}".encode(), systemd.address)
    assert systemd.wait_for(WATCHDOG="99") == {"WATCHDOG": "99"}
    systemd.close()


@pytest.fixture
def config(tmp_path: Path) -> Iterator[Path]:
    """Servers that refuse, and a cycle every second."""
    file = tmp_path / "config.toml"
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # ours, so that no other server gets it; it does not listen
        text = CONFIG.format(folder=tmp_path).replace(":9", f":{nobody.getsockname()[1]}")
        file.write_text(text + '\n[schedule]\ninterval = "1s"\n')
        yield file


def once(config: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    with Command(["--config", str(config), *arguments], {**os.environ, **SECRETS}) as process:
        out, err = process.communicate(60)
    return subprocess.CompletedProcess(process.args, process.returncode or 0, out, err)


@contextmanager
def running(config: Path, systemd: Systemd) -> Iterator[Command]:
    """The service, ready. Its log is ``run.log`` beside the configuration."""
    environ = {**os.environ, **SECRETS, "NOTIFY_SOCKET": systemd.address, "WATCHDOG_USEC": "400000"}
    environ.pop("WATCHDOG_PID", None)
    with (
        (config.parent / "run.log").open("ab") as log,
        Command(["--config", str(config), "run"], environ, log) as process,
    ):
        systemd.wait_for(READY="1")
        yield process


def said(config: Path) -> str:
    return (config.parent / "run.log").read_text()


def end(process: Command, number: int = signal.SIGTERM) -> int:
    process.send_signal(number)
    return process.wait(60)


def test_from_ready_to_a_clean_stop(config, systemd):
    with running(config, systemd) as process:
        systemd.wait_for(STATUS="1 account, 1 failing")  # signs of life go on, whatever the accounts do
        systemd.wait_for(WATCHDOG="1")
        assert end(process) == 0
        systemd.wait_for(STOPPING="1")
    log = said(config)
    assert log.count("action=broke.unreachable") == 1  # however many cycles failed
    assert "action=service.stopped" in log
    assert "Traceback" not in log
    assert "hush" not in log
    assert "@" not in log
    assert not (config.parent / "run/control.sock").exists()


def _listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as door, suppress(OSError):
        door.connect(str(path))
        return True
    return False


def test_a_command_that_comes_before_all_is_open_waits_for_it(config, systemd):
    """As soon as the socket is there: whoever gets in finds the status page."""
    environ = {**os.environ, **SECRETS, "NOTIFY_SOCKET": systemd.address}
    path = config.parent / "run/control.sock"
    with Command(["--config", str(config), "run"], environ) as process:
        eventually(lambda: _listens(path))
        answer = Client(path).call("login_link", {"admin": True}, lambda *_: None)
        assert answer["url"].startswith("http://127.0.0.1:")
        assert end(process) == 0


def test_ctrl_c_stops_it_too(config, systemd):
    with running(config, systemd) as process:
        assert end(process, signal.SIGINT) == 0


def test_a_second_service_refuses_in_words(config, systemd):
    with running(config, systemd):
        second = once(config, "run")
    assert second.returncode == 1
    assert "another service runs on this state" in second.stderr
    assert "Traceback" not in second.stderr


def test_commands_go_through_the_service(config, systemd):
    with running(config, systemd):
        status = once(config, "status", "--json")
        synced = once(config, "sync", "--json")
        unknown = once(config, "sync", "bob")
    assert status.returncode == 0
    assert [a["name"] for a in json.loads(status.stdout)["accounts"]] == ["alice"]
    assert synced.returncode == 1
    assert {e["code"] for e in json.loads(synced.stdout)["errors"]} == {"unreachable"}
    assert unknown.returncode == 2


def test_a_login_link_opens_the_status_page(config, systemd):
    with running(config, systemd) as process:
        link = json.loads(once(config, "login-link", "alice", "--json").stdout)
        assert (link["account"], link["admin"]) == ("alice", False)
        pool = urllib3.PoolManager(retries=False)
        assert b"Log in as alice" in pool.request("GET", link["url"]).data
        origin, _, token = link["url"].partition("/login?link=")
        entered = pool.request(
            "POST", f"{origin}/login", fields={"link": token}, headers={"Origin": origin}, redirect=False,
            encode_multipart=False,
        )  # fmt: skip
        assert entered.status == 303
        cookie = entered.headers["Set-Cookie"].partition(";")[0]
        page = pool.request("GET", origin, headers={"Cookie": cookie}).data.decode()
        assert 'data-account="alice"' in page
        pool.clear()
        unknown = once(config, "login-link", "eve")
        assert (unknown.returncode, "no account" in unknown.stderr) == (2, True)
        assert end(process) == 0
    log = said(config)
    assert "action=web.ready" in log
    assert "action=web.login" in log
    assert token not in log


def test_metrics_count_what_the_service_does(config, systemd):
    text = config.read_text().replace("[service]", '[service]\nmetrics_token_env = "METRICS_TOKEN"')
    config.write_text(text)
    with running(config, systemd) as process:
        place = json.loads(once(config, "login-link", "--admin", "--json").stdout)["url"].partition("/login")[
            0
        ]
        pool = urllib3.PoolManager(retries=False)

        def metrics() -> str:
            login = {"Authorization": f"Bearer {SECRETS['METRICS_TOKEN']}"}
            return pool.request("GET", f"{place}/metrics", headers=login).data.decode()

        eventually(lambda: 'crmsync_syncs_total{account="alice",outcome="failed"}' in metrics())
        assert 'crmsync_requests_total{server="crm.main"}' in metrics()
        assert 'crmsync_requests_total{server="account.alice.source[0]"}' in metrics()
        assert pool.request("GET", f"{place}/readyz").status == 200
        pool.clear()
        assert end(process) == 0
    assert SECRETS["METRICS_TOKEN"] not in said(config)


def test_a_port_that_is_taken_costs_the_page_and_nothing_else(config, systemd):
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        config.write_text(config.read_text().replace('listen = "127.0.0.1:0"', f'listen = "{taken}"'))
        with running(config, systemd) as process:
            refused = once(config, "login-link", "--admin")
            assert refused.returncode == 1
            assert "no status page" in refused.stderr
            assert once(config, "status").returncode == 0
            assert end(process) == 0
    assert "action=web.failed" in said(config)


def test_the_page_can_be_switched_off(config, systemd):
    config.write_text(config.read_text().replace('listen = "127.0.0.1:0"', 'listen = "off"'))
    with running(config, systemd) as process:
        assert once(config, "login-link", "--admin").returncode == 1
        assert end(process) == 0
    assert "action=web" not in said(config)


def test_a_good_configuration_is_read_again(config, systemd):
    with running(config, systemd) as process:
        text = config.read_text()
        config.write_text(text.replace("account.alice", "account.ada"))
        process.send_signal(signal.SIGHUP)
        assert systemd.wait_for(RELOADING="1")["MONOTONIC_USEC"].isdecimal()
        systemd.wait_for(READY="1")
        answer = json.loads(once(config, "status", "--json").stdout)
        assert [a["name"] for a in answer["accounts"]] == ["ada"]
        assert end(process) == 0
    assert "action=reload.done" in said(config)


@pytest.mark.parametrize(
    ("good", "bad", "word"),
    [("crm_user", "crm_usr", "crm_usr"), ("/state.db", "/other.db", "needs a restart")],
    ids=["mistyped", "unchangeable"],
)
def test_a_wrong_configuration_changes_nothing(config, systemd, good, bad, word):
    text = config.read_text()
    with running(config, systemd) as process:
        config.write_text(text.replace(good, bad))
        process.send_signal(signal.SIGHUP)
        systemd.wait_for(RELOADING="1")
        systemd.wait_for(READY="1")
        config.write_text(text)
        answer = json.loads(once(config, "status", "--json").stdout)
        assert [a["name"] for a in answer["accounts"]] == ["alice"]
        assert end(process) == 0
    refusal = next(line for line in said(config).splitlines() if "action=reload.refused" in line)
    assert word in refusal


def test_it_stops_in_mid_cycle_although_a_server_hangs(config, systemd):
    with socket.create_server(("127.0.0.1", 0)) as server:  # accepts, and never answers
        port = server.getsockname()[1]
        text = config.read_text()
        crm = text.partition("[crm.main]")[2].partition('url = "')[2].partition('"')[0]
        config.write_text(text.replace(crm, f"http://127.0.0.1:{port}"))
        server.settimeout(30)
        with running(config, systemd) as process:
            connection, _ = server.accept()
            with connection:
                assert end(process) == 0  # waits 20 s; the server would keep us for 60
    assert "action=service.stopped_hard" in said(config)


@pytest.mark.parametrize(
    ("good", "bad", "word"),
    [
        ("crm_user", "crm_usr", "crm_usr"),
        ("/run/control.sock", "/config.toml/control.sock", "socket = "),
        ("/state.db", "/config.toml/state.db", "state database"),
    ],
    ids=["configuration", "socket", "state"],
)
def test_what_it_cannot_start_with(config, good, bad, word):
    config.write_text(config.read_text().replace(good, bad))
    result = once(config, "run")
    assert result.returncode == 2
    assert word in result.stderr
    assert "Traceback" not in result.stderr


def test_it_starts_where_another_one_was_killed(config, systemd):
    with running(config, systemd) as process:
        process.send_signal(signal.SIGKILL)
        process.wait(60)
    assert (config.parent / "run/control.sock").exists()
    with running(config, systemd) as process:
        eventually(lambda: once(config, "status").returncode == 0)
        assert end(process) == 0
