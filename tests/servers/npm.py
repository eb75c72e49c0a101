"""Packages from npm, for tests that ask other people's programs: into a temporary folder, once."""

import functools
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest


@functools.cache
def installed(*packages: str) -> Path:
    """A folder with `node_modules`. Skips the test where they cannot be installed, and says what to type."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    folder = Path(tempfile.mkdtemp(prefix="crmsync-npm-"))
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    made = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=240, check=False)
    if made.returncode:
        pytest.skip(f"cannot be installed: {' '.join(command)}")
    return folder
