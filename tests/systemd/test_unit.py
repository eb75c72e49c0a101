"""The unit file against systemd itself, and against what the program expects of it."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from crmsync.config.load import candidates
from crmsync.config.model import Service, State

UNIT = Path(__file__).parents[2] / "systemd/crmsync.service"

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is missing: apt-get install systemd"
)


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def settings() -> dict[str, list[str]]:
    """Every ``Key=value`` of the unit."""
    found: dict[str, list[str]] = {}
    for line in UNIT.read_text().splitlines():
        if match := re.fullmatch(r"(\w+)=(.*)", line):
            found.setdefault(match[1], []).append(match[2])
    return found


@needs_systemd
def test_exposure_is_two_or_less():
    result = analyze("security", "--offline=true", "--threshold=20", "--no-pager", str(UNIT))
    assert result.returncode == 0, result.stdout + result.stderr
    level = re.search(r"Overall exposure level for crmsync\.service: ([\d.]+)", result.stdout)
    assert level
    assert float(level[1]) <= 2.0


@needs_systemd
def test_systemd_understands_every_line(tmp_path):
    installed = tmp_path / UNIT.name
    installed.write_text(UNIT.read_text().replace("/opt/crmsync/bin/crmsync", sys.executable))
    result = analyze("verify", "--man=no", str(installed))
    about_us = [line for line in result.stderr.splitlines() if "crmsync" in line]
    assert about_us == []
    assert result.returncode == 0, result.stderr


def test_the_folders_are_those_of_the_default_configuration():
    unit = settings()
    assert unit["StateDirectory"] == [State().file.parent.name]
    assert unit["RuntimeDirectory"] == [Service().socket.parent.name]
    environment = dict(pair.split("=", 1) for pair in unit["Environment"][0].split())
    assert environment["CRMSYNC_CONFIG"] == str(candidates({})[0])
    assert unit["ConfigurationDirectory"] == [candidates({})[0].parent.name]


def test_the_service_tells_systemd_how_it_is():
    unit = settings()
    assert unit["Type"] == ["notify"]
    assert unit["NotifyAccess"] == ["main"]
    assert int(unit["WatchdogSec"][0]) >= 30
    assert unit["DynamicUser"] == ["yes"]
    assert unit["ExecReload"] == ["/bin/kill -HUP $MAINPID"]
    assert unit["Restart"] == ["on-failure"]
