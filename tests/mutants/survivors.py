"""Which mutants of the deciding part are known to survive, and why: ``survivors.toml``."""

import tomllib
from pathlib import Path
from typing import NamedTuple

from tests.mutants.trial import ROOT

FILE = Path(__file__).with_name("survivors.toml")


class Survivor(NamedTuple):
    module: str
    old: str  # the line, without its indentation
    new: str

    def row(self) -> str:
        return (
            f"[[survivor]]\nmodule = '{self.module}'\nold = '''{self.old}'''\nnew = '''{self.new}'''\n"
            f"reason = ''\n"
        )


def listed() -> dict[Survivor, str]:
    """With their reasons."""
    rows = tomllib.loads(FILE.read_text(encoding="utf-8")).get("survivor", [])
    return {Survivor(r["module"], r["old"], r["new"]): r["reason"] for r in rows}


def modules() -> list[str]:
    files = (ROOT / "daemon/plan").glob("*.py")
    return sorted(f"crmsync.daemon.plan.{file.stem}" for file in files if file.stem != "__init__")
