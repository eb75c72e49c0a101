"""What ``conftest.py`` makes of skipped tests."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]  # what conftest.py imports
SKIPS = """
import shutil
import pytest

def test_passes():
    pass

@pytest.mark.skipif(not shutil.which("crmsync-none-such"), reason="no such program")
def test_is_skipped():
    pass

@pytest.mark.xfail(reason="known")
def test_is_known_to_fail():
    assert False
"""
SKIPPED_AS_A_WHOLE = "import pytest\npytest.skip('no such module', allow_module_level=True)\n"


@pytest.mark.parametrize(
    ("strict", "code", "said"),
    [("", 0, "1 passed, 2 skipped, 1 xfailed"), ("1", 1, "skipped, which CRMSYNC_CI=1 does not allow: ")],
)
def test_a_skip_is_a_failure_where_everything_has_to_be_tried(
    tmp_path: Path, strict: str, code: int, said: str
) -> None:
    shutil.copy(Path(__file__).with_name("conftest.py"), tmp_path)
    (tmp_path / "test_one.py").write_text(SKIPS)
    (tmp_path / "test_two.py").write_text(SKIPPED_AS_A_WHOLE)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "no:cacheprovider",
        "--continue-on-collection-errors",
        ".",
    ]
    result = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "CRMSYNC_CI": strict, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == code, result.stdout
    assert said in result.stdout
    if strict:
        assert "1 passed, 1 xfailed, 2 errors" in result.stdout
        for reason in ("no such program", "no such module"):
            assert f"does not allow: {reason}" in result.stdout.replace("Skipped: ", "")
