"""Answers for a person. Whatever comes from a server is shown as plain text, control characters replaced."""

import sys
from collections.abc import Mapping, Sequence
from typing import Any

import click

WIDE = 4000  # columns of an output that is no terminal: nothing is cut off there

LIGHTS = {
    "in_step": "green",
    "waiting": "cyan",
    "syncing": "cyan",
    "decision": "yellow",
    "stale": "yellow",
    "offline": "yellow",
    "failing": "red",
}


def plain(value: object) -> str:
    """A value in one line."""
    match value:
        case None:
            return "–"
        case True:
            return "yes"
        case False:
            return "no"
        case list() | tuple():
            return ", ".join(plain(v) for v in value) or "–"
        case Mapping():
            return ", ".join(f"{plain(k)}: {plain(v)}" for k, v in value.items()) or "–"
        case _:
            text = str(value).replace("\n", " ↵ ")
            return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text) or "–"


def say(text: str) -> None:
    """Our own sentence; may have several lines."""
    click.echo("\n".join(plain(line) if line else "" for line in text.split("\n")))


def table(rows: Sequence[Mapping[str, Any]], columns: Mapping[str, str], nothing: str) -> None:
    """``columns``: key -> heading, in order; ``nothing``: the sentence for no rows."""
    if not rows:
        say(nothing)
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="bold")
    for heading in columns.values():
        grid.add_column(heading, overflow="fold")
    for row in rows:
        cells = [plain(row.get(key)) for key in columns]
        styles = [
            LIGHTS.get(cell, "") if key == "light" else "" for key, cell in zip(columns, cells, strict=True)
        ]
        grid.add_row(*(Text(cell, style) for cell, style in zip(cells, styles, strict=True)))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else WIDE)
    console.print(grid)


def fields(values: Mapping[str, Any]) -> None:
    """One line each."""
    width = max((len(name) for name in values), default=0) + 2
    for name, value in values.items():
        click.echo(f"{name + ':':<{width}}{plain(value)}")


def counted(number: int, one: str, many: str = "") -> str:
    return f"{number} {one if number == 1 else many or one + 's'}"
