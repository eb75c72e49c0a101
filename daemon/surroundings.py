"""What an installation must not look like: checked before anything is opened."""

from collections.abc import Callable
from importlib import metadata

from crmsync.daemon.calls import Failure


def check_urllib3(version_of: Callable[[str], str] = metadata.version) -> None:
    """urllib3-future installs itself over urllib3: connections hang after a first fault. Raises Failure."""
    try:
        found = version_of("urllib3-future")
    except metadata.PackageNotFoundError:
        return
    raise Failure(
        "config",
        f"urllib3-future {found} has replaced urllib3 in this environment, and connections would hang; give crmsync a "
        "virtual environment of its own, or: pip uninstall urllib3-future niquests; "
        "pip install --force-reinstall urllib3",
    )
