"""TLS at the adaptor's address: its own certificate, which may be renewed while it listens, and those of clients."""

import asyncio
import logging
import ssl
from typing import Any, ClassVar

from crmsync.config.exchange import Exchange
from crmsync.daemon.adaptor.refusals import Audit, Rule
from crmsync.daemon.calls import Failure
from crmsync.state.errors import StateError

log = logging.getLogger(__name__)


class Renewable(ssl.SSLContext):
    """Stands for another one that can be replaced: asyncio keeps the context of a listener as long as it listens."""

    current: ssl.SSLContext

    @classmethod
    def of(cls, context: ssl.SSLContext) -> "Renewable":
        made = cls(ssl.PROTOCOL_TLS_SERVER)
        made.current = context
        return made

    def wrap_bio(self, *given: Any, **more: Any) -> ssl.SSLObject:
        """Each connection begins with what is current; those that stand keep theirs."""
        return self.current.wrap_bio(*given, **more)


def context(config: Exchange, audit: Audit) -> ssl.SSLContext | None:
    """None: without TLS. Raises Failure. A client certificate is asked for where an authority is configured; whether
    one is needed, the credential says."""
    if config.certificate is None or config.key is None:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        # without a password, even an empty one, OpenSSL asks for it on the terminal, and the service stands still
        made.load_cert_chain(config.certificate, config.key, password="")
        if config.client_ca is not None:
            made.load_verify_locations(config.client_ca)
            made.verify_mode = ssl.CERT_OPTIONAL
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise Failure(
            "config",
            f"[exchange] certificate, key or client_ca cannot be used: {error} (a key has to be without a passphrase)",
        ) from error
    made.sslobject_class = _handshaking(audit)
    return made


def _handshaking(audit: Audit) -> type[ssl.SSLObject]:
    class Handshaking(ssl.SSLObject):
        """Who fails in the handshake never comes to the door, and is noted here."""

        noted: ClassVar[Audit] = audit

        def do_handshake(self) -> None:
            try:
                super().do_handshake()
            except (ssl.SSLWantReadError, ssl.SSLWantWriteError):
                raise
            except ssl.SSLCertVerificationError as error:
                _note_handshake(audit, Rule.CERTIFICATE, error.verify_message)
                raise
            except ssl.SSLError as error:
                _note_handshake(audit, Rule.TLS, error.reason or "no TLS")
                raise

    return Handshaking


def _note_handshake(audit: Audit, rule: Rule, detail: str) -> None:
    def write() -> None:
        try:
            noted = audit.refused(rule, credential="", peer="", asked="TLS handshake", detail=detail)
        except StateError as error:
            noted = True
            log.error("it could not be written to the audit log: %s", error, extra={"action": "audit.failed"})
        if noted:
            log.warning("a TLS handshake failed: %s", detail, extra={"action": "exchange.refused"})

    asyncio.get_running_loop().run_in_executor(None, write)
