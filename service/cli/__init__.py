"""The command line: one file per group of commands, each thin; what they do lives in the rooms below."""

import os
from importlib import import_module

import click

from service.cli.exits import QuietGroup

#: Where each command is found. Imported when it is asked for: translating needs no database, no web server.
COMMANDS = {
    "serve": "serve",
    "worker": "serve",
    "sandbox": "serve",
    "demo": "demo",
    "translate": "translate",
    "validate": "validate",
    "load": "load",
    "export": "export",
    "patient": "patient",
    "connection": "connection",
    "sync": "sync",
    "db": "database",
    "backup": "backup",
    "restore": "backup",
    "doctor": "doctor",
}


class Lazy(QuietGroup):
    """A group that imports a command's module when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"service.cli.{COMMANDS[cmd_name]}"), cmd_name)
        return command


@click.group(cls=Lazy, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="mainstay", prog_name="mainstay")
def main() -> None:
    """Self-management support in back pain care, said in FHIR R4 and kept in step with FHIR servers.

    Settings are read from the environment (MAINSTAY_…); `mainstay doctor` shows them.
    Exit codes: 0 fine, 1 something was found, 2 wrong usage.
    """
    # What we write holds people's records: no other user of this machine has to read them.
    os.umask(0o077)
