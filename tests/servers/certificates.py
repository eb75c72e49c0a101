"""A server's certificate for loopback, signed by an authority that nobody knows."""

import ssl
from datetime import UTC, datetime
from pathlib import Path

from crmsync.daemon.crm_api.tls import make_certificates


def certified(folder: Path) -> tuple[ssl.SSLContext, str]:
    """What the server shows, and the file of the authority. It is good for 127.0.0.1 and localhost, not for the rest of
    loopback."""
    files = make_certificates(folder / "tls", datetime.now(UTC))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files.certificate_file, files.key_file)
    return context, str(files.ca_file)
