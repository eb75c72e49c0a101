"""The command line against a fake engine: exit codes, the shape of ``--json``, what a person reads."""

import json
import os
import subprocess
import sys

import pytest

from crmsync.config.load import load
from crmsync.connectors.errors import Unreachable
from crmsync.daemon.cli import main
from crmsync.daemon.commands.shell import World
from crmsync.daemon.operations.finding import NoSuchItem
from tests.daemon.fakes import CONFIG, COUNTS, config_in, cycle, error, standing, synced


@pytest.fixture
def crmsync(engine, tmp_path, capsys):
    """Runs a command line; gives exit code, stdout and stderr."""

    def run(*arguments):
        world = World({}, lambda file, environ: config_in(tmp_path), lambda config: engine)
        capsys.readouterr()
        code = main(list(arguments), world)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


# ── Exit codes ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("answer", "account", "code"),
    [
        (synced(cycle()), standing(), 0),
        (synced(cycle(created=3)), standing(pending=2), 0),
        (synced(cycle(parked=1)), standing(parked=1), 1),
        (synced(cycle()), standing(parked=1), 0),  # parked by an earlier run
        (synced(errors=[error()]), standing(), 1),
        (synced(cycle(held=1)), standing(), 3),
        (synced(cycle()), standing(held=1), 3),
        (synced(cycle()), standing(conflicts=1), 3),
        (synced(cycle(conflicts=1)), standing(), 0),  # decided by the clocks
        (synced(cycle(held=1), errors=[error()]), standing(held=1), 1),
    ],
)
@pytest.mark.parametrize("command", ["sync", "reconcile"])
def test_sync_says_with_its_exit_code_what_came_of_it(crmsync, engine, command, answer, account, code):
    engine.answers = {command: answer, "status": {"accounts": [account]}}
    assert crmsync(command)[0] == code


@pytest.mark.parametrize("cycle", ["0", "1.5", "x", "9223372036854775808", "99999999999999999999999"])
def test_a_cycle_that_cannot_be_is_a_usage_error(crmsync, engine, cycle):
    code, out, _ = crmsync("undo", cycle, "--json")
    assert (code, json.loads(out)["error"]["code"]) == (2, "usage")
    assert engine.asked("undo") == []


def test_an_unknown_account_is_a_usage_error(crmsync):
    code, out, err = crmsync("sync", "bob")
    assert (code, out) == (2, "")
    assert err == "crmsync: there is no account “bob”\n"


def test_an_unknown_item_is_a_usage_error(crmsync, engine):
    engine.answers["explain"] = NoSuchItem("nothing is known as “x”")
    assert crmsync("explain", "x")[0] == 2


@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["sync", "--nonsense"],
        ["undo", "soon"],
        ["explain"],
        ["conflicts", "resolve", "item", "email"],
        ["conflicts", "resolve", "item", "email", "--keep", "both"],
        ["conflicts", "resolve", "item", "email", "--keep", "ecs", "--value", "x"],
    ],
)
def test_a_wrong_command_line_is_a_usage_error(crmsync, engine, arguments):
    code, out, err = crmsync(*arguments)
    assert (code, out) == (2, "")
    assert "Error: " in err
    assert engine.calls == []


def test_a_server_that_fails_is_a_failure_in_words(crmsync, engine):
    engine.answers["link"] = Unreachable("dav.example.com does not answer", hint="look at the network")
    code, _, err = crmsync("link", "item", "record")
    assert code == 1
    assert err == "crmsync: dav.example.com does not answer (look at the network)\n"


def test_undo_that_could_not_do_everything_failed(crmsync, engine):
    engine.answers["undo"] = {"cycle": 7, "undone": 1, "kept": [], "errors": [error()]}
    code, out, _ = crmsync("undo", "7")
    assert code == 1
    assert out.startswith("Cycle 7: 1 write put back.")
    (asked,) = engine.asked("undo")
    assert asked["cycle"] == 7


def test_a_check_that_fails_is_a_failure(crmsync, engine):
    lines = [{"name": "alice: CRM", "ok": False, "message": "login refused", "hint": "a new password"}]
    engine.answers["check_write"] = {"ok": False, "checks": lines}
    code, out, _ = crmsync("check", "--write")
    assert code == 1
    assert "FAILED alice: CRM: login refused\n       a new password\n" in out
    assert engine.asked("check_write") == [{"repair": False}]


