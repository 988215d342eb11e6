"""``perdure dead-letters``: messages that were given up, and what becomes of them."""

from __future__ import annotations

from typing import Annotated

import typer

from perdure.cli.connection import Session, connected
from perdure.cli.output import builtins, json_text, shown_time
from perdure.errors import InvalidParameter
from perdure.wire_upkeep import DeadLetter, Reference

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="Dead letters: messages that were given up after their last attempt.")

LetterArgument = Annotated[str, typer.Argument(metavar="ID", help="The dead letter's id.")]
LettersArgument = Annotated[list[str] | None, typer.Argument(metavar="ID…", help="The dead letters' ids.")]
AllOption = Annotated[bool, typer.Option("--all", help="All there are now.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, help="At most so many.")]


@app.command("list")
@connected
def list_dead_letters(session: Session, limit: LimitOption = 100) -> None:
    """List them, the ones given up first before the others. Needs the scope instances.admin."""
    from perdure.client import upkeep

    with session.client() as client:
        letters = client.run(upkeep.list_dead_letters(limit))
    session.out.table(
        letters,
        ["id", "given up", "from", "to", "message", "error"],
        (
            [
                letter.id,
                shown_time(letter.buried_at or ""),
                _name(letter.sender),
                _name(letter.target),
                _message(letter),
                letter.error or "",
            ]
            for letter in letters
        ),
    )


@app.command("show")
@connected
def show(session: Session, letter_id: LetterArgument) -> None:
    """Show all of one. Needs the scope instances.admin."""
    from perdure.client import upkeep

    with session.client() as client:
        letter = client.run(upkeep.get_dead_letter(letter_id))
    session.out.answer(
        builtins(letter),
        f"{letter.id}",
        f"from      {_name(letter.sender)}",
        f"to        {_name(letter.target)}",
        f"message   {_message(letter)}",
        f"attempts  {letter.attempts}",
        f"error     {letter.error or 'none'}",
        f"given up  {shown_time(letter.buried_at or '')}",
    )


@app.command("redrive")
@connected
def redrive(session: Session, letter_ids: LettersArgument = None, every: AllOption = False) -> None:
    """Deliver them again, with all their attempts before them. Needs the scope instances.admin."""
    from perdure.client import upkeep

    with session.client() as client:
        chosen = _chosen(letter_ids, every) or [letter.id for letter in client.run(upkeep.list_dead_letters())]
        for letter_id in chosen:
            client.run(upkeep.redrive_dead_letter(letter_id))
    session.out.answer({"redriven": chosen}, f"re-driven: {len(chosen)}")


@app.command("drop")
@connected
def drop(
    session: Session,
    letter_ids: LettersArgument = None,
    every: AllOption = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
) -> None:
    """Delete them for ever. Needs the scope instances.admin."""
    from perdure.client import upkeep

    with session.client() as client:
        chosen = _chosen(letter_ids, every) or [letter.id for letter in client.run(upkeep.list_dead_letters())]
        if not yes:
            typer.confirm(f"Drop {len(chosen)} dead letters for ever?", abort=True, err=True)
        for letter_id in chosen:
            client.run(upkeep.drop_dead_letter(letter_id))
    session.out.answer({"dropped": chosen}, f"dropped: {len(chosen)}")


def _chosen(letter_ids: list[str] | None, every: bool) -> list[str]:
    """The ids that were given; none for all there are."""
    if bool(letter_ids) == every:
        raise InvalidParameter("say which dead letters: give their ids, or --all", "ID")
    return letter_ids or []


def _name(reference: Reference) -> str:
    return f"{reference.machine_name}/{reference.machine_instance_name}"


def _message(letter: DeadLetter) -> str:
    return json_text(letter.event) if letter.event is not None else letter.kind
