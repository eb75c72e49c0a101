"""What the package writes for people: the starter and the reference."""

import subprocess
import sys
from pathlib import Path

from crmsync.config import reference
from crmsync.config.model import Config
from crmsync.config.starter import starter
from crmsync.config.table import Table

PAGE = Path(__file__).parents[2] / "docs/configuration.md"


def test_the_starter_loads_once_its_secrets_exist(loaded, tmp_path):
    for name in ("crm-client-secret", "alice-password"):
        (tmp_path / name).write_text("x\n")
        (tmp_path / name).chmod(0o600)
    config = loaded(starter())
    assert [path for path, secret in config.secrets() if secret.reveal() != "x"] == []
    assert config.warnings() == []


def test_the_commented_lines_of_the_starter_are_right_too(loaded):
    """Every line that begins with "# key =" or "# [table]" can be switched on, except for the ways to give a secret."""
    lines = []
    for line in starter().splitlines():
        bare = line.removeprefix("# ")
        switch = bare != line and (bare.startswith("[") or " = " in bare.split("#")[0]) and bare[0] != " "
        lines.append(bare if switch else line)
    config = loaded("\n".join(lines))
    assert config.account["alice"].delete_rule("contact") == "mirror"
    assert config.crm["main"].rules("contact")["notes"].direction == "both"


def test_the_starter_shows_the_defaults(loaded):
    commented = {
        line.removeprefix("# ").split("#")[0].strip()
        for line in starter().splitlines()
        if line.startswith("# ")
    }
    state = Config.model_fields["state"].get_default().url
    assert f'url = "{state}"' in commented
    assert 'interval = "60s"' in commented


def test_the_reference_page_is_up_to_date():
    assert PAGE.read_text() == reference.text(), (
        "python -m crmsync.config.reference > docs/configuration.md writes it anew"
    )


def test_the_reference_has_every_table_with_keys_of_its_own():
    def below(table: type[Table]) -> set[type[Table]]:
        inner = {
            t
            for field in table.model_fields.values()
            for t in reference._types(field.annotation)
            if isinstance(t, type) and issubclass(t, Table)
        }
        return inner | {deeper for t in inner for deeper in below(t)}

    described = {table for _, table in reference.SECTIONS}
    has_keys = {t for t in below(Config) if not all(map(reference._has_own_section, t.model_fields.values()))}
    assert has_keys == described


def test_the_reference_is_a_program():
    result = subprocess.run(
        [sys.executable, "-m", "crmsync.config.reference"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert result.stdout == PAGE.read_text()
