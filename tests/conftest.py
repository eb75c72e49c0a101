"""Under CRMSYNC_CI=1 a skipped test is a failed one: what is not tried there is tried nowhere. A test fails that makes
us log what people have written.

And what makes all tests quicker: temporary files in memory, one folder for what a whole run shares, the longest tests
first, no search for garbage where none is.
"""

import gc
import os
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

import pytest

from tests.overheard import discreet

STRICT = os.environ.get("CRMSYNC_CI") == "1"
MEMORY, ROOMY = Path("/dev/shm"), 3 << 30
SHARED = "CRMSYNC_TEST_RUN"  # the folder, for the run's other processes
LONGEST = (
    "tests/daemon/machine/",
    "tests/test_",
    "tests/bars/",
)  # single tests of many seconds; one starts last, all wait

_made: list[Path] = []


@pytest.hookimpl(tryfirst=True)
def pytest_configure() -> None:
    """Processes started from here on inherit both."""
    if "TMPDIR" not in os.environ and _in_memory():
        os.environ["TMPDIR"] = str(MEMORY)
        tempfile.tempdir = None
    if SHARED not in os.environ:
        _made.append(Path(tempfile.mkdtemp(prefix="crmsync-tests-")))
        os.environ[SHARED] = str(_made[0])


def pytest_unconfigure() -> None:
    for folder in _made:
        shutil.rmtree(folder, ignore_errors=True)


def _in_memory() -> bool:
    """A state waits for the disk at each commit, for half of the time of a test of the sync. Programs are started from
    there, too."""
    try:
        place = os.statvfs(MEMORY)
    except OSError:
        return False
    return not place.f_flag & os.ST_NOEXEC and place.f_bavail * place.f_frsize > ROOMY


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    order = {folder: number for number, folder in enumerate(LONGEST)}
    items.sort(
        key=lambda item: min((n for f, n in order.items() if item.nodeid.startswith(f)), default=len(order))
    )


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end. To look through it for garbage again and again took a twentieth
    of all time."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with discreet():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport() -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if STRICT and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome, report.longrepr = "failed", _sentence(report.longrepr)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    report = yield
    if STRICT and report.skipped:
        report.outcome, report.longrepr = "failed", _sentence(report.longrepr)
    return report


def _sentence(why: object) -> str:
    reason = why[2] if isinstance(why, tuple) else why
    return f"skipped, which CRMSYNC_CI=1 does not allow: {reason}"
