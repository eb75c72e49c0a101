"""IMAP over a real Dovecot: mail, which is moved and marked, and never altered."""

from collections.abc import Iterator

import pytest

from crmsync.connectors.contract import Kind
from crmsync.connectors.imap.connector import MailSource
from crmsync.connectors.imap.settings import Settings
from tests.conformance.bench import Bench
from tests.conformance.mail_bench import MailPerson, expired
from tests.conformance.suite import Conformance
from tests.servers.dovecot import Dovecot


@pytest.mark.server
class TestOnDovecot(Conformance):
    @pytest.fixture
    def bench(self, on_dovecot: Dovecot) -> Iterator[Bench]:
        user = on_dovecot.fresh()
        person = MailPerson(on_dovecot, user)
        source = MailSource(on_dovecot.server, *on_dovecot.login(user), Settings())
        (collection,) = source.collections()
        yield Bench(Kind.EMAIL, source, collection, person, expired, "nobody@example.com")
        source.close()
