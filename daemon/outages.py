"""What is broken now, so that the log says it once when it breaks and once when it recovers."""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class News:
    broke: tuple[tuple[str, str], ...]  # code, sentence
    recovered: tuple[str, ...]  # codes


class Outages:
    """By account and error code. Safe to use from several threads."""

    def __init__(self) -> None:
        self._broken: dict[str, set[str]] = {}
        self._lock = threading.Lock()

    def update(self, account: str, errors: Mapping[str, str]) -> News:
        """``errors``: everything that is broken for the account now, code -> sentence."""
        with self._lock:
            before = self._broken.get(account, set())
            self._broken[account] = set(errors)
        return News(
            tuple((code, text) for code, text in errors.items() if code not in before),
            tuple(sorted(before - set(errors))),
        )

    def broken(self, accounts: Iterable[str]) -> list[str]:
        """Which of these accounts have something broken."""
        with self._lock:
            return [a for a in accounts if self._broken.get(a)]


def of_conversations(errors: Iterable[Mapping[str, Any]]) -> dict[str, str]:
    """The errors of a sync that are no single item's, by code; somebody else being at the account is none."""
    found: dict[str, list[str]] = {}
    for error in errors:
        if not error.get("item") and error.get("code") != "busy":
            found.setdefault(str(error.get("code")), []).append(str(error.get("message")))
    return {code: "; ".join(dict.fromkeys(sentences)) for code, sentences in found.items()}
