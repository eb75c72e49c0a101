"""Turns what pydantic reports into problems that whoever wrote the file understands."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TypeAlias, get_args

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from crmsync.config.model import Config
from crmsync.config.problems import Expected, Problem, describe, key_path, meant
from crmsync.config.secret import ENDINGS
from crmsync.config.table import Table

Place: TypeAlias = tuple[str | int, ...]
_KEY = "[key]"  # pydantic's mark for a key, rather than a value, that is wrong


def problems_of(error: ValidationError, file: Path) -> list[Problem]:
    """One problem per cause: a key that is missing because it is misspelt is reported as the misspelling only."""
    found = [(e["loc"], _problem(e, file)) for e in error.errors(include_url=False)]
    misspelt = {(*loc[:-1], _field(p.suggestion)) for loc, p in found if p.suggestion}
    missing = {e["loc"] for e in error.errors(include_url=False) if _absent(e)}
    return [p for loc, p in found if loc not in missing & misspelt]


def _absent(error: ErrorDetails) -> bool:
    return error["type"] == "missing" or (error["type"] == "value_error" and error["input"] is None)


def _field(key: str) -> str:
    """``password`` for ``password_env``."""
    for ending in ENDINGS[:-1]:
        key = key.removesuffix(ending)
    return key


def _problem(error: ErrorDetails, file: Path) -> Problem:
    place = tuple(part for part in error["loc"] if part != _KEY)
    key = key_path(place)
    match error["type"]:
        case "extra_forbidden":
            table = table_at(place[:-1])
            suggestion = meant(str(place[-1]), known_keys(table))
            return Problem(file, key, "an unknown key", f"one of {_listed(table)}", suggestion)
        case "missing":
            return Problem(file, key, "nothing", _missing(place))
        case "value_error":
            return _refused(error, file, key)
        case "literal_error":
            choices = re.findall(r"'([^']*)'", str(error.get("ctx", {}).get("expected", "")))
            return Problem(
                file, key, describe(error["input"]), _one_of(choices), _close(error["input"], choices)
            )
        case _:
            return Problem(file, key, describe(error["input"]), _shape(error))


def _refused(error: ErrorDetails, file: Path, key: str) -> Problem:
    reason = error.get("ctx", {}).get("error")
    if not isinstance(reason, Expected):
        return Problem(file, key, describe(error["input"]), str(reason))
    found = reason.found or describe(error["input"])
    return Problem(file, key, found, str(reason), _close(error["input"], reason.options))


def _shape(error: ErrorDetails) -> str:
    """What the simple types expect, in TOML's terms rather than Python's."""
    limits = error.get("ctx", {})
    match error["type"]:
        case "string_type":
            return "a text in quotes"
        case "bool_type":
            return "true or false"
        case "int_type":
            return "a whole number"
        case "greater_than_equal":
            return f"{limits['ge']} or more"
        case "less_than_equal":
            return f"{limits['le']} or less"
        case "tuple_type" | "list_type":
            return 'a list such as ["one", "two"]'
        case "too_short":
            return "at least one entry"
        case "dict_type" | "model_type" | "model_attributes_type":
            return "a table"
        case "string_pattern_mismatch":
            return f"a text of the form {limits['pattern']}"
        case _:
            return error["msg"]


def _missing(place: Place) -> str:
    table, name = table_at(place[:-1]), str(place[-1])
    if table and name in table.secret_names:
        return "one of " + ", ".join(name + ending for ending in ENDINGS if ending)
    field = table.model_fields.get(name) if table else None
    choices = [str(c) for c in get_args(field.annotation)] if field else []
    if choices and all(re.fullmatch(r"\w+", c) for c in choices):
        return _one_of(choices)
    return f"a value: {field.description}" if field and field.description else "a value"


def _one_of(choices: Sequence[str]) -> str:
    quoted = [f'"{c}"' for c in choices]
    return quoted[0] if len(quoted) == 1 else "one of " + ", ".join(quoted)


def _close(value: object, options: Sequence[str]) -> str:
    return meant(value, options) if isinstance(value, str) else ""


def known_keys(table: type[Table] | None) -> list[str]:
    """The keys that may stand in a table, as they are written: a secret has five."""
    if table is None:
        return []
    keys: list[str] = []
    for name in table.model_fields:
        keys += [name + ending for ending in ENDINGS] if name in table.secret_names else [name]
    return keys


def _listed(table: type[Table] | None) -> str:
    """The same, short enough to read."""
    if table is None:
        return "the keys of the table"
    endings = "/".join(ending for ending in ENDINGS if ending)
    return ", ".join(name + endings * (name in table.secret_names) for name in sorted(table.model_fields))


def table_at(place: Place) -> type[Table] | None:
    """The model of the table at this place of the file."""
    here: Any = Config
    for part in place:
        table = _table_in(here)
        if isinstance(part, int) or table is None or part not in table.model_fields:
            here = _element(here)
        else:
            here = table.model_fields[part].annotation
    return _table_in(here)


def _table_in(annotation: Any) -> type[Table] | None:
    return annotation if isinstance(annotation, type) and issubclass(annotation, Table) else None


def _element(annotation: Any) -> Any:
    """What a dict or a tuple is made of."""
    return next((a for a in get_args(annotation) if _table_in(a)), None)
