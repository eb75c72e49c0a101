"""Whether the telephones of a configuration can be reached, for ``check``."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from crmsync.config.model import Config
from crmsync.config.secret import SecretError
from crmsync.connectors.errors import ConnectorError
from crmsync.daemon.telephony.phones import lines_of, switch_of


def probed(config: Config, now: Callable[[], datetime]) -> list[dict[str, Any]]:
    """By ourselves: not while a service runs, whose connection to a baresip would be taken over by this."""
    return [answer(name, _trouble(config, name, now)) for name in config.telephony]


def answer(name: str, trouble: str | None) -> dict[str, Any]:
    """As ``check`` has it; ``trouble``: None where all is well."""
    message = trouble if trouble is not None else "is heard"
    return {"name": f"telephony.{name}", "ok": trouble is None, "message": message or "is not heard yet"}


def _trouble(config: Config, name: str, now: Callable[[], datetime]) -> str | None:
    extensions = {line.extension for line in lines_of(config) if line.switch == name} - {""}
    try:
        told = switch_of(config.telephony[name], extensions, now).events([], lambda: True)
        next(told, None)
        told.close()  # type: ignore[attr-defined]  # a generator
    except (ConnectorError, SecretError) as error:
        return str(error)
    return None
