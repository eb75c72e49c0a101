"""What an installation must not look like: checked before anything is opened."""

from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from importlib.util import find_spec

from crmsync.daemon.calls import Failure

_EXTRAS: Mapping[str, tuple[str, str]] = {  # what is configured -> package, extra
    "ews": ("exchangelib", "ews"),
    "oidc": ("authlib", "oidc"),
}

_WORDS = {"oidc": "[login.oidc]"}


def check_extras(
    types: Iterable[str], *, there: Callable[[str], bool] = lambda package: find_spec(package) is not None
) -> None:
    """What a type of source needs beside the installation proper. Raises Failure."""
    for type in dict.fromkeys(types):
        package, extra = _EXTRAS.get(type, ("", ""))
        if package and not there(package):
            of_type = f'a source of type = "{type}"'
            raise Failure(
                "config",
                f'{_WORDS.get(type, of_type)} needs {package}; install it with: pip install "crmsync[{extra}]"',
            )


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
