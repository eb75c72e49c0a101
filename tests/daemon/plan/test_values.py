"""What the plan hands around are values: they do not change once they are made, and are equal by what they hold."""

import importlib
import pkgutil
from collections.abc import Iterator
from dataclasses import is_dataclass

import pytest

import crmsync.daemon.plan as plan


def values() -> Iterator[type]:
    """All but the enumerations, and what a module keeps to itself."""
    for found in pkgutil.iter_modules(plan.__path__, f"{plan.__name__}."):
        module = importlib.import_module(found.name)
        own = [t for t in vars(module).values() if isinstance(t, type) and t.__module__ == module.__name__]
        yield from (t for t in own if not t.__name__.startswith("_") and not issubclass(t, str))


@pytest.mark.parametrize("value", list(values()))
def test_values_are_frozen_and_have_no_room_for_more(value: type) -> None:
    assert is_dataclass(value)
    assert value.__dataclass_params__.frozen
    assert "__dict__" not in vars(value)
