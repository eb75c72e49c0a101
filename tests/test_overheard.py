"""That every test fails whose log names people."""

import logging
from collections.abc import Callable

import pytest

from tests.overheard import discreet

OURS, THEIRS = logging.getLogger("crmsync.daemon.cycle"), logging.getLogger("urllib3")
SECRET = "somebody"


def _in_our_log() -> None:
    OURS.debug("pushed %s", SECRET)


def _in_a_traceback() -> None:
    try:
        raise ValueError(SECRET)
    except ValueError:
        OURS.exception("the cycle broke off")


def _in_a_warning_of_a_library() -> None:
    THEIRS.warning("Retrying /contacts/%s.vcf", SECRET)


@pytest.mark.parametrize("told", [_in_our_log, _in_a_traceback, _in_a_warning_of_a_library])
def test_a_name_is_heard(told: Callable[[], None]) -> None:
    with pytest.raises(AssertionError, match="names people"), discreet([SECRET]):
        told()


def test_what_is_said_of_items_and_what_is_never_turned_on_is_not() -> None:
    with discreet([SECRET]):
        OURS.info("parked c17.vcf: it has no name")
        THEIRS.debug("GET /query?q=%s", SECRET)
