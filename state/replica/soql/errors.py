"""What a SOQL statement can be refused for.

    SoqlError
    ├── MalformedQuery        the text is no SOQL                      MALFORMED_QUERY
    ├── Unsupported           SOQL, but not answered here              FUNCTIONALITY_NOT_ENABLED
    ├── InvalidType           no such object or child relationship     INVALID_TYPE
    ├── InvalidField          no such field or parent relationship,    INVALID_FIELD
    │                         or a value of the wrong type for it
    ├── InvalidOperator       the field knows no such comparison       INVALID_QUERY_FILTER_OPERATOR
    ├── OutOfRange            LIMIT or OFFSET beyond what is allowed   NUMBER_OUTSIDE_VALID_RANGE
    └── TooLarge              more rows than one answer can hold       OPERATION_TOO_LARGE

The fault always lies in the statement: sending it again unchanged fails again.
"""

from typing import ClassVar

EXCERPT = 80  # characters of the statement shown around the place of an error


class SoqlError(Exception):
    """A refused statement.

    `code` is Salesforce's errorCode, `message` its message with excerpt, row and column, `sentence` the last
    line of it alone. `row` and `column` count from 1.
    """

    code: ClassVar[str] = "MALFORMED_QUERY"

    def __init__(self, sentence: str, row: int = 1, column: int = 1, text: str = "") -> None:
        super().__init__(sentence, row, column, text)
        self.sentence = sentence
        self.row = row
        self.column = column
        self.text = text

    @property
    def message(self) -> str:
        place = f"ERROR at Row:{self.row}:Column:{self.column}\n{self.sentence}"
        return f"\n{self._excerpt()}\n{place}" if self.text else place

    def _excerpt(self) -> str:
        lines = self.text.split("\n")
        line = lines[self.row - 1] if self.row <= len(lines) else ""
        start = max(0, self.column - 1 - EXCERPT // 2)
        return f"{line[start : start + EXCERPT]}\n{' ' * (self.column - 1 - start)}^"

    def __str__(self) -> str:
        return self.message


class MalformedQuery(SoqlError):
    """The text does not follow the grammar, or breaks one of SOQL's rules of form."""


class Unsupported(SoqlError):
    """Correct SOQL that asks for something this CRM does not have; the sentence says what."""

    code = "FUNCTIONALITY_NOT_ENABLED"


class InvalidType(SoqlError):
    """An object or a child relationship that the catalog does not know."""

    code = "INVALID_TYPE"


class InvalidField(SoqlError):
    """A field or parent relationship that the object does not have, or a value of the wrong type for it."""

    code = "INVALID_FIELD"


class InvalidOperator(SoqlError):
    """A comparison that the field's type does not know, or an id that is none."""

    code = "INVALID_QUERY_FILTER_OPERATOR"


class OutOfRange(SoqlError):
    """LIMIT or OFFSET is larger than Salesforce allows."""

    code = "NUMBER_OUTSIDE_VALID_RANGE"


class TooLarge(SoqlError):
    """The answer would not fit; the sentence says what of it."""

    code = "OPERATION_TOO_LARGE"
