"""Real vCards and calendar objects, many of them broken; only where CRMSYNC_SHARED says where they are."""

import os
from pathlib import Path

import pytest

SHARED = os.environ.get("CRMSYNC_SHARED", "")
needs_corpora = pytest.mark.skipif(not SHARED, reason="CRMSYNC_SHARED does not say where the corpora are")


def files(kind: str) -> list[Path]:
    """``vcard`` or ``icalendar``."""
    return sorted((Path(SHARED) / "corpora" / kind).iterdir()) if SHARED else []


def lines(text: str) -> list[str]:
    """Logical lines with their folds and line ends, found by other means than the code under test."""
    found: list[str] = []
    for physical in text.replace("\r\n", "\n").replace("\r", "\n").split("\n"):
        soft = bool(found) and found[-1].endswith("=") and "QUOTED-PRINTABLE" in found[-1].upper()
        if found and (soft or physical[:1] in (" ", "\t")):
            found[-1] += "\n" + physical
        else:
            found.append(physical)
    return found


def changed_names(before: str, after: str) -> set[str]:
    """Names (upper case, without group) of the lines that one text has and the other has not."""
    old, new = lines(before), lines(after)
    for line in list(old):
        if line in new:
            old.remove(line)
            new.remove(line)
    return {
        line.replace("\n ", "").partition(":")[0].partition(";")[0].rpartition(".")[2].upper()
        for line in old + new
    }
