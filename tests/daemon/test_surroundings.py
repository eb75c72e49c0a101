"""An environment in which urllib3 was replaced is refused in words."""

from importlib import metadata

import pytest

from crmsync.daemon.calls import Failure
from crmsync.daemon.surroundings import check_urllib3


def test_this_environment_is_suitable() -> None:
    check_urllib3()


def test_a_replaced_urllib3_is_refused() -> None:
    with pytest.raises(Failure, match="pip uninstall urllib3-future"):
        check_urllib3(lambda name: "2.12.900")


def test_only_the_replacement_is_looked_for() -> None:
    def version_of(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    check_urllib3(version_of)
