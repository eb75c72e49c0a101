"""The wheel, installed into an environment of its own, with the checkout out of reach."""

import importlib.util
import os
import resource
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = ("config", "connectors", "daemon", "state", "pyproject.toml", "README.md", "LICENSE")
ALEMBIC_RUNS_IT = "env"  # only inside a migration

EVERYTHING = f"""
import importlib, pkgutil, sys
from pathlib import Path
from importlib.metadata import distribution

here = Path(sys.prefix)
rooms = ("config", "connectors", "daemon", "state")
tops = [importlib.import_module(f"crmsync.{{room}}") for room in rooms]
for top in tops:
    for found in pkgutil.walk_packages(top.__path__, top.__name__ + "."):
        if found.name.rpartition(".")[2] != "{ALEMBIC_RUNS_IT}":
            importlib.import_module(found.name)
ours = {{n: m for n, m in sys.modules.items() if n.startswith("crmsync.")}}
print(len(ours))
assert all(here in Path(m.__file__).parents for m in ours.values()), "something came from elsewhere"
assert here in Path(distribution("crmsync").locate_file("")).parents
"""

FRESH_STATE = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from crmsync.config.mapping import defaults
from crmsync.state.database import State
from crmsync.state.replica.metadata import standard
from crmsync.state.replica.soql.parser import parse

for _ in range(2):  # new, then with nothing to migrate
    state = State.open(f"sqlite:///{Path.cwd()}/state.db", now=lambda: datetime.now(UTC))
    with state.transaction() as tx:
        assert tx.queue.listing(None, limit=1) == []
    state.close()
assert {"contact", "appointment", "task"} <= set(defaults("salesforce"))
assert "Contact" in standard().objects
parse("SELECT Id FROM Contact")
"""


@dataclass(frozen=True)
class Installed:
    """A virtual environment with the wheel in it; what the wheel depends on is borrowed from ours."""

    folder: Path

    @property
    def python(self) -> Path:
        return self.folder / "bin/python"

    @property
    def crmsync(self) -> Path:
        return self.folder / "bin/crmsync"

    def run(self, *command: str | Path) -> subprocess.CompletedProcess[str]:
        """In a folder of its own, without anything that points to the checkout."""
        (self.folder / "elsewhere").mkdir(exist_ok=True)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV", "CRMSYNC"))}
        return subprocess.run(
            command, cwd=self.folder / "elsewhere", env=env, capture_output=True, text=True, timeout=120
        )


def build_command(source: Path, target: Path) -> Sequence[str | Path]:
    has_backend = importlib.util.find_spec("setuptools") is not None
    return [
        sys.executable, "-m", "build", "--wheel", "--outdir", target,
        *(["--no-isolation"] if has_backend else []), source,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = tmp_path_factory.mktemp("source")
    target = tmp_path_factory.mktemp("wheel")
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, source / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, source / name)
    result = subprocess.run(build_command(source, target), capture_output=True, text=True, timeout=240)
    assert result.returncode == 0, result.stdout + result.stderr
    (made,) = target.glob("*.whl")
    return made


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("environment").resolve()
    commands: list[list[str | Path]] = [
        [sys.executable, "-m", "venv", "--without-pip", folder],
        [
            sys.executable, "-m", "pip", "--python", folder / "bin/python", "install", "--quiet", "--no-deps",
            "--no-index", "--disable-pip-version-check", wheel,
        ],
    ]  # fmt: skip
    for command in commands:
        result = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert result.returncode == 0, result.stdout + result.stderr
    # A folder that a .pth file names is searched, but .pth files in it (our editable install) are not read.
    (ours,) = (folder / "lib").glob("python3*/site-packages")
    (ours / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return Installed(folder)


def test_it_holds_nothing_but_our_namespace(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert {name.partition("/")[0].partition("-")[0] for name in names} == {"crmsync"}


def test_every_module_is_there_and_can_be_imported(installed: Installed) -> None:
    result = installed.run(installed.python, "-W", "error", "-c", EVERYTHING)
    assert result.returncode == 0, result.stderr
    modules = {
        p
        for room in SOURCES[:4]
        for p in (ROOT / room).rglob("*.py")
        if p.stem != ALEMBIC_RUNS_IT and "__pycache__" not in p.parts
    }
    assert int(result.stdout) == len(modules)


def test_a_new_state_can_be_opened_and_the_default_mapping_is_there(installed: Installed) -> None:
    result = installed.run(installed.python, "-W", "error", "-c", FRESH_STATE)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("way", ["script", "module"])
def test_the_command_answers(installed: Installed, way: str) -> None:
    start = [installed.crmsync] if way == "script" else [installed.python, "-m", "crmsync.daemon.cli"]
    shown = installed.run(*start, "--help")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "explain" in shown.stdout
    wrong = installed.run(*start, "--config", "missing.toml", "status")
    assert wrong.returncode == 2
    assert "missing.toml" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_help_does_not_import_the_engine(installed: Installed) -> None:
    """Shell completion runs the program at each Tab. Ten times an empty Python is what 0.4 s are on a slow machine."""
    empty = min(cpu_seconds(installed, installed.python, "-c", "pass") for _ in range(5))
    help_ = min(cpu_seconds(installed, installed.crmsync, "--help") for _ in range(5))
    assert help_ < 10 * empty
    listed = installed.run(installed.python, "-X", "importtime", installed.crmsync, "--help").stderr
    imported = {line.rpartition("|")[2].strip() for line in listed.splitlines()}
    heavy = {"sqlalchemy", "lxml", "pydantic", "vobject", "rich", "caldav", "apscheduler", "uvicorn"}
    assert "click" in imported
    assert imported & heavy == set()


def cpu_seconds(installed: Installed, *command: str | Path) -> float:
    """Of the process; other processes on the machine do not count."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert installed.run(*command).returncode == 0
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime) - (before.ru_utime + before.ru_stime)
