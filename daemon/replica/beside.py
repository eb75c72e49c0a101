"""Puts the sync's CRM side together where the CRM has a replica."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from crmsync.connectors.contract import Kind
from crmsync.connectors.salesforce.auth import ClientCredentials
from crmsync.connectors.salesforce.connector import SalesforceSource
from crmsync.daemon.replica.desk import ReplicaDesk
from crmsync.daemon.replica.inside import INSIDE, Inside
from crmsync.daemon.replica.keeper import Keeper
from crmsync.daemon.replica.source import ReplicaSource

__all__ = ["beside_replica"]


def beside_replica(
    lazy: Any,
    live: Callable[[], SalesforceSource],
    keeper: Keeper,
    fields: Mapping[Kind, Mapping[str, str]],
    external_id: str,
    now: Callable[[], datetime],
) -> ReplicaSource:
    """`lazy`, `live`: as `ReplicaSource` takes them; `fields`, `external_id`: as the CRM itself was given them."""
    inside = Inside(keeper, lambda: now() + keeper.offset())
    nobody = ClientCredentials("inside", "")
    copy = SalesforceSource(
        INSIDE, auth=nobody, fields=fields, external_id=external_id, now=now, transport=inside,
        copied=True,
    )  # fmt: skip
    return ReplicaSource(lazy, live, copy, ReplicaDesk(keeper))
