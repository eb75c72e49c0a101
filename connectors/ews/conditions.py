"""What a search is restricted to: the conditions that the server checks for us. No I/O."""

import base64
from collections.abc import Sequence

from crmsync.connectors.contract import Kind
from crmsync.connectors.ews import wire
from crmsync.connectors.ews.properties import KEY, SEARCH_KEY
from crmsync.connectors.ews.wire import Element


def not_before(kind: Kind, name: str, at: str) -> Element:
    """The restriction to items whose time ``name`` is this one or later."""
    constant = wire.element("t:FieldURIOrConstant", wire.element("t:Constant", Value=at))
    return wire.element(
        "m:Restriction", wire.element("t:IsGreaterThanOrEqualTo", wire.path(kind, name), constant)
    )


def equal(kind: Kind, name: str, values: Sequence[str]) -> Element:
    """The test whether a property is one of these."""
    tests = [
        wire.element(
            "t:IsEqualTo",
            wire.path(kind, name),
            wire.element("t:FieldURIOrConstant", wire.element("t:Constant", Value=value)),
        )
        for value in values
    ]
    return tests[0] if len(tests) == 1 else wire.element("t:Or", *tests)


def any_of_keys(keys: Sequence[str]) -> Element:
    """The restriction that finds items by the key under which they were made."""
    return wire.element("m:Restriction", equal(Kind.CONTACT, KEY, keys))  # all kinds but mail have it


def any_of_search_keys(keys: Sequence[str]) -> Element:
    """By what the server itself knows them by, also after they were moved."""
    return wire.element("m:Restriction", has_search_key(keys))


def has_search_key(keys: Sequence[str]) -> Element:
    """The test; all kinds have it in the same place."""
    return equal(Kind.EMAIL, SEARCH_KEY, [base64.b64encode(bytes.fromhex(key)).decode() for key in keys])
