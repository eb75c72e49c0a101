"""What can, or may, go one way only, on real servers."""

from pathlib import Path
from typing import Any

import pytest

from tests.bars.office import Office, office

pytestmark = [pytest.mark.bar, pytest.mark.timeout(300)]
ANN = (
    "BEGIN:VCARD\r\nVERSION:3.0\r\nUID:ann\r\nN:Odd;Ann;;;\r\nFN:Ann Odd\r\nEMAIL:ann@example.com\r\n"
    "ORG:Typed Ltd\r\nTITLE:Clerk\r\nCATEGORIES:CRM\r\nEND:VCARD\r\n"
)


def _linked(made: Office) -> str:
    """The URL of Ann's card, in step."""
    url = made.book + "ann.vcf"
    made.dav.put(url, ANN)
    made.sync()
    return url


def _row(made: Office) -> dict[str, Any]:
    (row,) = made.rows("Contact")
    return row


def test_a_record_that_the_crm_user_may_not_edit(tmp_path: Path) -> None:
    """It was handed over to bob, and alice only sees it: her edit is parked until she gets the right."""
    with office(tmp_path, sharing={"Contact": "read"}) as made:
        url = _linked(made)
        made.sf.Contact.update(_row(made)["Id"], {"OwnerId": made.crm.bob.id})
        made.sync()
        made.edit(url, ("TITLE:Clerk", "TITLE:Head"))
        answer = made.cli("sync")
        (error,) = answer.json["errors"]
        assert (answer.code, error["code"]) == (1, "forbidden")
        for word in ("job_title", "alice@example.com", _row(made)["Id"], "crmsync retry"):
            assert word in error["message"], error
        assert _row(made)["Title"] == "Clerk"
        again = made.cli("sync")
        assert (again.json["errors"], again.json["writes"]) == ([], 0)
        (account,) = made.cli.ok("status")["accounts"]
        assert (account["light"], account["parked"]) == ("failing", 1)
        (queued,) = made.cli.ok("explain", "ann.vcf")["queue"]
        assert (queued["state"], queued["code"], queued["error"]) == ("parked", "forbidden", error["message"])

        made.sf.Contact.update(_row(made)["Id"], {"OwnerId": made.crm.alice.id})
        made.cli.ok("retry", "ann.vcf")
        made.sync()
        assert _row(made)["Title"] == "Head"
        assert made.cli.ok("queue") == []
        made.quiet()


def test_an_account_that_is_set_on_a_contact_with_a_company_of_its_own(tmp_path: Path) -> None:
    """The company comes from the CRM: nobody is asked, and what stood on the card can be brought back."""
    with office(tmp_path) as made:
        url = _linked(made)
        company = made.sf_alice.Account.create({"Name": "Real Ltd"})["id"]
        made.sf_alice.Contact.update(_row(made)["Id"], {"AccountId": company})
        answer = made.cli("sync")
        assert (answer.code, answer.json["errors"]) == (0, [])
        assert "ORG:Real Ltd" in made.text(url)
        (conflict,) = made.cli.ok("conflicts")
        assert (conflict["column"], conflict["ecs"], conflict["crm"]) == ("company", "Typed Ltd", "Real Ltd")
        assert (conflict["winner"], conflict["resolved"]) == ("crm", True)
        made.quiet()
        made.cli.ok("conflicts", "resolve", "ann.vcf", "company", "--keep", "ecs")
        made.sync()
        assert "ORG:Typed Ltd" in made.text(url)
        made.quiet()
