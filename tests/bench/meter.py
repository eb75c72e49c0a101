"""What a measured process says of itself, and the loop in which it takes commands."""

import json
import re
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any


def memory() -> tuple[int, int]:
    """Bytes of memory that are resident now, and that were at most."""
    try:
        text = Path("/proc/self/status").read_text()
    except OSError:
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        return most, most
    found = dict(re.findall(r"^(VmRSS|VmHWM):\s+(\d+) kB", text, re.MULTILINE))
    return int(found["VmRSS"]) * 1024, int(found["VmHWM"]) * 1024


@contextmanager
def measured(into: dict[str, Any]) -> Iterator[None]:
    """Wall and CPU seconds, and the peak of memory over the beginning."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, _ = memory()
    cpu, wall = time.process_time(), time.perf_counter()
    yield
    into["wall"] = time.perf_counter() - wall
    into["cpu"] = time.process_time() - cpu
    into["peak"] = max(memory()[1] - before, 0)


def take_commands(commands: dict[str, Callable[..., dict[str, Any]]]) -> None:
    out, sys.stdout = sys.stdout, sys.stderr  # nothing else may stand in the answers
    for line in sys.stdin:
        asked = json.loads(line)
        try:
            answer = commands[asked.pop("command")](**asked)
        except Exception:  # noqa: BLE001 - the bench says it, and ends
            answer = {"failed": traceback.format_exc()}
        out.write(json.dumps(answer) + "\n")
        out.flush()
