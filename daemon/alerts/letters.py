"""The ways to people: e-mail, and a program that takes JSON. Each either sends or raises ``Unsent`` with a sentence."""

import hashlib
import hmac
import json
import smtplib
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

import urllib3

from crmsync.config.alerts import Alerts, MailAlerts, WebhookAlerts
from crmsync.config.secret import SecretError
from crmsync.daemon.alerts.plan import Letter
from crmsync.daemon.commands.show import plain
from crmsync.daemon.outgoing import asked, shown, trusting

SECONDS = 15.0  # that a server may take
SHOWN = 50  # sentences of a letter


class Unsent(Exception):
    """The sentence for the operator; never with a secret in it."""


class Way(Protocol):
    def send(self, letter: Letter) -> None:
        """Raises Unsent."""

    def look(self) -> str:
        """Whether it would work, without telling anybody: what was found. Raises Unsent."""


def ways(config: Alerts, now: Callable[[], datetime]) -> dict[str, Way]:
    found: dict[str, Way] = {}
    if config.mail is not None:
        found["mail"] = Mail(config.mail)
    if config.webhook is not None:
        found["webhook"] = Webhook(config.webhook, now)
    return found


@dataclass(frozen=True, slots=True)
class Mail:
    config: MailAlerts

    def send(self, letter: Letter) -> None:
        with self._session() as session:
            refused = session.send_message(self._message(letter))
        if refused:
            raise Unsent(f"{self.config.host} took the mail, but not for {len(refused)} of those in `to`")

    def look(self) -> str:
        with self._session() as session:
            session.noop()
        return f"{self.config.host} answers{' and takes the login' if self.config.username else ''}"

    @contextmanager
    def _session(self) -> Iterator[smtplib.SMTP]:
        config = self.config
        try:
            trust = ssl.create_default_context(cafile=str(config.ca_file) if config.ca_file else None)
            if config.tls == "implicit":
                session: smtplib.SMTP = smtplib.SMTP_SSL(
                    config.host, config.door, timeout=SECONDS, context=trust
                )
            else:
                session = smtplib.SMTP(config.host, config.door, timeout=SECONDS)
            with session:
                if config.tls == "starttls":
                    session.starttls(context=trust)
                if config.username and config.password:
                    session.login(config.username, config.password.reveal())
                yield session
        except SecretError as error:
            raise Unsent(f"[alerts.mail] password: {error}") from error
        except UnicodeError:  # which may show the password: it is not repeated
            raise Unsent(
                f"{config.host} cannot be told this user name or password: for mail, they are of ASCII letters alone"
            ) from None
        except smtplib.SMTPAuthenticationError as error:
            raise Unsent(f"{config.host} refuses the login ({error.smtp_code})") from error
        except smtplib.SMTPResponseException as error:
            raise Unsent(f"{config.host} does not take the mail ({error.smtp_code})") from error
        except (smtplib.SMTPException, OSError) as error:
            raise Unsent(
                f"{config.host} port {config.door}: {type(error).__name__}: {_short(error)}"
            ) from error

    def _message(self, letter: Letter) -> EmailMessage:
        message = EmailMessage()
        message["From"] = self.config.sender
        message["To"] = ", ".join(self.config.to)
        message["Subject"] = subject(letter)
        message["Date"] = format_datetime(datetime.fromisoformat(letter.at))
        message["Message-ID"] = f"<{letter.id}@crmsync.invalid>"  # the same, should it be sent twice
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
        message.set_content(text(letter))
        return message


@dataclass(frozen=True, slots=True)
class Webhook:
    config: WebhookAlerts
    now: Callable[[], datetime]

    def send(self, letter: Letter) -> None:
        body = json.dumps(
            {"id": letter.id, "at": letter.at, "began": list(letter.began), "ended": list(letter.ended)}
        ).encode()
        try:
            headers = signed(body, self.config.secret.reveal(), self.now())
        except SecretError as error:
            raise Unsent(f"[alerts.webhook] secret: {error}") from error
        status = self._asked("POST", body, {"Content-Type": "application/json", **headers})
        if not 200 <= status < 300:
            raise Unsent(f"{shown(self.config.url)} answers with {status}")

    def look(self) -> str:
        status = self._asked("HEAD", b"", {})
        if status >= 500:
            raise Unsent(f"{shown(self.config.url)} answers with {status}")
        return f"{shown(self.config.url)} answers ({status})"

    def _asked(self, method: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Without following anywhere: the signed text is for this address."""
        config = self.config
        try:
            trust = trusting(config.ca_file, config.verify)
            return asked(method, config.url, body=body, headers=headers, trust=trust, seconds=SECONDS).status
        except (urllib3.exceptions.HTTPError, OSError) as error:
            raise Unsent(f"{shown(self.config.url)}: {type(error).__name__}") from error


def signed(body: bytes, secret: str, now: datetime) -> dict[str, str]:
    time = str(int(now.timestamp()))
    mac = hmac.new(secret.encode(), f"{time}.".encode() + body, hashlib.sha256).hexdigest()
    return {"X-Crmsync-Time": time, "X-Crmsync-Signature": f"sha256={mac}"}


def subject(letter: Letter) -> str:
    first = plain((letter.began or letter.ended or ("a test",))[0])[:100]
    begins, ends = len(letter.began), len(letter.ended)
    more = f" (and {begins + ends - 1} more)" if begins + ends > 1 else ""
    return f"[crmsync] {'over: ' if not begins and ends else ''}{first}{more}"


def text(letter: Letter) -> str:
    parts = []
    for heading, sentences in (("Needs somebody:", letter.began), ("Is over:", letter.ended)):
        if sentences:
            lines = [f"- {plain(sentence)[:500]}" for sentence in sentences[:SHOWN]]
            more = [f"- and {len(sentences) - SHOWN} more"] if len(sentences) > SHOWN else []
            parts.append("\n".join([heading, *lines, *more]))
    return "\n\n".join([*parts, "`crmsync status` and the status page have more."]) + "\n"


def _short(error: Exception) -> str:
    return plain(str(error))[:200]
