"""What the configuration says of alerts, put together; and whether they can be sent."""

import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from crmsync.daemon.alerts.letters import Unsent, Way, ways
from crmsync.daemon.alerts.plan import Letter, Limits

if TYPE_CHECKING:
    from crmsync.config.alerts import Alerts


@dataclass(frozen=True, slots=True)
class Bells:
    limits: Limits = field(default_factory=Limits)
    ways: Mapping[str, Way] = field(default_factory=dict)

    @classmethod
    def of(cls, config: "Alerts", now: Callable[[], datetime]) -> "Bells":
        return cls(Limits(config.silence, config.expiry, config.growth), ways(config, now))


def tried(bells: Bells, now: datetime, *, write: bool) -> list[dict[str, Any]]:
    """For ``crmsync check``: whether alerts can be sent; ``write``: a test is, to everybody."""
    lines = []
    for name, way in bells.ways.items():
        try:
            said = way.look()
            if write:
                way.send(
                    Letter(secrets.token_hex(12), now.isoformat(), ("a test: nothing is wrong",), (), ())
                )
                said += "; a test was sent"
            lines.append({"name": f"alerts: {name}", "ok": True, "message": said, "hint": ""})
        except Unsent as error:
            hint = f"see [alerts.{name}] in the configuration"
            lines.append({"name": f"alerts: {name}", "ok": False, "message": str(error), "hint": hint})
    return lines
