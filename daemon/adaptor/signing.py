"""How a message is signed: HMAC-SHA256 over method, path, body, time and nonce. Both ends use this."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass

CREDENTIAL = "x-exchange-credential"
TIME = "x-exchange-time"  # seconds since 1970
NONCE = "x-exchange-nonce"
SIGNATURE = "x-exchange-signature"
VERSION = "v1"


@dataclass(frozen=True, slots=True)
class Signed:
    """What a signature is about."""

    method: str
    path: str
    time: int
    nonce: str
    body: bytes

    def text(self) -> bytes:
        """Line by line: no part can take anything from its neighbour, as none has a line break (a path is escaped)."""
        digest = hashlib.sha256(self.body).hexdigest()
        return "\n".join((VERSION, self.method, self.path, str(self.time), self.nonce, digest)).encode()

    def signature(self, secret: str) -> str:
        return f"{VERSION}={hmac.digest(secret.encode(), self.text(), 'sha256').hex()}"

    def verifies(self, secret: str, signature: str) -> bool:
        """In a time that does not tell how much of it is right."""
        return hmac.compare_digest(self.signature(secret).encode(), signature.encode("utf-8", "replace"))

    def headers(self, credential: str, secret: str) -> Mapping[str, str]:
        return {
            CREDENTIAL: credential,
            TIME: str(self.time),
            NONCE: self.nonce,
            SIGNATURE: self.signature(secret),
        }
