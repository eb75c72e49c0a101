"""Plainly fictional rows for the tests of the state."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from crmsync.connectors.contract import Kind, Side
from crmsync.state.model import Conflict, Entry, Held, Intent, Pair, What
from crmsync.state.snapshot import Mark, Snapshot

NOW = datetime(2026, 11, 22, 10, 0, 0, 123456, tzinfo=UTC)
SECOND = timedelta(seconds=1)
BOOK = "http://127.0.0.1/alice/contacts/"


def pair(number: int = 1, **changes: Any) -> Pair:
    values: dict[str, Any] = {
        "account": "alice",
        "crm": "main",
        "kind": Kind.CONTACT,
        "ecs_collection": BOOK,
        "ecs_id": f"item-{number}.vcf",
        "ecs_uid": f"uid-{number}",
        "ecs_version": '"1"',
        "crm_collection": "Contact",
        "crm_id": f"003{number:012}AAA",
        "crm_version": "2026-11-22T10:00:00Z",
        "linked_at": NOW,
        "synced_at": NOW,
    }
    return Pair(**{**values, **changes})


def snapshot(**changes: Any) -> Snapshot:
    values: dict[str, Any] = {
        "kind": Kind.CONTACT,
        "synced": NOW,
        "ecs": Mark("item-1.vcf", '"1"', NOW - SECOND),
        "crm": Mark("003000000000001AAA", "2026-11-22T09:59:58Z"),
        "columns": {
            "first_name": "Ada",
            "notes": "one & two\n<three>\r\n",
            "birthday": date(1815, 12, 10),
            "email": None,
            "categories": ("CRM", "Friends"),
        },
    }
    return Snapshot(**{**values, **changes})


def intent(item: str, **changes: Any) -> Intent:
    values: dict[str, Any] = {
        "cycle": 1,
        "account": "alice",
        "side": Side.CRM,
        "collection": "Contact",
        "action": "create",
        "item": item,
        "at": NOW,
    }
    return Intent(**{**values, **changes})


def entry(**changes: Any) -> Entry:
    values: dict[str, Any] = {
        "cycle": 1,
        "account": "alice",
        "pair_id": 1,
        "kind": Kind.CONTACT,
        "ecs_collection": BOOK,
        "ecs_id": "item-1.vcf",
        "crm_collection": "Contact",
        "crm_id": "003000000000001AAA",
        "at": NOW,
        "side": Side.CRM,
        "action": "update",
    }
    return Entry(**{**values, **changes})


def conflict(**changes: Any) -> Conflict:
    values: dict[str, Any] = {
        "cycle": 1,
        "account": "alice",
        "pair_id": 1,
        "kind": Kind.CONTACT,
        "item": "item-1.vcf",
        "record": "003000000000001AAA",
        "column": "birthday",
        "base": None,
        "ecs": date(1815, 12, 10),
        "crm": date(1815, 12, 11),
        "at": NOW,
    }
    return Conflict(**{**values, **changes})


def held(**changes: Any) -> Held:
    values: dict[str, Any] = {
        "account": "alice",
        "what": What.DELETE,
        "kind": Kind.CONTACT,
        "pair_id": 1,
        "side": Side.CRM,
        "item": "item-1.vcf",
        "record": "003000000000001AAA",
        "reason": "300 deletes at once",
        "cycle": 1,
        "at": NOW,
    }
    return Held(**{**values, **changes})
