"""How a command ends: an exit code and a sentence, never a traceback for what a user or a file did wrong."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NoReturn

import click

from fhir_mappings.errors import InvalidResource, MappingError
from service.config import ConfigError
from service.errors import ServiceError

FOUND = 1
WRONG_USAGE = 2
INTERRUPTED = 130


class QuietGroup(click.Group):
    """A group of commands that end as this module says."""

    def main(  # type: ignore[override]  # click declares what it returns when it does not end the process
        self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any
    ) -> Any:
        extra["standalone_mode"] = False
        try:
            result = super().main(args, prog_name, **extra)
        except Exception as error:
            # Each kind of refusal ends in its own way; a defect of ours is raised again there.
            sys.exit(_told(error))
        sys.exit(result if isinstance(result, int) else 0)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            # The reader has seen enough, as `head` has: that is no finding.
            _drop_output()
            return 0
        return result


def end(code: int) -> NoReturn:
    """End the command with an exit code."""
    click.get_current_context().exit(code)


def _told(error: Exception) -> int:
    """Say on standard error what went wrong; return the exit code."""
    if isinstance(error, click.ClickException):
        error.show()
        return error.exit_code
    if isinstance(error, click.Abort):
        return INTERRUPTED
    if isinstance(error, ServiceError | InvalidResource):
        for finding in error.findings:
            click.echo(f"Error: {finding if finding.path else finding.problem}", err=True)
        return FOUND
    if isinstance(error, ConfigError):
        click.echo(f"Error: {error}", err=True)
        return WRONG_USAGE
    if isinstance(error, MappingError):
        click.echo(f"Error: {error.finding}", err=True)
        return FOUND
    if isinstance(error, OSError) and error.strerror:
        click.echo(f"Error: {f'{error.filename}: ' if error.filename else ''}{error.strerror}", err=True)
        return FOUND
    raise error


def _drop_output() -> None:
    # The reader has gone; what is still buffered would raise once more when the interpreter ends.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    with suppress(OSError, ValueError):
        os.dup2(nowhere, sys.stdout.fileno())
