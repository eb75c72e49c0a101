"""USING SCOPE: which records a word stands for, where there are neither teams, queues nor territories."""

from collections.abc import Callable, Mapping

from sqlalchemy import ColumnElement, and_, false, literal, or_
from sqlalchemy.types import String

from crmsync.state.replica.soql import ast
from crmsync.state.replica.soql.errors import Unsupported
from crmsync.state.replica.soql.scope import Scope

__all__ = ["scope_condition"]

Conditions = list[ColumnElement[bool]]


def scope_condition(scope: Scope, query: ast.Query) -> Conditions:
    """What USING SCOPE adds to the conditions; raises Unsupported for a word that means nothing here."""
    word = (query.scope or "everything").lower()
    if word in _ALL:
        return []
    needed, condition = _WORDS.get(word, ((), None))
    lacking = [name for name in needed if scope.object.field(name) is None]
    if condition is None or scope.context.user is None or lacking:
        sentence = f"USING SCOPE {query.scope} is not supported for {scope.object.name}"
        raise scope.context.error(Unsupported, sentence, query.at)
    return [condition(scope, literal(scope.context.user, String()))]


def _mine(scope: Scope, user: ColumnElement[str]) -> ColumnElement[bool]:
    return scope.row.column("OwnerId") == user


def _delegated(scope: Scope, user: ColumnElement[str]) -> ColumnElement[bool]:
    """What the user has given others to do."""
    return and_(scope.row.column("CreatedById") == user, scope.row.column("OwnerId") != user)


def _recent(scope: Scope, user: ColumnElement[str]) -> ColumnElement[bool]:
    """Views are not noted; what one has written one has seen."""
    return or_(scope.row.column("CreatedById") == user, scope.row.column("LastModifiedById") == user)


def _nobody(scope: Scope, user: ColumnElement[str]) -> ColumnElement[bool]:
    return false()


_ALL = ("everything", "scopingrule")  # there are no scoping rules
_WORDS: Mapping[str, tuple[tuple[str, ...], Callable[[Scope, ColumnElement[str]], ColumnElement[bool]]]] = {
    "mine": (("OwnerId",), _mine),
    "team": (("OwnerId",), _mine),  # the user and who is below: nobody is
    "delegated": (("OwnerId", "CreatedById", "WhoId"), _delegated),  # activities
    "mru": (("CreatedById", "LastModifiedById"), _recent),
    "queue_owned": (("OwnerId", "Status"), _nobody),  # leads and cases; there are no queues
    "user_owned": (("OwnerId", "Status"), lambda scope, _: scope.row.column("OwnerId").is_not(None)),
}
