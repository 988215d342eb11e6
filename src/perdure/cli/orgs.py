"""``perdure orgs``: the org of the key, and new ones where the server allows it."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.connection import Session, connected
from perdure.cli.output import shown_time

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Orgs, which own machines, instances and keys.")


@app.command("list")
@connected
def list_orgs(session: Session) -> None:
    """Show the org that the key belongs to. Needs the scope org.read."""
    with session.client() as client:
        orgs = client.list_orgs()
    session.out.table(
        orgs,
        ["org", "name", "role", "created"],
        ([org.id, org.name, org.role, shown_time(org.created_at)] for org in orgs),
    )


@app.command("create")
@connected
def create_org(
    session: Session,
    name: Annotated[str, typer.Argument(metavar="NAME", help="What it is called.")],
    no_anonymous: Annotated[
        bool, typer.Option("--no-anonymous-access", help="Let no anonymous sessions into it.")
    ] = False,
) -> None:
    """Create an org and show its first key, which may do everything in it and is never shown again.

    Needs the scope org.write, and a server that was started with --allow-org-creation.
    """
    with session.client() as client:
        created = client.create_org(name, allow_anonymous_access=not no_anonymous)
    session.out.answer(
        created, f"org {created.id}", f"PERDURE_KEY_ID={created.key_id}", f"PERDURE_KEY_SECRET={created.key}"
    )
