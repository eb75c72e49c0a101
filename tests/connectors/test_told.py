"""What servers say goes into logs: without what they quote, and without addresses."""

import time

import pytest

from crmsync.connectors.told import brief


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "The value 'a body' is invalid according to its datatype",
            "The value … is invalid according to its datatype",
        ),
        ('Cannot resolve "Ada Lovelace" <ada@example.com>.', "Cannot resolve … …"),
        ("The SMTP address ada@example.com has no mailbox", "The SMTP address … has no mailbox"),
        ("The value 'cut of", "The value …"),
        ("You can't set the value 'my secret note' of it", "You can't set the value … of it"),
        ("The value 'O'Brien is ill' is invalid", "The value … is invalid"),
        ("Der Wert „geheimer Text“ ist ungültig", "Der Wert … ist ungültig"),
        ("La valeur « texte secret » est incorrecte", "La valeur … est incorrecte"),
        ("'one' is not 'other', you can't", "…, you can't"),
        ("unexpected response: b'Dear Alice'", "unexpected response: …"),
        ("Two\nlines\x00 of  it", "Two lines of it"),
    ],
)
def test_what_a_server_quotes_is_not_told(said: str, told: str) -> None:
    assert brief(said) == told


def test_a_long_one_takes_no_longer() -> None:
    def cost(text: str) -> float:
        start = time.process_time()
        for _ in range(20):
            brief(text)
        return time.process_time() - start

    assert cost("x" * 1_000_000) < 20 * cost("x" * 1_000) + 0.1
    assert len(brief("word " * 1_000)) == 200
