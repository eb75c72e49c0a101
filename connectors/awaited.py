"""Answers that are not waited for without end: each byte of one may come in time, and the last one never."""

import io
from collections.abc import Callable
from http.client import HTTPResponse
from typing import Any

LONGEST = 10  # time-outs that the whole of one answer may take


def bounded(kind: Any, seconds: float, clock: Callable[[], float]) -> Any:
    """A connection whose answers are waited for no longer than that in all, from the status line to the last byte."""

    class Answer(HTTPResponse):
        def __init__(self, *args: Any, **more: Any) -> None:
            super().__init__(*args, **more)
            self.fp = io.BufferedReader(_Awaited(self.fp.detach(), seconds, clock))

    return type("Bounded", (kind,), {"response_class": Answer})


class _Awaited(io.RawIOBase):
    """The bytes of one answer. Only the wait for them counts, because a listing is read as slowly as its items are
    dealt with."""

    def __init__(self, raw: io.RawIOBase, seconds: float, clock: Callable[[], float]) -> None:
        self._raw = raw
        self._left = seconds
        self._clock = clock
        # requests-ntlm 1.3 looks here for the server's certificate
        self._sock = getattr(raw, "_sock", None)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._left <= 0:
            raise TimeoutError("the answer does not come to an end")
        begun = self._clock()
        got = self._raw.readinto(buffer)
        self._left -= self._clock() - begun
        return got

    def close(self) -> None:
        self._raw.close()
        super().close()
