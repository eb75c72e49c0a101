"""Packages from npm, for tests that ask other people's programs: into a temporary folder, once for all processes of a
test run."""

import fcntl
import functools
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest


@functools.cache
def installed(*packages: str) -> Path:
    """A folder with `node_modules`. Skips the test where they cannot be installed, and says what to type."""
    if shutil.which("npm") is None:
        pytest.skip("npm is not installed: apt-get install npm")
    name = hashlib.sha256(" ".join(packages).encode()).hexdigest()[:12]
    folder = Path(os.environ["CRMSYNC_TEST_RUN"]) / f"npm-{name}"
    folder.mkdir(exist_ok=True)
    command = ["npm", "install", "--no-audit", "--no-fund", "--ignore-scripts", *packages]
    done = folder / "installed"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            made = subprocess.run(
                command, cwd=folder, capture_output=True, text=True, timeout=240, check=False
            )
            if made.returncode:
                pytest.skip(f"cannot be installed: {' '.join(command)}")
            done.touch()
    return folder
