"""Documents that repeat the code say what it says."""

import re
from pathlib import Path

from service.config import Config
from service.sync.states import NEXT_STEPS, Reason

ROOT = Path(__file__).parents[1]


def test_the_settings_table_lists_every_setting() -> None:
    between = re.search(
        r"<!-- settings -->\n(.*)<!-- /settings -->", (ROOT / "README.md").read_text(), re.DOTALL
    )
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


def test_operations_lists_every_reason_with_its_next_step() -> None:
    between = re.search(
        r"<!-- reasons -->\n(.*)<!-- /reasons -->", (ROOT / "docs/operations.md").read_text(), re.DOTALL
    )
    assert between
    rows = [f"| `{reason}` | {step} |" for reason, step in NEXT_STEPS.items()]
    assert between[1] == "\n".join(["| reason | next step |", "| --- | --- |", *rows, ""])


def test_every_reason_has_a_next_step() -> None:
    assert set(NEXT_STEPS) == set(Reason)
