"""SOSL's search terms: whether a text has them, and conditions of SOQL that let through at least every such text.

A text is a list of words, whatever the case, and so is a term: `joe` finds "Joe Smith" and not "Joey", and
`joe@example.com` the three words beside each other. A database knows no words, so it is asked for texts that
contain the letters, and `holds` looks again.
"""

import re
from collections.abc import Sequence
from typing import TypeAlias

from crmsync.state.replica.soql import ast

_WORD = re.compile(r"\w+")
_PIECE = re.compile(r"\\(.)|([*?])|(.)", re.DOTALL)
_SPECIAL = re.compile(r"[\\%_]")

# Characters of one word: those to be found as they are, and ANY and ONE.
Glob: TypeAlias = tuple[str, ...]
_ABREAST = 100  # fields in one expression, which SQLite takes 1,000 deep
ANY, ONE = "*", "?"


def holds(terms: ast.Terms, texts: Sequence[str]) -> bool:
    """Whether a record with these texts is found."""
    match terms:
        case ast.Word(pattern) | ast.Phrase(pattern):
            globs = _globs(pattern)
            return bool(globs) and any(_beside(globs, _WORD.findall(text.lower())) for text in texts)
        case ast.AllTerms(parts):
            return all(holds(part, texts) for part in parts)
        case ast.AnyTerm(parts):
            return any(holds(part, texts) for part in parts)
        case ast.NotTerm(part):
            return not holds(part, texts)


def narrowed(terms: ast.Terms, fields: Sequence[str]) -> ast.Condition | None:
    """A condition that every record that is found satisfies; None when there is no such."""
    match terms:
        case ast.Word(pattern) | ast.Phrase(pattern):
            likes = [_like(glob) for glob in _globs(pattern)]
            rows = (fields[start : start + _ABREAST] for start in range(0, len(fields), _ABREAST))
            return ast.Or(tuple(_contains(row, likes) for row in rows)) if likes else None
        case ast.AllTerms(parts):
            known = [each for each in (narrowed(part, fields) for part in parts) if each is not None]
            return ast.And(tuple(known)) if known else None
        case ast.AnyTerm(parts):
            each = [narrowed(part, fields) for part in parts]
            known = [one for one in each if one is not None]
            return ast.Or(tuple(known)) if len(known) == len(each) else None
        case ast.NotTerm():
            return None


def plain(text: str) -> ast.Terms | None:
    """Text as parameterizedSearch takes it, in which AND and the like are words; None when it has no word."""
    found = tuple(ast.Word(re.sub(r"([\\?])", r"\\\1", word.lower())) for word in text.split())
    return ast.AllTerms(found) if any(_globs(each.pattern) for each in found) else None


def _contains(names: Sequence[str], likes: Sequence[str]) -> ast.Condition:
    texts = ast.Call(ast.TEXTS, tuple(ast.Path((name,)) for name in names))
    return ast.And(tuple(ast.Like(texts, ast.Text(like, like)) for like in likes))


def _globs(pattern: str) -> list[Glob]:
    """The words of a term: whatever is neither letter nor wildcard stands between two of them."""
    globs: list[list[str]] = [[]]
    for match in _PIECE.finditer(pattern):
        escaped, wild, plain_ = match.groups()
        if wild:
            globs[-1].append(ANY if wild == "*" else ONE)
        elif _WORD.fullmatch(escaped or plain_):
            globs[-1].append(escaped or plain_)
        else:
            globs.append([])
    return [tuple(glob) for glob in globs if any(each not in (ANY, ONE) for each in glob)]


def _like(glob: Glob) -> str:
    shown = {ANY: "%", ONE: "_"}
    return "%" + "".join(shown.get(each) or _SPECIAL.sub(r"\\\g<0>", each) for each in glob) + "%"


def _beside(globs: Sequence[Glob], words: Sequence[str]) -> bool:
    return any(
        all(_fits(glob, word) for glob, word in zip(globs, words[start:], strict=False))
        for start in range(len(words) - len(globs) + 1)
    )


def _fits(glob: Glob, word: str) -> bool:
    """Whether the whole word fits, without going back further than the last ANY: hostile patterns cost nothing."""
    at = place = 0
    back: tuple[int, int] | None = None
    while place < len(word):
        if at < len(glob) and glob[at] == ANY:
            back = (at, place)
            at += 1
        elif at < len(glob) and glob[at] in (ONE, word[place]):
            at, place = at + 1, place + 1
        elif back is not None:
            back = (back[0], back[1] + 1)
            at, place = back[0] + 1, back[1]
        else:
            return False
    return all(each == ANY for each in glob[at:])
