"""``perdure indexes``: finding instances by what is in their contexts, and building indexes anew."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from perdure.cli.connection import Session, connected
from perdure.cli.instances import LimitOption, MachineArgument
from perdure.cli.output import say
from perdure.cli.progress import progress_bar
from perdure.errors import InvalidParameter

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Indexes: finding instances by what is in their contexts.")

IndexArgument = Annotated[str, typer.Argument(metavar="INDEX", help="The name of the index.")]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte"]


@app.command("query")
@connected
def query(
    session: Session,
    machine: MachineArgument,
    index: IndexArgument,
    op: Annotated[Operator | None, typer.Option("--op", help="How to compare, with --value.")] = None,
    value: Annotated[str | None, typer.Option("--value", help="What to compare with, as a string.")] = None,
    desc: Annotated[bool, typer.Option("--desc", help="Largest values first.")] = False,
    limit: LimitOption = 100,
) -> None:
    """List the values of an index with their instances. Needs the scope indexes.read; asks no authoriser."""
    if value is not None and op is None:
        op = "eq"
    if op is not None and value is None:
        raise InvalidParameter("--op compares with a value: give --value", "--value")
    with session.client() as client:
        rows = client.query_index(machine, index, operator=op, value=value or "", descending=desc, limit=limit)
    session.out.table(rows, ["value", "instance"], ([row.index_value, row.slug] for row in rows))


@app.command("rebuild")
@connected
def rebuild(
    session: Session,
    machine: MachineArgument,
    index: IndexArgument,
    selector: Annotated[
        str | None,
        typer.Option(
            "--selector",
            metavar="JSONPATH",
            help="For versions without one. Default: the current version's.",
        ),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, max=1000, help="Instances in one request.")] = 200,
) -> None:
    """Index every instance of a machine anew, such as those that were there before the index was.

    Versions without a selector for the index get one. Ctrl-C stops; the same command again starts over, which does no
    harm. Needs the scopes machines.write, instances.read and instances.admin.
    """
    failed: dict[str, str] = {}
    rebuilt = 0
    with session.client() as client:
        client.add_index(machine, index, selector)
        total = sum(item.instances for item in client.population(machine))
        with progress_bar("indexing", is_shown=not session.out.as_json) as reached:
            cursor: str | None = None
            while True:
                page = client.rebuild_index(machine, index, cursor=cursor, limit=batch)
                rebuilt, failed = rebuilt + page.rebuilt, failed | page.failed
                reached(rebuilt + len(failed), total)
                cursor = page.cursor
                if cursor is None:
                    break
    session.out.answer(
        {"index": index, "rebuilt": rebuilt, "failed": failed}, f"indexed {rebuilt} instances of {machine} by {index}"
    )
    for instance, reason in failed.items():
        say(f"  {instance}: {reason}")
    if failed:
        raise typer.Exit(1)
