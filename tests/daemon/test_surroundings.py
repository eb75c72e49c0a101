"""An environment in which urllib3 was replaced is refused in words."""

import subprocess
import sys
from importlib import metadata

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.surroundings import check_extras, check_urllib3


def test_this_environment_is_suitable() -> None:
    check_urllib3()


def test_a_replaced_urllib3_is_refused() -> None:
    with pytest.raises(Failure, match="pip uninstall urllib3-future"):
        check_urllib3(lambda name: "2.12.900")


def test_only_the_replacement_is_looked_for() -> None:
    def version_of(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    check_urllib3(version_of)


def test_what_a_source_needs_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(
        Failure, match=r'type = "ews" needs exchangelib.*pip install "crmsync\[ews\]"'
    ) as caught:
        check_extras(["carddav", "ews"], there=lambda package: False)
    assert caught.value.exit_code == 2
    check_extras(["carddav", "caldav"], there=lambda package: False)
    check_extras(["ews"])


def test_who_has_no_exchange_server_does_not_load_its_library() -> None:
    loaded = "import sys, crmsync.daemon.app; print([m for m in sys.modules if m.startswith('exchangelib')])"
    answer = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "[]"
