"""What ``crmsync check`` says of the adaptor: whether its secrets and its certificate can be used."""

from datetime import UTC, datetime
from typing import Any

from crmsync.config.exchange import Exchange
from crmsync.daemon.adaptor.authentication import unusable
from crmsync.daemon.adaptor.refusals import Audit
from crmsync.daemon.adaptor.tls import context
from crmsync.daemon.calls import Failure


def checks(config: Exchange) -> list[dict[str, Any]]:
    """Lines as those of ``Engine.check``; none where nobody listens."""
    if config.address is None:
        return []
    wrong = unusable(config)
    try:
        context(config, Audit(lambda line: None, lambda: datetime.now(UTC)))
    except Failure as error:
        wrong.append(error.message)
    if wrong:
        return [{"name": "exchange", "ok": False, "message": sentence, "hint": ""} for sentence in wrong]
    names = ", ".join(config.credential) or "nobody"
    how = "TLS" if config.certificate is not None else "without TLS"
    message = f"{config.listen}, {how}; may ask: {names}"
    return [{"name": "exchange", "ok": True, "message": message, "hint": ""}]
