"""Whatever a test is about: what it makes us log tells nothing of the people in it."""

import io
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from crmsync.daemon.logs import Formatter

# Names, titles and addresses of the people that most of the tests are about
TOLD_TO_NOBODY = ("Lovelace", "Hopper", "Dijkstra", "Analyst", "Countess", "Duchess", "Baroness", "ada@")


@contextmanager
def discreet(words: Sequence[str] = TOLD_TO_NOBODY) -> Iterator[None]:
    """At its end an AssertionError, if our log has any of these words in it; it is heard as ``--debug`` shows it."""
    heard = io.StringIO()
    ear, ours = logging.StreamHandler(heard), logging.getLogger("crmsync")
    ear.setFormatter(Formatter(tracebacks=True))
    before = ours.level
    ours.setLevel(logging.DEBUG)
    for logger in (ours, logging.getLogger()):
        logger.addHandler(ear)
    try:
        yield
    finally:
        for logger in (ours, logging.getLogger()):
            logger.removeHandler(ear)
        ours.setLevel(before)
    told = [line for line in heard.getvalue().splitlines() if any(word in line for word in words)]
    assert not told, f"the log names people: {told[:3]}"
