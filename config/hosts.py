"""Names that a proxy may answer for, as the configuration and the command line have them."""

import re

__all__ = ["SALESFORCE", "valid_host"]

SALESFORCE = ("login.salesforce.com", "test.salesforce.com", "*.my.salesforce.com", "*.sandbox.my.salesforce.com",
              "*.develop.my.salesforce.com", "*.scratch.my.salesforce.com")  # fmt: skip
_LABEL = r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
_HOST = re.compile(rf"(\*\.)?{_LABEL}(\.{_LABEL})+")


def valid_host(text: str) -> bool:
    """`login.example.com`, or `*.example.com` for every name directly below it. Two labels at least."""
    return len(text) < 254 and _HOST.fullmatch(text) is not None and text.count(".") >= 1 + text.count("*")
