"""An authority, and what it and others sign: made in memory, written where a test wants them."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

DAY = timedelta(days=1)
_LOOPBACK = ip_address("127.0.0.1")


@dataclass(frozen=True)
class Paper:
    file: Path  # certificate
    key: Path
    fingerprint: str


class Authority:
    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self._made = 0
        certificate = self._certificate(self._name, self._key, authority=True)
        self.file = folder / f"{name}.ca.pem"
        self.file.write_bytes(certificate.public_bytes(Encoding.PEM))

    def issue(self, subject: str, *, days: int = 30) -> Paper:
        """``days`` it is still good for; negative: it has expired."""
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._certificate(_name(subject), key, days=days)
        self._made += 1
        stem = self.folder / f"{subject}-{self._made}-{self.file.name.partition('.')[0]}"
        paper = Paper(
            stem.with_suffix(".pem"), stem.with_suffix(".key"), certificate.fingerprint(SHA256()).hex()
        )
        paper.file.write_bytes(certificate.public_bytes(Encoding.PEM))
        paper.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return paper

    def _certificate(
        self, subject: x509.Name, key: ec.EllipticCurvePrivateKey, *, days: int = 30, authority: bool = False
    ) -> x509.Certificate:
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 60 * DAY)
            .not_valid_after(now + days * DAY)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        )
        if not authority:
            names = [x509.DNSName("localhost"), x509.IPAddress(_LOOPBACK)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
            issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(issuer, critical=False)
        return builder.sign(self._key, SHA256())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])
