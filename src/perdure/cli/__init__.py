"""The ``perdure`` command: one file per command, or per group of them.

An error that perdure raises on purpose is printed as what was wrong and what to do, and the exit code is 1; wrong usage
is 2. Commands import what they need when they run, so that ``perdure --help`` needs neither the server nor the client.
"""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from perdure.cli import (
    dead_letters,
    indexes,
    instances,
    keys,
    logs,
    machines,
    migrations,
    orgs,
    profiles,
    providers,
    upgrades,
)
from perdure.cli.check import check
from perdure.cli.dev import dev
from perdure.cli.diagram import diagram
from perdure.cli.output import print_error
from perdure.cli.serve import serve
from perdure.cli.store_files import backup, compact, doctor, restore
from perdure.cli.token import token
from perdure.errors import PerdureError

__all__ = ["app", "main"]


class ErrorsInOneLine(TyperGroup):
    """The root of all commands, where their errors end."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except PerdureError as error:
            print_error(error)
            raise typer.Exit(1) from error


app = typer.Typer(
    name="perdure",
    cls=ErrorsInOneLine,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"perdure {version('perdure')}")
        raise typer.Exit


@app.callback()
def options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and end.")
    ] = False,
) -> None:
    """Durable statecharts: machines in Python whose instances survive everything."""


app.command()(dev)
app.command()(serve)
app.command()(check)
app.command()(diagram)
app.add_typer(machines.app, name="machines")
app.add_typer(instances.app, name="instances")
app.add_typer(migrations.app, name="migrations")
app.add_typer(upgrades.app, name="upgrades")
app.add_typer(indexes.app, name="indexes")
app.add_typer(logs.app, name="logs")
app.add_typer(keys.app, name="keys")
app.add_typer(providers.identity_providers, name="identity-providers")
app.add_typer(providers.token_providers, name="token-providers")
app.add_typer(orgs.app, name="orgs")
app.add_typer(profiles.app, name="profiles")
app.add_typer(dead_letters.app, name="dead-letters")
app.command()(token)
app.command()(backup)
app.command()(restore)
app.command()(compact)
app.command()(doctor)


def main() -> None:
    """The entry point of the ``perdure`` script."""
    app()
