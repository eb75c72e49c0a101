"""A helper who does nothing before somebody waits for it: what goes on beside it comes first, as far as it can.

With a helper who is done at once these are the two ends of what a thread may do; and both are the same in every run.
"""

from collections.abc import Callable
from concurrent.futures import Executor, Future
from typing import Any, TypeVar

from crmsync.connectors.errors import ConnectorError

T = TypeVar("T")


class Late(Executor):
    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        return _Postponed(lambda: fn(*args, **kwargs))


class _Postponed(Future[T]):
    def __init__(self, work: Callable[[], T]) -> None:
        super().__init__()
        self._work = work

    def exception(self, timeout: float | None = None) -> BaseException | None:
        if not self.done():
            try:
                self.set_result(self._work())
            except ConnectorError as error:
                self.set_exception(error)
        return super().exception(timeout)
