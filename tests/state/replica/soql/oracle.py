"""Salesforce's own SOQL grammar, from npm: `@salesforce/soql-common`. It only says yes or no."""

import json
import subprocess
from collections.abc import Sequence

from tests.servers.npm import installed

# antlr4ts is what the grammar runs on, and undeclared by it; later ones have lost a module that it needs.
PACKAGES = ("@salesforce/soql-common@0.2.2", "antlr4ts@0.5.0-alpha.3")
_PROGRAM = """
const { SOQLParser } = require('@salesforce/soql-common/lib/soql-parser');
const parser = SOQLParser({ isApex: false, isMultiCurrencyEnabled: true, apiVersion: 59.0 });
const verdict = (text) => { try { return parser.parseQuery(text).getSuccess(); } catch (error) { return null; } };
const statements = JSON.parse(require('fs').readFileSync(process.argv[2], 'utf8'));
require('fs').writeFileSync(process.argv[3], JSON.stringify(statements.map(verdict)));
"""


def verdicts(statements: Sequence[str]) -> list[bool | None]:
    """Of each statement; None where the grammar itself fails. Skips the test where it cannot be installed."""
    folder = installed(*PACKAGES)
    (folder / "judge.js").write_text(_PROGRAM, encoding="utf-8")
    asked, said = folder / "asked.json", folder / "said.json"
    asked.write_text(json.dumps(statements), encoding="utf-8")
    command = ["node", "judge.js", str(asked), str(said)]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=240)
    found: list[bool | None] = json.loads(said.read_text(encoding="utf-8"))
    return found
