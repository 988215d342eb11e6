"""``perdure backup``, ``restore``, ``compact`` and ``doctor``: the file that everything is in."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from perdure.cli.output import Output, builtins
from perdure.cli.progress import progress_bar
from perdure.errors import InvalidParameter

__all__ = ["backup", "compact", "doctor", "restore"]

StoreOption = Annotated[
    str, typer.Option("--store", envvar="PERDURE_STORE", help="The store, such as sqlite:///perdure.db.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]

_DEFAULT_STORE = "sqlite:///perdure.db"


def backup(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="Where the backup goes; it must not be there yet.")],
    store: StoreOption = _DEFAULT_STORE,
    as_json: JsonOption = False,
) -> None:
    """Copy a database to a file, while its server runs or not, and verify the copy.

    The master key is not in it: keep that one too, and elsewhere.
    """
    from perdure.stores.sqlite.backup import back_up

    with progress_bar("copying", is_shown=not as_json) as progress:
        size = back_up(database_of(store), file, progress)
    Output(as_json=as_json).answer({"file": str(file), "bytes": size}, f"{file}: {size:,} bytes, verified")


def restore(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The backup.")],
    store: StoreOption = _DEFAULT_STORE,
    force: Annotated[bool, typer.Option("--force", help="Replace the database that is there.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Verify a backup and put it in the place of a database that no server has open."""
    from perdure.stores.sqlite.backup import restore as put_back

    database = database_of(store)
    with progress_bar("copying", is_shown=not as_json) as progress:
        size = put_back(file, database, progress, replaces=force)
    Output(as_json=as_json).answer({"file": str(database), "bytes": size}, f"{database}: {size:,} bytes, verified")


def compact(store: StoreOption = _DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Write a database that no server has open anew: smaller, and without a trace of what was deleted."""
    from perdure.stores.sqlite.backup import compact as write_anew

    database = database_of(store)
    size = write_anew(database)
    Output(as_json=as_json).answer({"file": str(database), "bytes": size}, f"{database}: {size:,} bytes")


def doctor(store: StoreOption = _DEFAULT_STORE, as_json: JsonOption = False) -> None:
    """Read a whole database and say what is wrong with it. A server may have it open.

    Exit code 1 when there is an error; warnings are no errors.
    """
    from perdure.stores.sqlite.doctor import examine

    with progress_bar("reading instances", is_shown=not as_json) as progress:
        findings = examine(database_of(store), progress)
    out = Output(as_json=as_json)
    has_errors = any(finding.severity == "error" for finding in findings)
    if as_json:
        out.document({"healthy": not has_errors, "findings": [builtins(finding) for finding in findings]})
    elif findings:
        rows = [[finding.severity, finding.check, finding.subject, finding.message] for finding in findings]
        out.table(findings, ["", "check", "where", "what"], rows)
    else:
        out.answer({}, "healthy: nothing is wrong")
    if has_errors:
        raise typer.Exit(1)


def database_of(store: str) -> Path:
    """The file of a store. Raises ``InvalidParameter`` for a store without one."""
    from perdure.bootstrap import sqlite_path

    path = sqlite_path(store)
    if path is None:
        raise InvalidParameter(f"{store!r} has no file: say sqlite:///path/to/file.db", "store")
    return path
