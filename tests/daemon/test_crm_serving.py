"""What `crm serve` says and refuses; the serving itself is tested where the server is."""

import json
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import pytest
import urllib3

from crmsync.daemon.cli import main
from crmsync.daemon.commands.crm_serving import _logins
from crmsync.daemon.crm_api.crm import system_clock
from crmsync.daemon.crm_api.tls import make_certificates

PROGRAM = [
    sys.executable,
    "-c",
    "import sys; from crmsync.daemon.cli import main; sys.exit(main())",
    "crm",
    "serve",
]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--host", "0.0.0.0"), "add --tls"),
        (("--host", "0.0.0.0", "--tls"), "add --certificate and --key"),
        (("--certificate", "{ca}"), "belong together"),
        (("--certificate", "{ca}", "--key", "{ca}"), "no certificate and its key"),
        (("--certificate", "{pem}", "--key", "{key}", "--proxy"), "leave --certificate out"),
        (("--proxy", "--proxy-host", "*"), "--proxy-host *: expected"),
    ],
)
def test_what_cannot_be_served(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], said: str
) -> None:
    files = make_certificates(tmp_path / "own", system_clock())
    names = {"ca": files.ca_file, "pem": files.certificate_file, "key": files.key_file}
    code = main(["crm", "serve", "--port", "0", *(word.format(**names) for word in words)])
    assert (code, said in capsys.readouterr().err) == (2, True)


def test_https_alone_with_a_certificate_of_ones_own(tmp_path: Path) -> None:
    files = make_certificates(tmp_path / "own", system_clock())
    words = ["--directory", str(tmp_path / "crm"), "--port", "0", "--tls"]
    words += ["--certificate", str(files.certificate_file), "--key", str(files.key_file)]
    with subprocess.Popen(
        [*PROGRAM, *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        lines = [next(process.stdout).strip() for _ in range(4)]
        address = lines[1]
        assert address.startswith("https://127.0.0.1:"), lines
        assert not any(line.startswith("http://") for line in lines)
        trust = ssl.create_default_context(cafile=str(files.ca_file))
        with urllib3.PoolManager(ssl_context=trust, retries=False) as pool:
            logins = json.loads((tmp_path / "crm/logins.json").read_text())
            fields = {
                "grant_type": "client_credentials",
                **{k: logins[k] for k in ("client_id", "client_secret")},
            }
            answer = pool.request(
                "POST", f"{address}/services/oauth2/token", fields=fields, encode_multipart=False
            )
            assert answer.status == 200
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


@pytest.mark.parametrize("content", ["", '{"client_id": "crmsync", ', "[]", '{"users": 1}'])
def test_logins_that_cannot_be_read_are_not_written_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    """The passwords in it stand nowhere else."""
    file = tmp_path / "crm" / "logins.json"
    file.parent.mkdir()
    file.write_text(content)
    code = main(["crm", "serve", "--port", "0", "--directory", str(file.parent)])
    assert (code, "move it away" in capsys.readouterr().err) == (2, True)
    assert file.read_text() == content


def test_logins_are_written_whole_and_only_once(tmp_path: Path) -> None:
    file = tmp_path / "logins.json"
    made = _logins(file, ["alice@example.com"])
    assert file.stat().st_mode & 0o777 == 0o600
    known = file.stat()
    assert _logins(file, ["alice@example.com"]) == made
    assert (file.stat().st_ino, file.stat().st_mtime_ns) == (known.st_ino, known.st_mtime_ns)
    more = _logins(file, ["alice@example.com", "bob@example.com"])
    assert more["users"]["alice@example.com"] == made["users"]["alice@example.com"]
    assert [each.name for each in tmp_path.iterdir()] == ["logins.json"]
