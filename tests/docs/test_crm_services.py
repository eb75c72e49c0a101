"""The page about the CRM's web services names all of them."""

import re
from pathlib import Path

from crmsync.daemon.crm_api import api
from crmsync.daemon.crm_api.soap.endpoint import OPERATIONS

PAGE = (Path(__file__).parents[2] / "docs" / "crm-services.md").read_text(encoding="utf-8")


def test_every_soap_operation_is_named_and_no_other() -> None:
    listed = PAGE.partition("## SOAP (partner)")[2].partition("##")[0]
    assert set(re.findall(r"[a-z]\w+", listed)) == {"login", *OPERATIONS}


def test_every_rest_address_is_named() -> None:
    source = Path(api.__file__).read_text(encoding="utf-8")
    patterns = re.findall(r'Route\("[A-Z]+", "([^"]+)"', source)
    assert len(patterns) > 30
    words = {word for each in patterns for word in each.split("/") if not word.startswith("{")}
    assert [word for word in words if word not in PAGE.lower()] == []
