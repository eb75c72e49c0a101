"""Everything at once on this machine, to try it out: ``crmsync demo``.

A real DAV server and the service run in processes of their own, the embedded CRM in a thread of ours. All of them
listen on 127.0.0.1, on free ports, and end when the demo does, however that ends.
"""

from pathlib import Path

__all__ = ["run_demo"]


def run_demo(tour: bool, directory: Path | None, ready_file: Path | None) -> int:
    """The exit code: 0, or 1 when a step of the tour did not come out. Raises Failure when it cannot start.

    On a terminal, and without the tour, it stays until SIGTERM or Ctrl-C. ``directory``: kept, and can be started on
    again; otherwise a temporary one that is removed at the end.
    """
    from crmsync.daemon.demo.show import run

    return run(tour, directory, ready_file)
