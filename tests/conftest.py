"""Under CRMSYNC_CI=1 a skipped test is a failed one: what is not tried there is tried nowhere."""

import os
from collections.abc import Generator

import pytest

STRICT = os.environ.get("CRMSYNC_CI") == "1"


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