# ── When it cannot even begin ────────────────────────────────────────────────────────────────────────────────


def test_a_wrong_configuration_shows_all_problems(tmp_path, capsys):
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(folder=tmp_path).replace("crm_user", "crm_usr").replace("client_id", "id"))
    code = main(["--config", str(file), "--json", "status"], World({}))
    captured = capsys.readouterr()
    assert code == 2
    problems = json.loads(captured.out)["error"]["problems"]
    assert {p["key"] for p in problems} >= {"account.alice.crm_usr", "crm.main.id"}
    assert "account.alice.crm_usr" in captured.err
    assert "Traceback" not in captured.err


def test_no_configuration_says_how_to_begin(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "none.toml"), "sync"], World({})) == 2
    assert "crmsync init" in capsys.readouterr().err


def test_a_state_that_cannot_be_opened(tmp_path, capsys):
    (tmp_path / "occupied").write_text("a file, where a directory is needed")
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.format(folder=tmp_path).replace("/state.db", "/occupied/state.db"))
    assert main(["--config", str(file), "status"], World({})) == 2
    err = capsys.readouterr().err
    assert "occupied/state.db" in err
    assert "Traceback" not in err


def test_a_defect_is_one_sentence(crmsync, engine):
    engine.answers["queue"] = ZeroDivisionError("division by zero")
    code, out, err = crmsync("--json", "queue")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "defect"
    assert len(err.splitlines()) == 1
    assert "--debug" in err


