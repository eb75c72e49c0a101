"""Forms as browsers send them, bounded."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qsl

from starlette.requests import Request

LARGEST = 1024 * 1024  # bytes: a choice among thousands of items is that large
SMALL = 16 * 1024  # of somebody who is not logged in
MOST_FIELDS = 10_000


class BadForm(Exception):
    """The sentence for the person."""


@dataclass(frozen=True, slots=True)
class Form:
    fields: Sequence[tuple[str, str]] = ()

    def one(self, name: str) -> str:
        """Empty where it was not given."""
        return next((value for key, value in self.fields if key == name), "")

    def all(self, name: str) -> list[str]:
        return [value for key, value in self.fields if key == name]


async def read(request: Request, largest: int = LARGEST) -> Form:
    """Raises BadForm."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise BadForm("This is not a form as this page sends it.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > largest:
            raise BadForm("This form is too large; choose fewer at a time.")
    try:
        text = body.decode("ascii")
        return Form(
            parse_qsl(
                text, keep_blank_values=True, max_num_fields=MOST_FIELDS, encoding="utf-8", errors="strict"
            )
        )
    except ValueError as error:
        raise BadForm("This form cannot be read.") from error
