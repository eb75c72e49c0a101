"""What an operation needs to know of who asks, and how."""

from collections.abc import Mapping
from dataclasses import dataclass

from crmsync.daemon.crm_api.crm import Crm
from crmsync.state.replica.access import Caller

__all__ = ["Soap"]


@dataclass(frozen=True, slots=True)
class Soap:
    """`url` is the server's own address for this API, `origin` scheme and host; `headers` are SOAP's."""

    crm: Crm
    caller: Caller
    token: str
    url: str
    origin: str
    headers: Mapping[str, str]

    @property
    def all_or_none(self) -> bool:
        return self.headers.get("AllOrNoneHeader/allOrNone", "").strip().lower() in ("true", "1")

    @property
    def batch_size(self) -> int | None:
        asked = self.headers.get("QueryOptions/batchSize", "").strip()
        return int(asked) if asked.isascii() and asked.isdigit() and len(asked) < 7 else None