def test_debug_shows_the_traceback(tmp_path):
    script = (
        "import sys; from crmsync.daemon.cli import main; from crmsync.daemon.commands.shell import World\n"
        "def load(file, environ): raise ZeroDivisionError\n"
        "sys.exit(main(['--debug', 'queue'], World({}, load)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert result.returncode == 1
    assert "Traceback" in result.stderr


def test_interrupting_is_no_defect(crmsync, engine):
    engine.answers["sync"] = KeyboardInterrupt()
    code, _, err = crmsync("sync")
    assert code == 130
    assert "interrupted" in err


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────

DONE = {"item": "i", "record": "r", "account": "alice"}
REPORTING = [
    (["sync", "alice", "--dry-run"], "sync", {**synced(cycle()), "plan": []}),
    (["reconcile"], "reconcile", synced(cycle())),
    (["status"], "status", {"accounts": [standing()]}),
    (["queue"], "queue", [{"item": "i"}]),
    (["retry"], "retry", {"retried": 2}),
    (["conflicts"], "conflicts", [{"item": "i", "column": "email"}]),
    (["conflicts", "resolve", "i", "email", "--keep", "crm"], "resolve", {**DONE, "winner": "crm"}),
    (["deletions"], "deletions", [{"item": "i"}]),
    (["deletions", "approve"], "decide_deletions", {"approved": 1}),
    (["deletions", "reject", "i"], "decide_deletions", {"rejected": 1}),
    (["matches"], "matches", []),
    (["matches", "link", "i", "r"], "match_link", DONE),
    (["matches", "create", "i"], "match_create", {"item": "i", "decision": "create"}),
    (["matches", "ignore", "i"], "match_ignore", {"item": "i", "decision": "ignore"}),
    (["rejected"], "rejected", []),
    (["rejected", "retry", "i"], "reject_retry", {"retried": 1}),
    (["rejected", "abandon", "i"], "reject_abandon", {"abandoned": 1}),
    (["explain", "i"], "explain", {**DONE, "decisions": []}),
    (["history", "i"], "item_history", [{"item": "i"}]),
    (["undo", "3"], "undo", {"cycle": 3, "undone": 1, "kept": [], "errors": []}),
    (["link", "i", "r"], "link", DONE),
    (["unlink", "i"], "unlink", DONE),
    (["forget", "ada@example.com"], "forget", {"forgotten": 1, "deleted": 0, "errors": []}),
]


@pytest.mark.parametrize(("arguments", "method", "answer"), REPORTING, ids=lambda v: None)
@pytest.mark.parametrize("place", ["before", "after"])
def test_json_is_one_document_and_nothing_else(crmsync, engine, place, arguments, method, answer):
    engine.answers[method] = answer
    given = ["--json", *arguments] if place == "before" else [*arguments, "--json"]
    code, out, _ = crmsync(*given)
    assert code == 0
    assert json.loads(out) == answer


@pytest.mark.parametrize(("arguments", "method", "answer"), REPORTING, ids=lambda v: None)
def test_without_json_a_person_can_read_it(crmsync, engine, arguments, method, answer):
    engine.answers[method] = answer
    code, out, _ = crmsync(*arguments)
    assert code == 0
    assert out.strip()
    assert not out.startswith(("{", "["))


def test_check_adds_its_warnings(crmsync, engine):
    engine.answers["check"] = {"ok": True, "checks": []}
    code, out, _ = crmsync("check", "--json")
    assert code == 0
    assert json.loads(out) == {"ok": True, "checks": [], "warnings": []}


# ── Words ────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_cannot_be_brought_back_is_said(crmsync, engine):
    engine.answers["decide_deletions"] = {"rejected": 2, "notes": ["The photo is lost."]}
    assert "2 deletions rejected.\nThe photo is lost." in crmsync("deletions", "reject")[1]
    partly = [{"item": "i", "side": "crm", "reason": "without its fields"}]
    engine.answers["undo"] = {"cycle": 3, "undone": 1, "kept": [], "partly": partly, "errors": []}
    assert "without its fields" in crmsync("undo", "3")[1]


def test_a_decision_says_when_it_is_carried_out(crmsync, engine):
    engine.answers["resolve"] = {**DONE, "winner": "value"}
    code, out, err = crmsync("conflicts", "resolve", "i", "phone_mobile", "--value", "+49 30 1234567")
    assert code == 0
    assert "phone_mobile of i" in out
    assert "crmsync sync" in err
    (asked,) = engine.asked("resolve")
    by = asked.pop("by")
    assert by.endswith(", on the command line")  # for the history
    assert asked == {"item": "i", "column": "phone_mobile", "value": "+49 30 1234567"}


def test_what_servers_say_cannot_drive_the_terminal(crmsync, engine):
    hostile = "[bold]\x1b[2J\n\u202egnp.exe"
    engine.answers["queue"] = [{"item": hostile, "account": "alice"}]
    _, out, _ = crmsync("queue")
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "[bold]" in out


def test_ids_are_never_cut_off(crmsync, engine):
    id = "contacts/" + "x" * 300 + ".vcf"
    engine.answers["queue"] = [{"item": id, "account": "alice"}]
    assert id in crmsync("queue")[1]


def test_sync_says_what_it_did_and_what_waits(crmsync, engine):
    answer = synced(cycle(created=2), cycle(updated=1), errors=[error("too_long", item="a.vcf")])
    engine.answers = {"sync": answer, "status": {"accounts": [standing(parked=1, held=2, conflicts=3)]}}
    _, out, _ = crmsync("sync")
    assert out.splitlines() == [
        "alice: 2 created, 1 updated",
        "FAILED alice, a.vcf: too_long, in words; it is tried again",
        "alice: 1 item parked; see crmsync queue, then crmsync retry",
        "alice: 2 items held; see crmsync deletions and crmsync matches",
        "alice: 3 conflicts to decide; see crmsync conflicts",
    ]


def test_explain_shows_every_part(crmsync, engine):
    engine.answers["explain"] = {
        **DONE,
        "tagged": True,
        "snapshot": {"first_name": "Ada"},
        "versions": {"ecs": "1", "crm": None},
        "queue": [{"side": "ecs", "state": "parked", "attempts": 8, "error": "too long"}],
        "conflicts": [{"column": "email", "ecs": "a", "crm": "b", "winner": "crm"}],
        "decisions": [{"cycle": 3, "column": "email", "reason": "the later change"}],
    }
    _, out, _ = crmsync("explain", "i")
    for part in ("tagged:", "yes", "Ada", "too long", "email", "the later change"):
        assert part in out


# ── init, help, start ────────────────────────────────────────────────────────────────────────────────────────


def test_init_writes_a_configuration_that_loads(tmp_path, capsys):
    assert main(["init"], World({"HOME": str(tmp_path)})) == 0
    file = tmp_path / ".config/crmsync/config.toml"
    assert str(file) in capsys.readouterr().out
    assert load(file, {}).account


def test_init_says_what_to_type_next_for_this_file(tmp_path, capsys):
    assert main(["--config", str(tmp_path / "my file.toml"), "init"], World({})) == 0
    assert f"crmsync --config '{tmp_path}/my file.toml' check" in capsys.readouterr().out
    assert main(["init"], World({"HOME": str(tmp_path)})) == 0
    assert capsys.readouterr().out.endswith("then: crmsync check\n")


def test_init_overwrites_nothing(tmp_path, capsys):
    file = tmp_path / "mine.toml"
    file.write_text("mine")
    assert main(["--config", str(file), "init"], World({})) == 2
    assert file.read_text() == "mine"
    assert "stays as it is" in capsys.readouterr().err


def test_every_command_has_help(capsys):
    assert main(["--help"], World({})) == 0
    commands = [
        line.split()[0] for line in capsys.readouterr().out.partition("Commands:")[2].splitlines() if line
    ]
    assert len(commands) >= 20
    for command in commands:
        assert main([command, "--help"], World({})) == 0
        assert "Usage: crmsync" in capsys.readouterr().out


def test_the_command_line_loads_nothing_heavy():
    heavy = (
        "pydantic",
        "rich",
        "sqlalchemy",
        "urllib3",
        "lxml",
        "apscheduler",
        "uvicorn",
        "crmsync.daemon.engine",
    )
    script = f"import sys, crmsync.daemon.cli; print([m for m in {heavy!r} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env={**os.environ},
    )
    assert result.stdout.strip() == "[]"


