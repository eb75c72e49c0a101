"""Starts a program that ends when its parent does, even if that is killed: ``leash.py PARENT PROGRAM ARGUMENT…``.

Imports nothing of ours: it is run as a file.
"""

import ctypes
import os
import signal
import sys

SET_DEATH_SIGNAL = 1  # PR_SET_PDEATHSIG of prctl(2); Linux. It survives the exec below.


def main(arguments: list[str]) -> None:
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    if prctl is not None:
        prctl(SET_DEATH_SIGNAL, signal.SIGTERM, 0, 0, 0)
    if os.getppid() == int(arguments[0]):  # otherwise it ended before we asked
        os.execv(arguments[1], arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
