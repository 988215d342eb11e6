"""``perdure migrations``: code that leads instances from one version of a machine to another."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.connection import Session, connected
from perdure.cli.instances import MachineArgument
from perdure.cli.output import shown_time
from perdure.cli.versions import version_id
from perdure.errors import MachineCodeError

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Migrations: code that leads from one version of a machine to another.")


@app.command("create")
@connected
def create_migration(
    session: Session,
    machine: MachineArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A migration file.")],
    from_version: Annotated[str, typer.Option("--from", metavar="ID", help="The version it leads from, or `current`.")],
    to_version: Annotated[str, typer.Option("--to", metavar="ID", help="The version it leads to, or `current`.")],
) -> None:
    """Upload a migration: a file with upgrade_state(path, context), upgrade_context(old, new, context), or both."""
    try:
        source = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise MachineCodeError("the file is not UTF-8 text", file=str(file)) from error
    with session.client() as client:
        origin, target = (version_id(client, machine, given) for given in (from_version, to_version))
        migration = client.deploy_migration(
            machine, source, from_version=origin, to_version=target, file_name=file.name
        )
    session.out.answer(
        {"machineVersionMigrationId": migration, "fromMachineVersionId": origin, "toMachineVersionId": target},
        f"created the migration {migration} of {machine} from {origin} to {target}",
    )


@app.command("list")
@connected
def list_migrations(session: Session, machine: MachineArgument) -> None:
    """List the migrations of a machine, oldest first."""
    with session.client() as client:
        migrations = client.list_migrations(machine)
    session.out.table(
        migrations,
        ["migration", "from", "to", "created"],
        (
            [
                migration.id,
                migration.from_machine_version_id,
                migration.to_machine_version_id,
                shown_time(migration.created_at),
            ]
            for migration in migrations
        ),
    )
