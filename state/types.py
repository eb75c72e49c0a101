"""How the values of ``model`` stand in a database, the same way in SQLite and PostgreSQL."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, TypeVar

from sqlalchemy import BigInteger, Text, TypeDecorator
from sqlalchemy.engine import Dialect

from crmsync.state.values import escape, unescape

# One function a value each way: process_bind_param and process_result_value would cost a second call, and with
# sixteen columns in a row most of the time of a query is spent here.

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Word_ = TypeVar("Word_", bound=StrEnum)


class Moment(TypeDecorator[datetime]):
    """An aware datetime, as whole microseconds since 1970 in UTC: exact, in order, and free of any zone's rules."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _moment_to_int

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], datetime | None]:
        return _moment_from_int


class Word(TypeDecorator[Word_], Generic[Word_]):
    """A member of a StrEnum, as its text: a new member needs no migration."""

    impl = Text
    cache_ok = True

    def __init__(self, words: type[Word_]) -> None:
        super().__init__()
        self.words = words

    def bind_processor(self, dialect: Dialect) -> Callable[[Word_ | None], str | None]:
        words = self.words
        return lambda value: None if value is None else words(value).value

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Word_ | None]:
        known: dict[Any, Word_ | None] = {None: None, **{word.value: word for word in self.words}}
        return known.__getitem__


class Verbatim(TypeDecorator[str]):
    """Text from a server, whatever it holds: PostgreSQL has no NUL, and neither database has lone surrogates."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        return lambda value: None if value is None else escape(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], str | None]:
        return lambda value: value if value is None or "\\u" not in value else unescape(value)


class Json(TypeDecorator[Any]):
    """Lists and mappings of plain values, as JSON in ASCII."""

    impl = Text
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Any], str | None]:
        return lambda value: None if value is None else _to_json(value)

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        return lambda value: None if value is None else json.loads(value)


_to_json = json.JSONEncoder(default=dict, separators=(",", ":")).encode


def _moment_to_int(value: datetime | None) -> int | None:
    if value is None:
        return None
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone: only aware datetimes are stored")
    return (value - _EPOCH) // _MICROSECOND


def _moment_from_int(value: int | None) -> datetime | None:
    return None if value is None else _EPOCH + timedelta(microseconds=value)
