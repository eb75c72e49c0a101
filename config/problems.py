"""What is wrong with a configuration, in words for whoever wrote it."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, time
from difflib import get_close_matches
from pathlib import Path

LONGEST = 60  # characters of a value that are shown


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to put right. ``found`` never holds the value of a secret."""

    file: Path | None  # None: there is no file
    key: str  # as in ``account.alice.source[0].type``; empty: the file as a whole
    found: str
    expected: str
    suggestion: str = ""  # what was probably meant

    def __str__(self) -> str:
        text = f"found {self.found}; expected {self.expected}"
        if self.suggestion:
            text += f'; did you mean "{self.suggestion}"?'
        return f"{self.key}: {text}" if self.key else text


class ConfigError(Exception):
    """The configuration cannot be used. ``problems`` holds everything that is wrong with it, in the file's order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(problems)
        self.problems = list(problems)

    def __str__(self) -> str:
        file = self.problems[0].file
        count = "1 problem" if len(self.problems) == 1 else f"{len(self.problems)} problems"
        return "\n".join([f"{file or 'configuration'}: {count}", *(f"  {p}" for p in self.problems)])


class Expected(ValueError):
    """Raised by the model's validators: what would have been right, and optionally what stands there instead."""

    def __init__(self, expected: str, *, found: str = "", options: Sequence[str] = ()) -> None:
        super().__init__(expected)
        self.found = found
        self.options = tuple(options)  # what a misspelt value may have meant


def key_path(parts: Sequence[str | int]) -> str:
    """``("account", "alice", "source", 0)`` as ``account.alice.source[0]``."""
    text = ""
    for part in parts:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += ("." if text else "") + _key(part)
    return text


def _key(name: str) -> str:
    bare = name.isascii() and name.replace("_", "").replace("-", "").isalnum()
    return name if bare else json.dumps(name[:LONGEST])


def describe(value: object) -> str:
    """A TOML value, short and on one line, for a message."""
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            shown = value if len(value) <= LONGEST else value[:LONGEST] + "…"
            return json.dumps(shown, ensure_ascii=False)
        case int() | float():
            return f"the number {value}"
        case dict():
            return "a table"
        case list() | tuple():
            return "a list"
        case date() | time():
            return "a date or time"
        case _:
            return "nothing"


def meant(name: str, options: Sequence[str]) -> str:
    """The option that ``name`` is probably a misspelling of, or empty."""
    return next(iter(get_close_matches(name, options, n=1, cutoff=0.6)), "")
