"""Documents that repeat the code say what it says."""

import re
from pathlib import Path

from service.config import Config

ROOT = Path(__file__).parents[1]


def test_the_settings_table_lists_every_setting() -> None:
    between = re.search(r"<!-- settings -->\n(.*)<!-- /settings -->", (ROOT / "README.md").read_text(), re.DOTALL)
    assert between
    rows = [
        f"| `{setting.name}` | {f'`{setting.default}`' if setting.default else ''} | {setting.meaning} |"
        for setting in Config.settings()
    ]
    assert between[1] == "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows, ""])


def test_every_document_and_folder_that_the_readme_names_is_there() -> None:
    named = re.findall(r"\]\(([^)#:]+)\)|^\| `([\w/]+/)`", (ROOT / "README.md").read_text(), re.MULTILINE)
    missing = [path for link, folder in named if not (ROOT / (path := link or folder)).exists()]
    assert missing == []
