"""Columns as plain JSON and back, without loss, for connectors whose native form is that."""

from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from crmsync.connectors.contract import Columns, Value


def encode(columns: Columns) -> dict[str, Any]:
    return {name: _encode(value) for name, value in columns.items()}


def decode(stored: Mapping[str, Any]) -> dict[str, Value]:
    return {name: _decode(value) for name, value in stored.items()}


def _encode(value: Value) -> Any:
    match value:
        case datetime():
            return {"moment": value.isoformat()}
        case date():
            return {"date": value.isoformat()}
        case tuple():
            return list(value)
        case _:
            return value


def _decode(value: Any) -> Value:
    match value:
        case {"moment": text}:
            return datetime.fromisoformat(text)
        case {"date": text}:
            return date.fromisoformat(text)
        case list():
            return tuple(value)
        case _:
            plain: Value = value
            return plain
