"""Marks on messages, written under the change key that they were decided from. The message itself is never altered."""

from collections.abc import Mapping, Sequence

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.client import Answer, Exchange
from crmsync.connectors.ews.mail.mapping import Copy
from crmsync.connectors.ews.properties import Property


def update(exchange: Exchange, changes: Sequence[tuple[Copy, Mapping[str, Property]]]) -> list[Answer]:
    payload = wire.element(
        "m:UpdateItem",
        wire.element(
            "m:ItemChanges",
            *(
                wire.element(
                    "t:ItemChange",
                    wire.item_id(copy.item, copy.change_key),
                    wire.updates(Kind.EMAIL, properties, copy.sort),
                )
                for copy, properties in changes
            ),
        ),
        ConflictResolution="NeverOverwrite",
        MessageDisposition="SaveOnly",
        SendMeetingInvitationsOrCancellations="SendToNone",
    )
    return exchange.each("UpdateItem", payload, len(changes))
