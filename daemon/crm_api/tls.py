"""A certificate authority and a server certificate, made on the spot.

The authority stays the same from one start to the next, so that clients who were told of `ca.pem`
(REQUESTS_CA_BUNDLE, NODE_EXTRA_CA_CERTS) need not be told again. Its key and the server's have mode 0600. Should one
be stolen: the authority can vouch for loopback and the names that it was made for, and for no other address in the
world (RFC 5280, section 4.2.1.10). Nothing is installed anywhere.
"""

import datetime
import ipaddress
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["Certificates", "make_certificates", "names_in"]

LIFE = datetime.timedelta(days=397)
LEFT = datetime.timedelta(days=30)  # of an authority that is still used for one more start
CLOCK_SKEW = datetime.timedelta(hours=1)
LOOPBACK_NETWORKS = ("127.0.0.0/8", "::1/128")
LOOPBACK_ADDRESSES = ("127.0.0.1", "::1")
CA_NAME = "crmsync embedded CRM (local CA)"


@dataclass(frozen=True, slots=True)
class Certificates:
    """Files in PEM: the CA for clients to trust, the server's certificate and its private key."""

    ca_file: Path
    certificate_file: Path
    key_file: Path


@dataclass(frozen=True, slots=True)
class _Authority:
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make_certificates(directory: Path, now: datetime.datetime, names: Sequence[str] = ()) -> Certificates:
    """A server certificate for loopback and `names` (`login.example.com`, `*.example.com`), and its authority.

    The authority of the directory is used where there is one for the same names.
    """
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    authority = _kept(directory, now, names) or _new_authority(directory, now, names)
    certificate, key = _certificate(authority, now, names)
    files = Certificates(directory / "ca.pem", directory / "server.pem", directory / "server.key")
    files.certificate_file.write_bytes(certificate)
    _write_secret(files.key_file, key)
    return files


def _certificate(authority: _Authority, now: datetime.datetime, names: Sequence[str]) -> tuple[bytes, bytes]:
    """(certificate, private key) for loopback and the names, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key())
    certificate = (
        _builder(_name("localhost"), authority.certificate.subject, key.public_key(), now)
        .add_extension(_served(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority.key, SHA256())
    )
    return certificate.public_bytes(Encoding.PEM), _pem(key)


def _new_authority(directory: Path, now: datetime.datetime, names: Sequence[str]) -> _Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(CA_NAME), _name(CA_NAME), key.public_key(), now)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(_vouched_for(names), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, SHA256())
    )
    _write_secret(directory / "ca.key", _pem(key))
    (directory / "ca.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    return _Authority(certificate, key)


def _kept(directory: Path, now: datetime.datetime, names: Sequence[str]) -> _Authority | None:
    """The authority of an earlier start; None where there is none, or it is of no use any more."""
    try:
        certificate = x509.load_pem_x509_certificate((directory / "ca.pem").read_bytes())
        key = load_pem_private_key((directory / "ca.key").read_bytes(), password=None)
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except (OSError, ValueError, x509.ExtensionNotFound):
        return None
    usable = (
        isinstance(key, ec.EllipticCurvePrivateKey)
        and key.public_key() == certificate.public_key()
        and constraints == _vouched_for(names)
        and certificate.not_valid_before_utc <= now < certificate.not_valid_after_utc - LEFT
    )
    return _Authority(certificate, key) if usable else None  # type: ignore[arg-type]


def names_in(certificate_file: Path) -> list[str]:
    """The names of a server, as its certificate has them; those with a star are nobody's address."""
    certificate = x509.load_pem_x509_certificate(certificate_file.read_bytes())
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name for name in found.get_values_for_type(x509.DNSName) if "*" not in name]


def _served(names: Sequence[str]) -> x509.SubjectAlternativeName:
    addresses = (x509.IPAddress(ipaddress.ip_address(each)) for each in LOOPBACK_ADDRESSES)
    return x509.SubjectAlternativeName([*(x509.DNSName(name) for name in ("localhost", *names)), *addresses])


def _vouched_for(names: Sequence[str]) -> x509.NameConstraints:
    networks = (x509.IPAddress(ipaddress.ip_network(each)) for each in LOOPBACK_NETWORKS)
    domains = dict.fromkeys(("localhost", *(name.removeprefix("*.") for name in names)))
    permitted = [*(x509.DNSName(each) for each in domains), *networks]
    return x509.NameConstraints(permitted_subtrees=permitted, excluded_subtrees=None)


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: datetime.datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFE)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_secret(path: Path, content: bytes) -> None:
    path.unlink(missing_ok=True)
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
