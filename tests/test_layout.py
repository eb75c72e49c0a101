"""The rooms at the top of the repository and the list of packages in ``pyproject.toml`` say the same."""

import ast
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
ROOMS = ("config", "connectors", "daemon", "state")
DATA = frozenset({".toml", ".rng", ".lark", ".html", ".json", ".css", ".js", ".svg"})


def setuptools_table() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]


def folders_with_code() -> Iterator[Path]:
    for room in ROOMS:
        for folder in [ROOT / room, *(p for p in (ROOT / room).rglob("*") if p.is_dir())]:
            if any(file.suffix in {".py", *DATA} for file in folder.iterdir()):
                yield folder.relative_to(ROOT)


def test_every_package_on_disk_is_listed():
    """An unlisted one works in the checkout and is missing from the wheel."""
    on_disk = {"crmsync." + ".".join(folder.parts) for folder in folders_with_code()}
    assert sorted(setuptools_table()["packages"]) == sorted(on_disk)


def test_every_package_is_a_package():
    assert [f for f in folders_with_code() if not (ROOT / f / "__init__.py").exists()] == []


def test_every_file_beside_the_code_goes_into_the_wheel():
    (patterns,) = setuptools_table()["package-data"].values()
    others = [
        file.relative_to(ROOT)
        for room in ROOMS
        for file in (ROOT / room).rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc")
    ]
    assert [file for file in others if not any(file.match(pattern) for pattern in patterns)] == []


def test_the_rooms_are_mapped_and_the_tools_see_them():
    assert setuptools_table()["package-dir"] == {f"crmsync.{room}": room for room in ROOMS}
    for room in ROOMS:
        assert (ROOT / ".typings/crmsync" / room).resolve() == ROOT / room


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_the_bare_names_are_never_imported(room):
    """Under these names they would be somebody else's modules (decision 0001). Strings count too: ``import_module``."""
    assert [
        f"{file.relative_to(ROOT)}: {name}"
        for file in (ROOT / room).rglob("*.py")
        for name in imported(ast.parse(file.read_text()))
        if name.partition(".")[0] in ROOMS or name.startswith(".")
    ] == []


def imported(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        match node:
            case ast.Import(names=names):
                yield from (name.name for name in names)
            case ast.ImportFrom(module=name, level=level):
                yield "." * level + (name or "")
            case ast.Call(
                func=ast.Name(id="__import__" | "import_module") | ast.Attribute(attr="import_module"),
                args=[ast.Constant(value=str(name)), *_],
            ):
                yield name
