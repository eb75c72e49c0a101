"""What the log looks like: a sentence for a person and a stable ``action=`` for a program, on one line, without
addresses."""

import logging
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

_PRIORITIES = {logging.DEBUG: 7, logging.INFO: 6, logging.WARNING: 4, logging.ERROR: 3, logging.CRITICAL: 2}
LONGEST = 20_000  # characters of a line
# In two steps, each of which looks at a character once: one pattern for both takes minutes for a long text without an
# @, and everybody who logs waits for whoever does.
_WORD = re.compile(r"[^\s/:<>\"'“”(),;=]+")
_ADDRESS = re.compile(r"[^@](?:@|%40)[^@]")


def setup(level: str, environ: Mapping[str, str], stream: TextIO | None = None) -> None:
    """Logs of ours from ``level`` (debug, info, warning, error) on go to ``stream``, stderr by default; of other
    people's libraries only warnings. May be called again."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(Formatter(journal="JOURNAL_STREAM" in environ, tracebacks=level == "debug"))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("crmsync").setLevel(level.upper())
    # it warns of every cycle that is skipped because the one before is still running
    logging.getLogger("apscheduler").setLevel(logging.CRITICAL)


class Formatter(logging.Formatter):
    """``time LEVEL sentence action=…``; for the journal the level as sd-daemon(3) has it, and no time."""

    def __init__(self, *, journal: bool = False, tracebacks: bool = False) -> None:
        super().__init__()
        self._journal = journal
        self._tracebacks = tracebacks

    def format(self, record: logging.LogRecord) -> str:
        sentence = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            sentence += f": {self._exception(record)}"
        action = getattr(record, "action", "")
        return self._head(record) + scrubbed(sentence) + (f" action={action}" if action else "")

    def _head(self, record: logging.LogRecord) -> str:
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>"
        at = datetime.fromtimestamp(record.created, UTC)
        return f"{at:%Y-%m-%dT%H:%M:%SZ} {record.levelname} "

    def _exception(self, record: logging.LogRecord) -> str:
        assert record.exc_info is not None
        if self._tracebacks:
            return self.formatException(record.exc_info)
        return type(record.exc_info[1]).__name__


def scrubbed(text: str) -> str:
    """On one line, without control characters, and with no address of a person in it."""
    line = " ".join(" | ".join(text[:LONGEST].splitlines()).split())
    plain = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in line)
    return _WORD.sub(_without_address, plain) + ("…" if len(text) > LONGEST else "")


def _without_address(word: re.Match[str]) -> str:
    return "[address]" if _ADDRESS.search(word[0]) else word[0]
