"""E-mail messages, whom they relate to, and what is attached to them."""

import base64

import pytest

from crmsync.state.replica.faults import Fault
from tests.state.replica.conftest import Bench, codes


def test_a_message_is_related_to_people_and_goes_with_its_relations(bench: Bench) -> None:
    ada = bench.create("Contact", LastName="Lovelace", Email="ada@example.com")
    mail = bench.create("EmailMessage", Subject="Offer", Incoming=True, Status="1")
    relation = bench.create(
        "EmailMessageRelation", EmailMessageId=mail, RelationId=ada, RelationType="FromAddress"
    )
    row = bench.read(relation)
    assert (row["RelationObjectType"], row["RelationAddress"]) == ("Contact", "ada@example.com")
    bench.delete(mail)
    with pytest.raises(Fault):
        bench.read(relation)


def test_what_a_message_is_about_may_go_without_it(bench: Bench) -> None:
    deal = bench.create("Opportunity", Name="Deal", StageName="Prospecting", CloseDate="2026-12-01")
    mail = bench.create("EmailMessage", Subject="Offer", RelatedToId=deal)
    bench.delete(deal)
    row = bench.read(mail)
    assert (row["IsDeleted"], row["RelatedToId"]) == (False, None)


def test_an_attachment_says_how_long_it_is(bench: Bench) -> None:
    mail = bench.create("EmailMessage", Subject="Offer")
    for content in (b"a", b"ab", b"abc", b"abcd"):
        body = base64.b64encode(content).decode()
        assert bench.read(bench.create("Attachment", ParentId=mail, Name="x", Body=body))[
            "BodyLength"
        ] == len(content)


def test_what_is_no_base64_is_refused(bench: Bench) -> None:
    mail = bench.create("EmailMessage", Subject="Offer")
    outcome = bench.try_create("Attachment", ParentId=mail, Name="x", Body="not base64!")
    assert codes(outcome) == ["JSON_PARSER_ERROR"]
