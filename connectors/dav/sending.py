"""Steps on their way to a server: as many at a time as it bears, in threads of their own."""

from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from crmsync.connectors.dav import wire
from crmsync.connectors.dav.audience import Hearing
from crmsync.connectors.dav.client import Dav, Refusal
from crmsync.connectors.dav.habits import MOST_AT_A_TIME, Pace
from crmsync.connectors.dav.place import Place
from crmsync.connectors.dav.reading import version_of
from crmsync.connectors.dav.verdict import Erase, Put, Sent, Step
from crmsync.connectors.errors import ConnectorError

_PAUSES = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)  # seconds before a locked resource is tried again


@dataclass(frozen=True, slots=True)
class Answers:
    """What the server said to each step, by the step's index; and what broke the conversation, if it did."""

    sent: Mapping[int, Sent] = field(default_factory=dict)
    broken: ConnectorError | None = None


class _Steps:
    """What is left to send, and what has come of the rest; several threads share it."""

    def __init__(self, steps: Mapping[int, Step], broken: ConnectorError | None = None) -> None:
        self.waiting = deque(steps.items())
        self.sent: dict[int, Sent] = {}
        self.broken = broken

    @property
    def over(self) -> bool:
        return not self.waiting or self.broken is not None

    def next(self) -> tuple[int, Step] | None:
        try:
            return None if self.broken is not None else self.waiting.popleft()
        except IndexError:  # another thread was quicker
            return None


class Sending:
    """Steps that are leaving."""

    def __init__(self, steps: _Steps, end: Future[None]) -> None:
        self._steps = steps
        self._end = end

    def answers(self) -> Answers:
        """Waits for them."""
        self._end.result()
        return Answers(self._steps.sent, self._steps.broken)


class Sender:
    """In a ``with``: at its end nothing is under way any more, and what has not left by then stays."""

    def __init__(
        self,
        dav: Dav,
        place: Place,
        content_type: str,
        pace: Pace,
        *,
        hearing: Hearing,
        pause: Callable[[float], None],
    ) -> None:
        self._dav = dav
        self._place = place
        self._content_type = content_type
        self._pace = pace
        self._hearing = hearing
        self._pause = pause
        self._steps = _Steps({})
        self._threads = ThreadPoolExecutor(MOST_AT_A_TIME, thread_name_prefix="dav-write")

    def __enter__(self) -> "Sender":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._steps.waiting.clear()
        self._threads.shutdown(wait=True)

    def begin(self, steps: Mapping[int, Step], broken: ConnectorError | None = None) -> Sending:
        """Once those before have come to their end. After a break nothing more is sent; ``broken``: there was one
        already."""
        self._steps = _Steps(steps, broken)
        return Sending(self._steps, self._threads.submit(self._send_all, self._steps))

    def _send_all(self, steps: _Steps) -> None:
        while not steps.over:
            width = self._pace.width
            helping = min(width, len(steps.waiting)) - 1
            others = [self._threads.submit(self._work, steps, width) for _ in range(helping)]
            self._work(steps, width)
            for other in others:
                other.result()

    def _work(self, steps: _Steps, width: int) -> None:
        """One of ``width`` that send step by step, until nothing is left or another number would be better."""
        while self._pace.width == width and (step := steps.next()) is not None:
            index, put_or_erase = step
            try:
                steps.sent[index] = self._send(put_or_erase)
            except ConnectorError as error:
                steps.broken = steps.broken or error

    def _send(self, step: Step) -> Sent:
        """423: somebody holds the resource or, on Xandikos, writes to the collection at all."""
        sent = self._send_once(step)
        for seconds in _PAUSES:
            if sent.status != 423:
                break
            self._pace.pushed_back()
            self._pause(seconds)
            sent = self._send_once(step)
        else:
            return sent
        self._pace.went_well()
        return sent

    def _send_once(self, step: Step) -> Sent:
        href = self._place.href(step.id)
        match step:
            case Put():
                answer = self._dav.put(href, step.text, self._content_type, expected=step.expected)
            case Erase():
                answer = self._dav.delete(href, expected=step.expected, silently=self._hearing.silently)
        conditions = wire.conditions(answer.body) if answer.status >= 400 else ()
        if isinstance(step, Put) and not step.expected and answer.status in (404, 410):
            refusal = Refusal(answer.status, conditions, f"PUT {answer.url}")
            raise self._dav.error(refusal)  # it is the collection that is missing
        return Sent(answer.status, version_of(answer.headers.get("ETag")), conditions)