def test_counts_are_those_that_a_cycle_has():
    from crmsync.daemon.commands.syncing import COUNTS as TOLD
    from crmsync.daemon.cycle.context import COUNTS as COUNTED

    assert set(TOLD) == set(COUNTED) == set(COUNTS)


def test_what_may_be_asked_is_what_the_engine_offers():
    """The table of methods names only what there is, with the engine's own arguments."""
    import inspect

    from crmsync.daemon.calls import METHODS, Reach
    from crmsync.daemon.engine import Engine
    from crmsync.daemon.reception import Reception
    from crmsync.daemon.replica.replicas import Replicas

    for name, method in METHODS.items():
        owner = {"": Engine, "replicas": Replicas}[method.part]
        owner = Reception if method.reach is Reach.SERVICE else owner
        parameters = set(inspect.signature(getattr(owner, name)).parameters)
        assert set(method.arguments) <= parameters, name


@pytest.mark.parametrize("arguments", [["login-link"], ["login-link", "alice", "--admin"]])
def test_a_login_link_is_for_one_account_or_an_admin(crmsync, engine, arguments):
    code, _, err = crmsync(*arguments)
    assert code == 2
    assert "either ACCOUNT or --admin" in err


def test_without_a_service_there_is_no_login_link(crmsync, engine):
    code, out, _ = crmsync("login-link", "alice", "--json")
    assert code == 1
    assert json.loads(out)["error"]["code"] == "no_service"
    assert engine.calls == []


def test_a_refused_write_is_corrected(crmsync, engine):
    column = {"column": "job_title", "value": "x", "long": False}
    engine.answers["reject_columns"] = {"version": "7", "columns": [column]}
    engine.answers["reject_edit"] = {"item": "i", "columns": ["company", "job_title"], "cycle": 9}
    assert "job_title" in crmsync("rejected", "edit", "i")[1]
    assert crmsync("rejected", "edit", "i", "--set", "job_title=a=b", "--set", "company=")[0] == 0
    (asked,) = engine.asked("reject_edit")
    assert (asked["version"], asked["columns"], asked["values"]) == (
        "7",
        ["job_title", "company"],
        ["a=b", ""],
    )
    assert crmsync("rejected", "edit", "i", "--set", "job_title")[0] == 2
