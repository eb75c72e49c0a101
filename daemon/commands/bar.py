"""The progress of a sync, on a terminal."""

import sys
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn

STEPS = ("detected", "loaded", "written", "synced")


class Bar:
    """Used as a context, and called with (account, what, how many more), from any thread."""

    def __init__(self, console: Console | None = None) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.fields[counts]}", markup=False),
            TimeElapsedColumn(),
            console=console or Console(file=sys.stderr),
            transient=True,
        )
        self._tasks: dict[str, TaskID] = {}
        self._counts: dict[str, dict[str, int]] = {}

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def __call__(self, account: str, what: str, count: int) -> None:
        counts = self._counts.setdefault(account, dict.fromkeys(STEPS, 0))
        counts[what] = counts.get(what, 0) + count
        if account not in self._tasks:
            self._tasks[account] = self._progress.add_task(account, total=None, counts="")
        shown = " · ".join(f"{number} {step}" for step, number in counts.items())
        # how much there is to do is not known before the last page; until something is synced the bar only moves
        total = max(counts["detected"], counts["synced"]) if counts["synced"] else None
        self._progress.update(self._tasks[account], total=total, completed=counts["synced"], counts=shown)
