"""Statements that are almost SOQL: one token of a good one deleted, doubled, moved, replaced or put in."""

import random
import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(
    r"'(?:[^'\\]|\\.)*'"  # strings
    r"|\d{4}-\d\d-\d\d(?:T\d\d:\d\d:\d\d(?:\.\d+)?(?:Z|[+-]\d\d:?\d\d))?"  # dates
    r"|[A-Za-z_][A-Za-z0-9_]*|[+-]?\d+(?:\.\d+)?"
    r"|!=|<>|<=|>=|\S",
    re.DOTALL | re.IGNORECASE,
)
# Beside the statements' own tokens: every word of the grammar, and literals of every kind.
_POOL = """
    SELECT FROM WHERE AND OR NOT IN LIKE INCLUDES EXCLUDES NULL TRUE FALSE USING SCOPE WITH SECURITY_ENFORCED DATA
    CATEGORY AT ABOVE BELOW ABOVE_OR_BELOW GROUP BY ROLLUP CUBE HAVING ORDER ASC DESC NULLS FIRST LAST LIMIT OFFSET
    FOR VIEW REFERENCE UPDATE TRACKING VIEWSTAT TYPEOF WHEN THEN ELSE END AS COUNT COUNT_DISTINCT SUM AVG MIN MAX
    FORMAT TOLABEL CONVERTCURRENCY CONVERTTIMEZONE CALENDAR_YEAR DAY_ONLY FIELDS ALL GROUPING DISTANCE GEOLOCATION
    TODAY LAST_N_DAYS Id Name Account ( ) , . : = != < >= 1 -2.5 'text' 2024-01-02 2024-01-02T03:04:05Z USD5
"""
POOL = tuple(_POOL.split())


def tokens(text: str) -> list[str]:
    return _TOKEN.findall(text)


def mutants(statements: Sequence[str], count: int, seed: int) -> Iterator[str]:
    """That many different ones, none of which stands in `statements`."""
    chance = random.Random(seed)
    seen = {spelled(tokens(each)) for each in statements}
    while count:
        changed = spelled(_changed(chance, tokens(chance.choice(statements))))
        if changed not in seen:
            seen.add(changed)
            count -= 1
            yield changed


def _changed(chance: random.Random, words: list[str]) -> list[str]:
    place = chance.randrange(len(words))
    before, word, after = words[:place], words[place], words[place + 1 :]
    match chance.choice(("delete", "double", "swap", "replace", "insert", "replace_own")):
        case "delete":
            return before + after
        case "double":
            return [*before, word, word, *after]
        case "swap":
            other = chance.randrange(len(words))
            words[place], words[other] = words[other], word
            return words
        case "replace":
            return [*before, chance.choice(POOL), *after]
        case "replace_own":
            return [*before, chance.choice(words), *after]
    return [*before, chance.choice(POOL), word, *after]


def spelled(words: Sequence[str]) -> str:
    """The tokens with a space between two where they would run together, and around nothing else."""
    text = ""
    for word in words:
        tight = not text or text[-1] in "(.:" or word in (")", ",", ".", ":")
        text += word if tight else f" {word}"
    return text
