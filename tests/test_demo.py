"""The demo as a person, a script and a terminal meet it: the program itself, in a process of its own."""

import json
import os
import pty
import re
import select
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3
import vobject

from crmsync.daemon.calls import Failure
from crmsync.daemon.demo import post, stage, texts
from crmsync.daemon.demo.place import LONGEST_SOCKET, opened
from crmsync.daemon.demo.scene import NotSo, Tour
from crmsync.daemon.demo.stage import started
from crmsync.daemon.demo.tour import STEPS, walk

CRMSYNC = (sys.executable, "-m", "crmsync.daemon.cli")
PATIENCE = 120.0  # seconds, on a busy machine; of the tour: until it says something more


def wait_for(there: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not there():
        assert time.monotonic() < deadline, what
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    threads = Path(f"/proc/{pid}/task").iterdir()
    return [int(child) for thread in threads for child in (thread / "children").read_text().split()]


def runs(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def listens(url: str) -> bool:
    try:
        socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 1.0).close()
    except OSError:
        return False
    return True


def crmsync(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*CRMSYNC, *arguments], capture_output=True, text=True, timeout=PATIENCE, stdin=subprocess.DEVNULL
    )


@contextmanager
def running(folder: Path, *options: str | Path) -> Iterator[tuple[subprocess.Popen[str], dict[str, Any]]]:
    """A demo without terminal and tour, when it says that it is ready."""
    ready = folder / "ready.json"
    temporary = folder / "temporary"
    temporary.mkdir(exist_ok=True)
    ready.unlink(missing_ok=True)
    demo = subprocess.Popen(
        [*CRMSYNC, "demo", "--no-tour", "--ready-file", ready, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )
    with demo:
        try:
            wait_for(lambda: ready.exists() or demo.poll() is not None, "the demo is not ready")
            assert demo.poll() is None, demo.stdout.read() if demo.stdout else ""
            yield demo, json.loads(ready.read_text())
        finally:
            demo.kill()


# ── The tour ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.timeout(900)  # two tours; one that hangs ends by its silence
def test_the_tour_without_a_terminal_then_again_on_one(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    code, shown = without_a_terminal([*CRMSYNC, "demo", "--directory", str(kept)])
    assert code == 0, shown
    assert_all_came_out(shown)
    assert "Traceback" not in shown + (kept / "service.log").read_text()

    code, shown = on_a_terminal([*CRMSYNC, "demo", "--directory", str(kept)], until="Ctrl-C ends it")
    assert code == 0, shown
    assert_all_came_out(shown)
    for url in ("/alice/Contacts/", "/bob/Calendar/"):
        assert url in shown
    assert "alice@example.com / " in shown
    assert "/login?link=" in shown


def assert_all_came_out(shown: str) -> None:
    at = [shown.find(f"{number}. {title}") for number, (title, _) in enumerate(STEPS, 1)]
    assert at == sorted(at), shown
    assert -1 not in at, shown
    assert "✗" not in shown
    assert len(re.findall(r"^   ✓", shown.replace("\r", ""), re.MULTILINE)) == len(STEPS)


def without_a_terminal(command: Sequence[str]) -> tuple[int, str]:
    """Exit code and everything that was shown. A step that hangs says nothing, however long all of them may take."""
    shown = b""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    ) as demo:
        assert demo.stdout is not None
        try:
            while select.select([demo.stdout], [], [], PATIENCE)[0]:
                more = os.read(demo.stdout.fileno(), 65536)
                if not more:
                    return demo.wait(PATIENCE), shown.decode()
                shown += more
        finally:
            demo.kill()
    raise AssertionError(f"nothing more for {PATIENCE} seconds: {shown.decode(errors='replace')}")


def on_a_terminal(command: Sequence[str], until: str) -> tuple[int, str]:
    """Ctrl-C when ``until`` has been shown. Exit code and everything that was shown."""
    pid, screen = pty.fork()
    if pid == 0:
        os.execv(command[0], command)
    shown = b""
    pressed = False
    deadline = time.monotonic() + PATIENCE
    try:
        while select.select([screen], [], [], max(0.0, deadline - time.monotonic()))[0]:
            try:
                more = os.read(screen, 65536)
            except OSError:  # Linux: the other end of the terminal is closed
                more = b""
            if not more:
                break
            shown += more
            if not pressed:
                deadline = time.monotonic() + PATIENCE
            if until.encode() in shown and not pressed:
                os.write(screen, b"\x03")
                pressed = True
    finally:
        os.close(screen)
        if time.monotonic() > deadline:
            os.kill(pid, signal.SIGKILL)
        _, status = os.waitpid(pid, 0)
    return os.waitstatus_to_exitcode(status), shown.decode(errors="replace")


def test_a_step_that_does_not_come_out_is_told_and_the_others_go_on(tmp_path: Path) -> None:
    def wrong(tour: Tour) -> None:
        raise NotSo("the number is the old one")

    def unreachable(tour: Tour) -> None:
        tour.book.pool.request("GET", "http://127.0.0.1:9/")

    def right(tour: Tour) -> None:
        tour.did("CRM", f"has {len(tour.crm.query('SELECT Id FROM Contact'))}")

    shown: list[str] = []
    with opened(tmp_path / "kept") as place, started(place, datetime.now(UTC)) as stage:
        failed = walk(stage, shown.append, (("one", wrong), ("two", unreachable), ("three", right)))
    assert failed == 2
    text = "\n".join(shown)
    assert "✗ did not come out: the number is the old one" in text
    assert text.index("3. three") < text.index("✓")
    assert "2 of 3 steps did not come out" in text


# ── Without the tour ─────────────────────────────────────────────────────────────────────────────────────────


def test_ready_means_that_everything_answers(tmp_path: Path) -> None:
    with running(tmp_path) as (demo, ready):
        assert set(ready) == {"config", "accounts", "crm", "service"}
        assert [a["name"] for a in ready["accounts"]] == ["alice", "bob"]
        assert (tmp_path / "ready.json").stat().st_mode & 0o777 == 0o600
        with urllib3.PoolManager(retries=False) as pool:
            for account in ready["accounts"]:
                login = urllib3.make_headers(basic_auth=f"{account['username']}:{account['password']}")
                for url in (account["carddav_url"], account["caldav_url"]):
                    assert url.endswith("/")
                    answer = pool.request("PROPFIND", url, headers={**login, "Depth": "1"})
                    assert answer.status == 207
                    assert answer.data.count(b"<response") > 3
        for url in (ready["crm"]["url"], ready["crm"]["https_url"]):
            assert_logs_in(url, ready["crm"])
        assert ready["service"]["url"].startswith("unix:/")
        assert "Log in as an admin" in urllib3.request("GET", ready["service"]["login_link"]).data.decode()
        assert crmsync("--config", ready["config"], "check").returncode == 0
        synced = crmsync("--config", ready["config"], "sync", "--json")
        assert synced.returncode == 0, synced.stdout
        status = json.loads(crmsync("--config", ready["config"], "status", "--json").stdout)
        assert [a["pending"] for a in status["accounts"]] == [0, 0]
        assert_ends(demo, ready, signal.SIGTERM)
    assert list((tmp_path / "temporary").iterdir()) == []


def assert_logs_in(url: str, crm: dict[str, str]) -> None:
    form = {
        "grant_type": "password",
        **{k: crm[k] for k in ("client_id", "client_secret", "username", "password")},
    }
    trust = ssl.create_default_context(cafile=crm["ca_file"])
    with urllib3.PoolManager(retries=False, ssl_context=trust) as pool:
        answer = pool.request("POST", f"{url}/services/oauth2/token", fields=form, encode_multipart=False)
    assert answer.status == 200, answer.data


def assert_ends(demo: subprocess.Popen[str], ready: dict[str, Any], how: signal.Signals) -> None:
    """With code 0, in seconds, with everything that it started."""
    started_by_it = children(demo.pid)
    others = (post.program() is not None) + 2 * (
        shutil.which("baresip") is not None
    )  # Dovecot, two telephones
    assert len(started_by_it) == 2 + others  # Radicale, and the service
    demo.send_signal(how)
    assert demo.wait(PATIENCE) == 0
    assert [pid for pid in started_by_it if runs(pid)] == []
    urls = [ready["accounts"][0]["carddav_url"], ready["crm"]["url"], ready["crm"]["https_url"]]
    assert [url for url in urls if listens(url)] == []


def test_a_port_that_somebody_takes_first_is_not_insisted_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look for a free port and the service that listens on it."""
    with opened(tmp_path / "kept") as place, socket.create_server(("127.0.0.1", 0)) as somebody:
        taken = somebody.getsockname()[1]
        offered = [taken, stage.free_port(), stage.free_port(), taken, stage.free_port(), stage.free_port()]
        last = offered[-1]
        monkeypatch.setattr(stage, "free_port", lambda: offered.pop(0))
        nobody = "http://127.0.0.1:9/"
        service, exchange = stage.start_service(
            place, lambda page, door: place.write_config(nobody, nobody, 0, page, door)
        )
        try:
            assert exchange == last
            assert service.call("login_link", admin=True)["url"]
        finally:
            service.stop()


def test_ctrl_c_ends_it_and_its_directory_can_be_started_again(tmp_path: Path) -> None:
    kept = tmp_path / "50% äöü #1? a b" / "kept"
    with running(tmp_path, "--directory", kept) as (demo, ready):
        passwords = [a["password"] for a in ready["accounts"]]
        second = crmsync("demo", "--no-tour", "--directory", kept)
        assert (second.returncode, second.stdout) == (2, "")
        assert "another demo runs in" in second.stderr
        assert_ends(demo, ready, signal.SIGINT)
    with running(tmp_path, "--directory", kept) as (demo, ready):
        assert [a["password"] for a in ready["accounts"]] == passwords
        assert_ends(demo, ready, signal.SIGTERM)
    assert (kept / "config.toml").exists()


@pytest.mark.skipif(sys.platform != "linux", reason="needs Linux: prctl(2)")
def test_what_it_started_ends_even_if_it_is_killed(tmp_path: Path) -> None:
    with running(tmp_path) as (demo, ready):
        started_by_it = children(demo.pid)
        demo.kill()
        demo.wait(PATIENCE)
        wait_for(lambda: not any(runs(pid) for pid in started_by_it), "something still runs")
    place = Path(ready["service"]["url"].removeprefix("unix:")).parent
    if tmp_path not in place.parents:  # too deep for a socket: nobody was left to remove its folder
        place.rmdir()


# ── What it cannot start with ────────────────────────────────────────────────────────────────────────────────


def test_without_radicale_it_says_what_to_type() -> None:
    code = "import sys; sys.modules['radicale'] = None\nfrom crmsync.daemon.cli import main; sys.exit(main(['demo']))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 2
    assert "pip install 'radicale" in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_somebody_elses_directory_is_left_alone(tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text("[account.carol]\n")
    result = crmsync("demo", "--directory", tmp_path)
    assert result.returncode == 2
    assert "is not the demo's" in result.stderr
    assert [p.name for p in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize("option", ["--directory", "--ready-file"])
def test_a_place_that_cannot_be_written(tmp_path: Path, option: str) -> None:
    (tmp_path / "file").write_text("")
    result = crmsync("demo", "--no-tour", option, tmp_path / "file" / "below")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "Not a directory" in result.stderr


def test_the_socket_of_a_deep_directory_lies_elsewhere(tmp_path: Path) -> None:
    deep = tmp_path / ("d" * 60) / ("e" * 60)
    with opened(deep) as place:
        assert len(bytes(place.socket)) <= LONGEST_SOCKET
        assert place.socket.parent.stat().st_mode & 0o777 == 0o700
        elsewhere = place.socket.parent
    assert not elsewhere.exists()
    assert deep.exists()


def test_a_directory_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with opened(tmp_path), pytest.raises(Failure, match="another demo runs"), opened(tmp_path):
        pass


# ── The texts ────────────────────────────────────────────────────────────────────────────────────────────────


def test_sample_texts_are_well_formed() -> None:
    card = texts.card(
        "u", "Ada", "Example", "ada@example.com", "+44 20 7946 0301", texts.photo(1, 2, 3), tagged=True
    )
    read = vobject.readOne(card)
    assert read.photo.value.startswith(b"\x89PNG")
    assert read.categories.value == ["CRM"]
    assert max(len(line) for line in card.split("\r\n")) <= 75
    nine = datetime(2026, 11, 23, 9)
    event = vobject.readOne(texts.event("u", "Review", nine, datetime(2026, 11, 23, 10) - nine, tagged=False))
    assert event.vevent.dtstart.value.utcoffset().total_seconds() == 3600


def test_lines_are_replaced_whole_and_nothing_else() -> None:
    card = texts.card(
        "u", "Ada", "Example", "ada@example.com", "1", "TITLE:Taster", texts.photo(1, 2, 3), tagged=False
    )
    tagged = texts.with_line(card, "CATEGORIES:CRM", "END:VCARD")
    assert (texts.tagged(card), texts.tagged(tagged)) == (False, True)
    assert texts.without(tagged, "CATEGORIES") == card
    assert texts.without(card, "PHOTO").count("\r\n") == 9
    assert texts.replaced(card, "TITLE", "TITLE:Head").replace("Head", "Taster") == card
