"""What every command has in common: help, usage, a clear word where the environment is wrong."""

import pytest

from service.cli import COMMANDS
from tests.service.cli.running import mainstay


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    ended = mainstay(command, "--help")
    assert ended.code == 0
    assert len(ended.out.splitlines()) > 4


def test_the_list_of_commands_is_whole() -> None:
    ended = mainstay("--help")
    assert all(f"\n  {command} " in ended.out for command in COMMANDS)


def test_no_command_of_another_name_is_run() -> None:
    assert mainstay("translat").code == 2


@pytest.mark.parametrize(
    "command", [["doctor"], ["export"], ["serve"], ["db", "upgrade"], ["worker", "--once"]]
)
def test_a_wrong_setting_is_named(command: list[str]) -> None:
    ended = mainstay(*command, env={"MAINSTAY_PORT": "everything"})
    assert "MAINSTAY_PORT" in ended.out + ended.err
    assert ended.code == (1 if command == ["doctor"] else 2)
