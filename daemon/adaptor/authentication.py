"""Who asks, and what they may ask for.

Transport level: a client certificate that the handshake has verified and that is pinned to the credential, or a
signature over method, path, body, time and nonce, or both, as the credential has it. Access level: accounts, kinds,
directions (columns: ``data_controller``).
"""

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from crmsync.config.exchange import Credential, Exchange
from crmsync.config.secret import Secret, SecretError
from crmsync.connectors.contract import Kind
from crmsync.daemon.adaptor.messages import Message
from crmsync.daemon.adaptor.refusals import Refusal, Rule
from crmsync.daemon.adaptor.signing import CREDENTIAL, NONCE, SIGNATURE, TIME, Signed

SHORTEST = 16  # characters of a secret


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]  # by name in lower case
    body: bytes
    certificate: bytes | None = None  # DER; the handshake has verified it


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, proven."""

    name: str
    credential: Credential
    nonce: str


# ── Transport level ──────────────────────────────────────────────────────────────────────────────────────────


def identify(asked: Asked, exchange: Exchange, now: datetime) -> Caller:
    """Raises Refusal."""
    shown = _Certificate.of(asked.certificate) if asked.certificate else None
    name = claimed(asked, exchange, shown)
    credential = exchange.credential.get(name)
    if credential is None:
        raise Refusal(Rule.UNKNOWN_CREDENTIAL, "there is no such credential")
    if credential.secret is None and not credential.shows_certificate:
        raise Refusal(Rule.UNKNOWN_CREDENTIAL, "this credential can only wake")
    if credential.shows_certificate:
        _certified(credential, shown)
    time, nonce = _time(asked), _nonce(asked)
    if credential.secret is not None:
        _signed(asked, credential.secret, time, nonce)
    if abs(now - time) > exchange.window:
        raise Refusal(
            Rule.STALE,
            f"its time is more than {exchange.window.total_seconds():.0f} s from ours ({now:%H:%M:%S} UTC)",
        )
    return Caller(name, credential, nonce)


def claimed(asked: Asked, exchange: Exchange, shown: "_Certificate | None") -> str:
    """The credential that the request names, else the one that its certificate belongs to."""
    if CREDENTIAL in asked.headers:
        return asked.headers[CREDENTIAL]
    if shown is not None:
        for name, credential in exchange.credential.items():
            if credential.shows_certificate and shown.fits(credential):
                return name
        raise Refusal(Rule.CERTIFICATE, f"the certificate of {shown.subject} belongs to no credential")
    raise Refusal(Rule.NO_CREDENTIAL, f"it names no credential ({CREDENTIAL})")


@dataclass(frozen=True, slots=True)
class _Certificate:
    fingerprint: str
    subject: str

    @classmethod
    def of(cls, der: bytes) -> "_Certificate":
        certificate = x509.load_der_x509_certificate(der)
        return cls(certificate.fingerprint(SHA256()).hex(), certificate.subject.rfc4514_string())

    def fits(self, credential: Credential) -> bool:
        pinned = credential.certificate is None or hmac.compare_digest(
            credential.certificate, self.fingerprint
        )
        return pinned and credential.subject in (None, self.subject)


def _certified(credential: Credential, shown: _Certificate | None) -> None:
    if shown is None:
        raise Refusal(Rule.NO_CERTIFICATE, "it shows no client certificate")
    if not shown.fits(credential):
        raise Refusal(
            Rule.CERTIFICATE,
            f"the certificate of {shown.subject} is not the one that belongs to this credential",
        )


def _signed(asked: Asked, secret: Secret, time: datetime, nonce: str) -> None:
    signature = asked.headers.get(SIGNATURE)
    if signature is None:
        raise Refusal(Rule.NO_SIGNATURE, f"it is not signed ({SIGNATURE})")
    signed = Signed(asked.method, asked.path, int(time.timestamp()), nonce, asked.body)
    if not signed.verifies(revealed(secret), signature):
        raise Refusal(
            Rule.SIGNATURE, "its signature does not verify: another secret, or something was altered"
        )


def revealed(secret: Secret) -> str:
    """Raises Refusal, in words that say nothing of the secret."""
    try:
        value = secret.reveal()
    except SecretError as error:
        raise Refusal(Rule.UNAVAILABLE, _UNUSABLE, f"it cannot be read: {error}") from error
    if len(value) < SHORTEST:
        raise Refusal(Rule.UNAVAILABLE, _UNUSABLE, f"it has less than {SHORTEST} characters")
    return value


_UNUSABLE = "the secret of this credential cannot be used; the log of crmsync says why"


def _time(asked: Asked) -> datetime:
    text = asked.headers.get(TIME, "")
    if not re.fullmatch(r"\d{1,11}", text, re.ASCII):
        raise Refusal(Rule.MALFORMED, f"{TIME} has to be the time in seconds since 1970")
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(text))


def _nonce(asked: Asked) -> str:
    nonce = asked.headers.get(NONCE, "")
    if not re.fullmatch(r"[A-Za-z0-9_-]{16,64}", nonce):
        raise Refusal(Rule.MALFORMED, f"{NONCE} has to be 16 to 64 of A-Z, a-z, 0-9, _ and -")
    return nonce


def by_token(token: str, exchange: Exchange) -> tuple[str, Credential]:
    """Whose token that is. Raises Refusal. One that cannot be read closes nobody else's door."""
    found: tuple[str, Credential] | None = None
    broken: Refusal | None = None
    for name, credential in exchange.credential.items():  # all of them, however early it is found
        if credential.wake_token is None:
            continue
        try:
            right = hmac.compare_digest(
                revealed(credential.wake_token).encode(), token.encode("utf-8", "replace")
            )
        except Refusal as refusal:
            broken = refusal
            continue
        if right:
            found = name, credential
    if found is None:
        raise broken or Refusal(Rule.TOKEN, "there is no credential with this token")
    return found


def unusable(exchange: Exchange) -> list[str]:
    """What is wrong with the secrets, a sentence each; reads them now."""
    found = []
    for name, credential in exchange.credential.items():
        for _, secret in credential.given_secrets():
            try:
                revealed(secret)
            except Refusal as refusal:
                found.append(f"[exchange.credential.{name}]: a secret cannot be used: {refusal.cause}")
    return found


# ── Access level ─────────────────────────────────────────────────────────────────────────────────────────────


def permit(message: Message, credential: Credential) -> frozenset[Kind]:
    """The kinds that are granted. Raises Refusal, with the rule that says no."""
    if message.direction not in credential.directions:
        raise Refusal(Rule.DIRECTION, f"this credential may not ask for a {message.direction} exchange")
    for account in message.accounts:
        if not credential.covers(account):
            raise Refusal(Rule.ACCOUNT, f"this credential may not ask for account “{account[:64]}”")
    granted = frozenset(Kind(kind) for kind in credential.kinds)
    if message.kinds is None:
        return granted
    if strange := sorted(message.kinds - granted):
        raise Refusal(Rule.KIND, f"this credential may not ask for the kind “{strange[0]}”")
    return message.kinds
