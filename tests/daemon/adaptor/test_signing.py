"""The signature is the one that the documentation describes."""

from pathlib import Path

from crmsync.daemon.adaptor.signing import Signed

PAGE = Path(__file__).parents[3] / "docs/exchange-protocol.md"
BODY = b'{"accounts": ["alice"], "kinds": ["contact"]}'
SECRET = "a secret of our own, not this one"
SIGNED = Signed("POST", "/exchange/v1/reverse-sync", 1795600000, "0123456789abcdef", BODY)


def test_the_documented_example() -> None:
    page = PAGE.read_text()
    assert BODY.decode() in page
    assert SECRET in page
    assert SIGNED.signature(SECRET) in page


def test_it_verifies_itself_and_nothing_else() -> None:
    signature = SIGNED.signature(SECRET)
    assert SIGNED.verifies(SECRET, signature)
    assert not SIGNED.verifies(SECRET + "!", signature)
    assert not SIGNED.verifies(SECRET, signature.upper())
    assert not SIGNED.verifies(SECRET, "")
