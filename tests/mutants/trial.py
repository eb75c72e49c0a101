"""Run some tests against a changed module, in a process of its own; the files on disk stay as they are.

The process is forked from one that has imported the libraries already, and none of our own code: a trial costs little
more than its tests do. Tests that start crmsync as yet another process see the unchanged code there.
"""

import gc
import importlib.machinery
import importlib.util
import multiprocessing
import os
import resource
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.abc import Loader, MetaPathFinder
from multiprocessing.connection import Connection
from pathlib import Path
from types import ModuleType

import pytest
from _pytest.config import default_plugins

ROOT = Path(__file__).parents[2]
LIBRARIES = [
    *(
        "pytest",
        "_pytest.assertion.rewrite",
        "hypothesis",
        "hypothesis.stateful",
        "phonenumbers",
        "lxml.etree",
    ),
    *("sqlalchemy", "sqlalchemy.dialects.sqlite", "pydantic", "click", "urllib3", "vobject", "lark"),
    *("cryptography.x509", "starlette.applications", "uvicorn", "anyio.pytest_plugin", "pytest_timeout"),
    *("_hypothesis_pytestplugin", *(f"_pytest.{name}" for name in default_plugins)),
]
FAILED = int(pytest.ExitCode.TESTS_FAILED)

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(LIBRARIES)


@dataclass(frozen=True)
class Trial:
    code: int  # pytest's; negative: the signal that ended it, SIGXCPU if it did not end by itself
    failed: tuple[str, ...]
    seconds: float  # of CPU
    output: str


@cache
def _compiled() -> tempfile.TemporaryDirectory[str]:
    """Compiled once for all trials, also where Python may not write beside the sources. Made when the first one begins,
    not when this is imported: each trial imports it too, and ends without putting anything away."""
    return tempfile.TemporaryDirectory(prefix="crmsync-trials-")


def path_of(module: str) -> Path:
    return ROOT.joinpath(*module.split(".")[1:]).with_suffix(".py")


def attempt(
    changed: Mapping[str, str], tests: Sequence[str], *, seconds: int = 60, all: bool = False
) -> Trial:
    """``changed``: texts by module; ``seconds``: of CPU, after which it is over; ``all``: go on after a failure."""
    here, there = _processes.Pipe(duplex=False)
    process = _processes.Process(
        target=_inside, args=(there, _compiled().name, dict(changed), tests, seconds, all)
    )
    process.start()
    there.close()
    try:
        return here.recv()
    except EOFError:
        process.join()
        return Trial(process.exitcode or 0, (), float(seconds), "")
    finally:
        here.close()
        process.join()


def _inside(
    answer: Connection,
    compiled: str,
    changed: Mapping[str, str],
    tests: Sequence[str],
    seconds: int,
    all: bool,
) -> None:
    sys.pycache_prefix, sys.dont_write_bytecode = compiled, False
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gc.freeze()  # pytest collects garbage often; not what the libraries hold
    os.chdir(ROOT)
    early = changed.keys() & sys.modules.keys()
    assert not early, f"imported before they could be changed: {early}"
    sys.meta_path.insert(0, _Finder(changed))
    _without_chance()
    noted = _Noted()
    options = ["-q", "-p", "no:cacheprovider", "-W", "ignore::pytest.PytestAssertRewriteWarning"]
    with tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        code = pytest.main([*options, *([] if all else ["-x"]), *tests], plugins=[noted])
        sys.stdout.flush()
        output.seek(0)
        spent = resource.getrusage(resource.RUSAGE_SELF)
        answer.send(Trial(int(code), tuple(noted.failed), spent.ru_utime + spent.ru_stime, output.read()))


def _without_chance() -> None:
    """The same examples each time, and no time spent on finding the smallest."""
    from hypothesis import Phase, settings

    phases = (Phase.explicit, Phase.generate)
    settings.register_profile("trial", derandomize=True, database=None, deadline=None, phases=phases)
    settings.load_profile("trial")


class _Noted:
    def __init__(self) -> None:
        self.failed: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.failed:
            self.failed.append(report.nodeid)


class _Finder(MetaPathFinder, Loader):
    def __init__(self, changed: Mapping[str, str]) -> None:
        self._changed = changed

    def find_spec(self, name: str, *_: object) -> importlib.machinery.ModuleSpec | None:
        if name not in self._changed:
            return None
        return importlib.util.spec_from_file_location(name, path_of(name), loader=self)

    def exec_module(self, module: ModuleType) -> None:
        exec(compile(self._changed[module.__name__], path_of(module.__name__), "exec"), module.__dict__)
